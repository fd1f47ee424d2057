"""A `headgate serve ledger` of a test's own, on a state folder and a spool that the test writes."""

import datetime as dt
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis

from headgate.counters.scripts import RESERVE
from headgate.snapshot import LimitsRow
from headgate.supervise.parts_file import boot_id
from headgate.supervise.process import start_ticks_of
from ratelimit.limits import TenantLimits

HEADGATE = str(Path(sys.executable).with_name("headgate"))
LIMITS = LimitsRow(concurrency=1_000_000)


class Ledger:
    """One state folder. `valkey` is the socket of its counters."""

    def __init__(self, state: Path, valkey: Path) -> None:
        self.state, self.spool = state, state / "spool"
        self.spool.mkdir(parents=True)
        (state / "run").mkdir()
        self._environ = {**os.environ, "HEADGATE_COUNTERS": f"unix://{valkey}"}
        self._log = (state / "ledger.log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [HEADGATE, "serve", "ledger", "--state", str(self.state)],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        wait_until(lambda: "lines" in self.says())

    def says(self) -> dict[str, int]:
        """What its socket says; empty when nobody answers."""
        folder = os.open(self.state / "run", os.O_PATH)  # a socket's path must be short
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect(f"/proc/self/fd/{folder}/ledger.sock")
                said: dict[str, int] = json.loads(client.makefile().readline() or "{}")
                return said
        except OSError:
            return {}
        finally:
            os.close(folder)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """SIGTERM; it must end by itself and without an error."""
        assert self.process
        self.process.terminate()
        assert self.process.wait(15) == 0, self.log()

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.kill()
        self._log.close()

    def log(self) -> str:
        return (self.state / "ledger.log").read_text()

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log lines that say so."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def checkpoint(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "ledger/checkpoint.json").read_bytes())
        return found

    def checkpoint_of(self, name: str) -> dict[str, Any]:
        """How far it is with other files; empty before it has said so."""
        try:
            found: dict[str, Any] = json.loads((self.state / f"ledger/{name}.json").read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def path(self, name: str) -> Path:
        return self.spool / f"{name}.ndjson"

    def append(self, name: str, data: bytes) -> None:
        with self.path(name).open("ab", buffering=0) as file:
            file.write(data)

    def append_attempts(self, epoch: str, *lines: bytes) -> None:
        with (self.spool / f"{epoch}.attempts").open("ab", buffering=0) as file:
            file.write(b"".join(lines))

    def alive(self, *epochs: str) -> None:
        """Have parts.json say that these Envoys live: each is this process, which does."""
        pid = os.getpid()
        record = {"pid": pid, "start_ticks": start_ticks_of(pid), "digest": ""}
        parts = {f"envoy-{epoch}": {**record, "spool": f"spool/{epoch}.ndjson"} for epoch in epochs}
        draft = self.state / ".parts"
        draft.write_text(json.dumps({"boot_id": boot_id(), "parts": parts, "version": 1}))
        draft.replace(self.state / "parts.json")

    def settings(self, **spool: float) -> None:
        """What the snapshot says of the spool."""
        draft = self.state / ".snapshot"
        draft.write_text(json.dumps({"generation": 1, "spool": spool, "tenants": {}}))
        draft.replace(self.state / "snapshot.json")


def end_line(request_id: str, tenant: str = "acme", **more: Any) -> bytes:
    """An `end` line as Envoy writes it, shortened."""
    line = {
        "v": 1,
        "type": "end",
        "request_id": request_id,
        "tenant": tenant,
        "model": "chat",
        "reserved": True,
        **more,
    }
    return json.dumps(line).encode() + b"\n"


def attempt_line(request_id: str, **more: Any) -> bytes:
    """The line of a failed attempt as Envoy writes it."""
    line = {
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        "request_id": request_id,
        "target": "a",
        "cluster": "provider/a@0123456789",
        "upstream_model": None,
        "status": 503,
        "flags": "-",
        "reason": None,
        "retry_after": None,
        "duration_ms": 12,
        **more,
    }
    return json.dumps(line).encode() + b"\n"


def reserve(valkey: Redis, epoch: str, *request_ids: str, tenant: str = "acme", lease_ms: int = 600_000) -> None:
    """Take a slot for each."""
    limits = TenantLimits(tenant, LIMITS)
    for request_id in request_ids:
        keys, arguments = limits.keys(request_id), limits.arguments(epoch, request_id, lease_ms)
        assert valkey.eval(RESERVE.text, len(keys), *keys, *arguments)[0] == 0  # type: ignore[index]


def open_slots(valkey: Redis, tenant: str = "acme") -> set[str]:
    """Request ids that hold a slot."""
    found: Any = valkey.zrange(f"hg:{{{tenant}}}:open", 0, -1)
    return {member.partition("/")[2] for member in found}


def wait_until(condition: Callable[[], object], within_s: float = 20.0, says: Callable[[], object] = str) -> float:
    """Wait until it holds; the seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, says()
        time.sleep(0.005)
    return time.monotonic() - began


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    fields: list[str] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
