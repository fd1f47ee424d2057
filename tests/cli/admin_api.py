"""The admin API on loopback, over a database of the test's, behind what authz and Envoy are to it in a gateway."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from control.store.engine import sqlite_url
from control.store.store import Store
from headgate.cli import main
from headgate.contract import IDENTITY_HEADER
from headgate.identity import Identity, sign
from tests.control.admin import SERVICE_KEY, api

WAIT_S = 30.0


@dataclass
class Served:
    """Where it is; `callers` are who comes with a key, by the key."""

    url: str
    store: Store
    callers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def member(self, role: str, tenant: str = "acme") -> str:
        """A new key of a tenant's; whoever has it is known from now on."""
        made = self.run("keys", "create", "--tenant", tenant, "--name", role, "--role", role, "--json")
        key = json.loads(made.stdout)
        self.callers[key["key"]] = {"id": key["id"], "tenant": tenant, "role": role}
        return str(key["key"])

    def run(self, *arguments: str, key: str = "hg-admin", stdin: str | None = None, **environ: str) -> Result:
        """A command of whoever has this key."""
        usual = {"HEADGATE_ADMIN_KEY": key, "HEADGATE_URL": self.url, "HEADGATE_TENANT": None}
        return CliRunner().invoke(main, arguments, env={**usual, **environ}, input=stdin)


class _Signing:
    """As authz and Envoy: who has the key is said in a signed header, and no client says it."""

    def __init__(self, app: Any, callers: Mapping[str, Mapping[str, Any]]) -> None:
        self._app, self._callers = app, callers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            said = {name: value.decode() for name, value in scope["headers"]}
            who = self._callers.get(said.get(b"authorization", "").removeprefix("Bearer "))
            kept = [pair for pair in scope["headers"] if pair[0] not in (b"authorization", IDENTITY_HEADER.encode())]
            if who:
                kept.append((IDENTITY_HEADER.encode(), self._signed(scope, who).encode()))
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)

    def _signed(self, scope: Any, who: Mapping[str, Any]) -> str:
        query = scope["query_string"]
        path = (scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")
        usual = {"kind": "key", "tenant": None, "role": "admin", "memberships": {}}
        rest = {"request_id": "req-cli", "source_address": "192.0.2.1", "method": scope["method"], "path": path}
        return sign(Identity(**{**usual, **who, **rest}, issued_ms=round(time.time() * 1000)), SERVICE_KEY)


@contextmanager
def served(folder: Path, **tools: Any) -> Iterator[Served]:
    """A platform admin comes with the key hg-admin."""
    store = Store.open(sqlite_url(folder / "control.db"))
    callers: dict[str, dict[str, Any]] = {"hg-admin": {"id": "key_admin"}}
    config = uvicorn.Config(
        _Signing(api(store, **tools), callers), host="127.0.0.1", port=0, log_level="warning", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    with capture_logs():  # a command's output is what the command prints
        thread.start()
        try:
            deadline = time.monotonic() + WAIT_S
            while not server.started:
                assert thread.is_alive()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield Served(f"http://127.0.0.1:{port}", store, callers)
        finally:
            server.should_exit = True
            thread.join(WAIT_S)
            store.close()
