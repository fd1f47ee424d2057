"""Control's socket, served by uvicorn: only Envoy and the supervisor of the same user connect there.

The socket takes its name when it listens already, and a successor may take the name over.
"""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn

MAX_HEAD_BYTES = 160 * 1024  # Envoy takes 60 KiB of a client's, and authz adds who it is
IDLE_S = 75  # longer than Envoy keeps an idle connection
DRAIN_S = 4  # the supervisor kills after 5


@asynccontextmanager
async def listening(app: Any, path: Path) -> AsyncIterator[None]:
    """Serves the ASGI app there; at the end what runs is finished first."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=DRAIN_S,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with _bound(path) as listener:
        # Not `serve`: it looks ten times a second whether to end, and takes the signals.
        await server.startup(sockets=[listener])
        Path(listener.getsockname()).replace(path)  # noqa: ASYNC240 - one system call
        try:
            yield
        finally:
            await server.shutdown(sockets=[listener])


def _bound(path: Path) -> socket.socket:
    draft = Path(f"{path}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(draft))
    draft.chmod(0o600)
    return listener
