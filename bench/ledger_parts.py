"""The ledger, its counters and the usage store's part, as `headgate up` runs them, in a state directory of the bench.

No Envoy: the bench writes the spool.
"""

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from bench.child import end
from bench.failure import Failure
from bench.spool_lines import TENANTS
from bench.stored import Stored
from headgate import contract
from headgate.limits import LimitRow, LimitsRow
from headgate.prices import PriceList, PriceRow, write_prices
from headgate.snapshot import ModelRow, Snapshot, SpoolRow, TenantRow, write_snapshot
from headgate.supervise import binaries
from headgate.supervise.parts_file import boot_id
from headgate.supervise.process import start_ticks_of

EPOCH = "20260101T000000-bench"
LIMITS = LimitsRow(
    (
        LimitRow("concurrency", 10**6),
        LimitRow("tpm", 10**12),
        LimitRow("daily_requests", 10**12),
        LimitRow("monthly_tokens", 10**12),
        LimitRow("monthly_usd", 10**15),
        LimitRow("daily_tokens", 10**12, by=("key", "model")),
    )
)
_PRICE = PriceRow(Decimal("2.5"), Decimal("1.25"), Decimal("2.5"), Decimal(10))
_STARTS_WITHIN_S = 60.0


class LedgerParts:
    """`start` them by name: "valkey", "ledger", "usage", and what else there is a command for."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.spool = state / contract.SPOOL
        self.pids: dict[str, int] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.stored = Stored(state)
        self.spool.mkdir(parents=True)
        (state / "run").mkdir()
        self._write_tables()

    @property
    def counters(self) -> Path:
        """The socket of Valkey."""
        return self.state / "valkey.sock"

    def start_all(self, environ: Mapping[str, str] | None = None) -> None:
        """Valkey, the ledger and the usage store's part; `environ` is for the last. Raises Failure."""
        folder = ("--dir", str(self.state), "--appendonly", "yes", "--save", "")
        self.start("valkey", (binaries.valkey_server(), "--port", "0", "--unixsocket", str(self.counters), *folder))
        self.wait(self.counters.exists)
        here = {contract.COUNTERS_URL_ENV: f"unix://{self.counters}"}
        for part, more in (("ledger", here), ("usage", environ or {})):
            self.start(part, (*binaries.headgate(), "serve", part, "--state", str(self.state)), more)
        self.wait(lambda: "lines" in self.ledger())
        self.wait((self.state / contract.USAGE_SOCKET).exists)

    def start(self, name: str, command: tuple[str, ...], environ: Mapping[str, str] | None = None) -> None:
        """A process, on the cores that this one may use now."""
        with (self.state / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, env={**os.environ, **(environ or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._processes[name], self.pids[name] = process, process.pid

    def end(self, name: str) -> None:
        """End one of them."""
        end(self._processes.pop(name))
        del self.pids[name]

    def close(self) -> None:
        """End all of them, the last one first."""
        for name in reversed([*self._processes]):
            self.end(name)
        self.stored.close()

    def ledger(self) -> dict[str, int]:
        """What the ledger says on its socket; nothing when it does not answer."""
        try:
            with socket.socket(socket.AF_UNIX) as asked:
                asked.settimeout(30)
                asked.connect(str(self.state / contract.LEDGER_SOCKET))
                said: dict[str, int] = json.loads(asked.makefile().readline() or "{}")
                return said
        except OSError:
            return {}

    def wait(self, done: Callable[[], object], within_s: float = _STARTS_WITHIN_S) -> None:
        """Raises Failure when it takes too long, or a process has ended."""
        deadline = time.monotonic() + within_s
        while not done():
            ended = [name for name, process in self._processes.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                name = ended[0] if ended else "ledger"
                log = (self.state / f"{name}.log").read_text()[-2_000:]
                raise Failure(f"{name} {'has ended' if ended else 'takes too long'}:\n{log}")
            time.sleep(0.05)

    def _write_tables(self) -> None:
        """An accepted configuration, its prices, and that Envoy lives: this process stands for it."""
        model = ModelRow(
            stream_profile="s", whole_profile="w", max_attempts=1, headers_ms=1_000, total_ms=1_000, price=_PRICE
        )
        snapshot = Snapshot(
            generation=1,
            created=0,
            max_body_bytes=1,
            keys=[],
            tenants={name: TenantRow({}, LIMITS) for name in TENANTS},
            models={"chat": model},
            spool=SpoolRow(min_free_bytes=1, rotate_bytes=2**40, keep_s=0.0),
        )
        write_snapshot(snapshot, self.state / contract.SNAPSHOT)
        write_prices(PriceList({"chat": _PRICE}), self.state / contract.PRICES, 1)
        pid = os.getpid()
        envoy = {"pid": pid, "start_ticks": start_ticks_of(pid), "digest": "", "spool": f"spool/{EPOCH}.ndjson"}
        parts = {"boot_id": boot_id(), "parts": {"envoy": envoy}, "version": 1}
        (self.state / contract.PARTS).write_text(json.dumps(parts))


@contextlib.contextmanager
def ledger_parts(state: Path) -> Iterator[LedgerParts]:
    """None of them is left afterwards."""
    parts = LedgerParts(state)
    try:
        yield parts
    finally:
        parts.close()
