"""The gateway that is killed piece by piece, and what it says of itself."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.crash.asks import INPUT_NANO, OUTPUT_NANO, PER_EVENT, TENANTS, UNLIMITED, Kill
from bench.failure import Failure
from bench.gateway import new_key, records, up
from headgate.supervise import binaries
from headgate.supervise.ports import free_port
from headgate.supervise.process import start_ticks_of
from ledger.journal.progress import STORE, read_progress
from ledger.spool.checkpoint import load

_WITHIN_S = 120.0
_PLAN = {"rpm": 10**9, "concurrency": 10**6, "monthly_tokens": 10**12, "monthly_usd": 10**6}
_PROVIDERS = {"continuous": ["continuous"], "final": ["final"], "mixed": ["final", "none"]}  # by model


@dataclass(frozen=True)
class Victim:
    """A running gateway."""

    folder: Path
    port: int
    admin: int
    keys: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def state(self) -> Path:
        """Its state directory."""
        return self.folder / "state"

    async def kill(self, prefix: str, turn: int) -> Kill:
        """SIGKILL one of the parts whose names begin so; one that is down just now is waited for."""
        deadline = time.monotonic() + _WITHIN_S
        while time.monotonic() < deadline:
            found = [(name, one) for name, one in sorted(records(self.state).items()) if name.startswith(prefix)]
            name, record = found[turn % len(found)] if found else ("", {})
            if found and start_ticks_of(record["pid"]) == record["start_ticks"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(record["pid"], signal.SIGKILL)
                    return Kill(name, time.time())
            await asyncio.sleep(0.02)
        raise Failure(f"{prefix} has not come back: {self.log()}")

    def wait_until_ready(self) -> None:
        """All parts, those that no request needs too."""
        self._wait(self._is_ready)

    def wait_until_settled(self) -> None:
        """Every line is counted, no reservation is open, and the store has every row."""
        self._wait(self._is_settled, times=3)  # what one look finds nothing of, the next may: a second close, a row

    def limits(self, tenant: str) -> dict[str, dict[str, Any]]:
        """What `headgate limits show` says, by the limit's name."""
        command = [*binaries.headgate(), "limits", "show", tenant, "--state", str(self.state), "--json"]
        said = subprocess.run(command, capture_output=True, check=True, timeout=60)
        return {row["name"]: row for row in json.loads(said.stdout)["limits"]}

    def end(self) -> None:
        """In order. Raises Failure when it says that something was wrong."""
        self.process.terminate()
        if self.process.wait(_WITHIN_S):
            raise Failure(f"headgate up ended with {self.process.returncode}: {self.log()}")

    def log(self) -> str:
        """The end of what it has written."""
        return (self.folder / "up.log").read_text()[-3000:]

    def _wait(self, condition: Any, times: int = 1) -> None:
        deadline, seen = time.monotonic() + _WITHIN_S, 0
        while seen < times:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"{condition.__name__.strip('_')} never came: {self.log()}")
            seen = seen + 1 if condition() else 0
            time.sleep(0.5)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{self.admin}/readyz") as reply:
            report: dict[str, Any] = json.load(reply)
            return bool(report["ready"]) and not report["degraded"]
        return False

    def _is_settled(self) -> bool:
        return self._is_ready() and self._is_counted() and not self._open() and self._is_stored()

    def _is_counted(self) -> bool:
        marks = {mark.name: mark for mark in load(self.state / "ledger" / "checkpoint.json").files}
        return all(
            path.name in marks and marks[path.name].settled == path.stat().st_size
            for path in (self.state / "spool").glob("*.ndjson")
        )

    def _open(self) -> bool:
        """Whether a tenant holds anything."""
        return any(float(row["reserved"]) for tenant in TENANTS for row in self.limits(tenant).values())

    def _is_stored(self) -> bool:
        with contextlib.closing(sqlite3.connect(f"file:{self.state}/ledger/usage.db?mode=ro", uri=True)) as database:
            (newest,) = database.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
        return bool(read_progress(STORE, self.state / "ledger").seq >= newest)


@contextmanager
def victim(folder: Path, engine: int) -> Iterator[Victim]:
    """Start one below `folder`; it may not answer yet."""
    folder.mkdir()
    keys = {tenant: new_key() for tenant in TENANTS}
    port, admin = free_port(), free_port()
    with up(folder, _config(port, admin, engine, keys), "--workers", "2") as process:
        yield Victim(folder, port, admin, keys, process)


def _config(port: int, admin: int, engine: int, keys: dict[str, str]) -> dict[str, Any]:
    root = {"api": "openai", "endpoints": [f"http://127.0.0.1:{engine}"], "zone": "internal"}
    price = {"input": INPUT_NANO / 1000, "output": OUTPUT_NANO / 1000}  # dollars for a million
    return {
        "listen": {"http": f"127.0.0.1:{port}", "admin": f"127.0.0.1:{admin}"},
        "providers": {usage: {**root, "usage": usage} for usage in ("continuous", "final", "none")},
        "models": {
            model: {
                "targets": [{"provider": one, "model": f"made-{model}", "priority": 0} for one in _PROVIDERS[model]],
                "price": price,
            }
            for model in PER_EVENT
        },
        "plans": {"counted": _PLAN},
        "tenants": {
            tenant: {
                **({} if tenant == UNLIMITED else {"plan": "counted"}),
                "models": list(PER_EVENT),
                "keys": [{"name": "ci", "sha256": sha256(key.encode()).hexdigest()}],
            }
            for tenant, key in keys.items()
        },
    }


def random_seed() -> int:
    """One that nobody knows; it is printed."""
    return secrets.randbelow(2**31)
