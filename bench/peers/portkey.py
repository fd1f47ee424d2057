"""Portkey's open-source gateway on Node.js: one process, as it is; it knows no keys, limits or ledger of its own.

Its HTTP server is the version that Portkey's own lock file has: its package allows later ones, with which a stream's
head may not be changed any more, and Portkey, which does that, answers 500.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench import answers
from bench.child import Child
from bench.peers.installed import check, descendants, portkey_script, started
from bench.ready import until_answered
from bench.subject import USAGE, Subject, bearer
from headgate.supervise.ports import free_port


@contextmanager
def running_portkey(folder: Path, upstream: int, client: Child) -> Iterator[Subject]:
    """Where the upstream is, its clients say with each request."""
    port, root = free_port(), f"http://127.0.0.1:{upstream}/v1"
    command = ["node", str(portkey_script()), f"--port={port}", "--headless"]
    with started(command, {"NODE_ENV": "production"}, folder, folder / "portkey.log") as process:
        subject = Subject(
            name="portkey",
            port=port,
            headers={**bearer("none"), "x-portkey-provider": "openai", "x-portkey-custom-host": root},
            model=answers.MODEL,
            asks=USAGE,
            hides_usage=False,
            frame_events=2,
            pids={},
            models={"chat": answers.MODEL, "embedding": answers.EMBEDDING_MODEL, "fallback": answers.MODEL},
            extra={"fallback": {"x-portkey-config": _chain(root)}},
        )
        until_answered(client, subject, lambda: check(process, "portkey", folder))
        yield replace(subject, pids={"portkey": descendants(process.pid)})


def _chain(root: str) -> str:
    target = {"provider": "openai", "api_key": "none", "custom_host": root}
    models = (answers.FAILING_MODEL, answers.MODEL)
    targets = [{**target, "override_params": {"model": model}} for model in models]
    return json.dumps({"strategy": {"mode": "fallback"}, "targets": targets})
