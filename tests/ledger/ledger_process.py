"""A `headgate serve ledger` of a test's own, on a state folder and a spool that the test writes."""

import datetime as dt
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis

from headgate.counters.limits import TenantLimits
from headgate.counters.reservation import Wish, read_verdict, reserve_call
from headgate.counters.standing import read_standing, standing_call
from headgate.credits import CreditsRow
from headgate.limits import LimitRow, LimitsRow
from headgate.prices import PriceRow
from headgate.snapshot import ModelRow, SlotsRow, Snapshot, SpoolRow, TenantRow, write_snapshot
from headgate.supervise.parts_file import boot_id
from headgate.supervise.process import start_ticks_of
from ledger.journal.progress import Progress, write_progress
from ledger.journal.reader import JournalReader
from ledger.rows import Row

HEADGATE = str(Path(sys.executable).with_name("headgate"))
LIMITS = LimitsRow((LimitRow("concurrency", 1_000_000),))


class Ledger:
    """One state folder. `valkey` is the socket of its counters, or their URL."""

    def __init__(self, state: Path, valkey: Path | str) -> None:
        self.state, self.spool = state, state / "spool"
        self.spool.mkdir(parents=True, exist_ok=True)
        (state / "run").mkdir(exist_ok=True)
        self._environ = {
            **os.environ,
            "HEADGATE_COUNTERS": f"unix://{valkey}" if isinstance(valkey, Path) else valkey,
        }
        self._log = (state / "ledger.log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None
        self.generation = 0

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
        return said_by(self.state, "ledger")

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """SIGTERM; it must end by itself and without an error."""
        assert self.process
        self.process.terminate()
        assert self.process.wait(15) == 0, self.log()

    def limit_files(self, size: int) -> None:
        """No file of the process may grow beyond this: writing fails as it does on a full disk."""
        assert self.process
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

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

    def journal(self) -> list[Row]:
        """All rows in it, those that take others back among them."""
        reader = JournalReader(self.state / "ledger/usage.db")
        try:
            return [row for entry in reader.after(0, 10**6) for row in entry.rows]
        finally:
            reader.close()

    def store_journal(self) -> None:
        """What the usage store does: keep all rows that there are, and say so."""
        reader = JournalReader(self.state / "ledger/usage.db")
        write_progress("store", Progress(reader.identity(), reader.newest()), self.state / "ledger")
        reader.close()

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
        self.tables(spool=SpoolRow(**spool))  # type: ignore[arg-type]

    def tables(
        self,
        limits: dict[str, LimitsRow] | None = None,
        price: PriceRow | None = None,
        spool: SpoolRow | None = None,
        retention_s: dict[str, int] | None = None,
        accounts: dict[str, CreditsRow] | None = None,
        engines: dict[str, SlotsRow] | None = None,
    ) -> None:
        """The accepted configuration: who has which limits, what the model `chat` costs, how the spool is kept."""
        self.generation += 1
        models = {
            name: ModelRow(
                stream_profile="s",
                whole_profile="w",
                max_attempts=1,
                headers_ms=1000,
                total_ms=1000,
                price=price,
                engines=tuple(engines or ()),
            )
            for name in ("chat", "big")
        }
        snapshot = Snapshot(
            generation=self.generation,
            created=0,
            max_body_bytes=1,
            keys=[],
            tenants={
                name: TenantRow(
                    {}, row, usage_retention_s=(retention_s or {}).get(name), credits=(accounts or {}).get(name)
                )
                for name, row in (limits or {}).items()
            },
            models=models,
            slots=engines or {},
            spool=spool or SpoolRow(min_free_bytes=1),
        )
        write_snapshot(snapshot, self.state / "snapshot.json")


def end_line(request_id: str, tenant: str | None = "acme", **more: Any) -> bytes:
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


def reserve(
    valkey: Redis,
    epoch: str,
    *request_ids: str,
    tenant: str = "acme",
    lease_ms: int = 600_000,
    limits: LimitsRow = LIMITS,
    account: CreditsRow | None = None,
    **wish: Any,
) -> None:
    """Reserve for each: of `limits`, what `wish` says; `key_id`, `model` and `user` are whose."""
    who = [wish.pop(name, default) for name, default in (("key_id", ""), ("model", "chat"), ("user", ""))]
    applying = TenantLimits(tenant, limits, account).applying(*who)
    for request_id in request_ids:
        script, keys, arguments = reserve_call(applying, Wish(request_id, epoch, **wish), lease_ms)
        verdict = read_verdict(applying, valkey.eval(script.text, len(keys), *keys, *arguments))  # type: ignore[arg-type]
        assert verdict.refused is None
        assert not verdict.unknown


def stands(
    valkey: Redis,
    limits: LimitsRow,
    tenant: str = "acme",
    key_id: str = "ci",
    model: str = "chat",
    user: str = "",
    account: CreditsRow | None = None,
) -> dict[str, tuple[int, int]]:
    """What the counters say of each limit of a caller: used, and reserved by open requests."""
    applying = TenantLimits(tenant, limits, account).applying(key_id, model, user)
    script, keys, arguments = standing_call(tenant, applying.limits)
    reply: Any = valkey.eval(script.text, len(keys), *keys, *arguments)  # type: ignore[arg-type]
    return {one.limit.name: (one.used, one.reserved) for one in read_standing(applying.limits, reply)}


def open_slots(valkey: Redis, tenant: str = "acme") -> set[str]:
    """Request ids that hold a slot."""
    found: Any = valkey.zrange(f"hg:{{{tenant}}}:open", 0, -1)
    return {member.partition("/")[2] for member in found}


def said_by(state: Path, part: str) -> dict[str, Any]:
    """What a part's socket in this state folder says; empty when nobody answers."""
    folder = os.open(state / "run", os.O_PATH)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(f"/proc/self/fd/{folder}/{part}.sock")
            said: dict[str, Any] = json.loads(client.makefile().readline() or "{}")
            return said
    except OSError:
        return {}
    finally:
        os.close(folder)


def wait_until(condition: Callable[[], object], within_s: float = 60.0, says: Callable[[], object] = str) -> float:
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
