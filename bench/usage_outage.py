"""An hour without the usage store, and how fast what it missed is worked off: `python -m bench.usage_outage`.

No part of `headgate bench`. `--minutes` of lines at `--rate` a second are written for a ledger whose store is away,
`--faster` than they would come, in flushes of Envoy's 20 ms of that time. Then the store is back, while lines go on
to come at `--rate` by the clock, until nothing waits. The store is chdb in the state directory; with `--server` one
behind HTTP (tests/store/clickhouse_shim.py of the checkout). It ends with an error where a request is missing or is
counted twice, or where a spool file stays.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bench.failure import Failure
from bench.ledger_parts import EPOCH, LedgerParts, ledger_parts
from bench.meter import cpu_ns, resident_bytes
from bench.spool_lines import Lines
from headgate.contract import USAGE_SOCKET, USAGE_URL_ENV
from headgate.supervise.ports import free_port
from headgate.usage_client import UsageClient
from headgate.usage_questions import Sums
from ledger.store.writer import BLOCK_ROWS

FLUSH_S = 0.02
FILE_BYTES = 64 * 2**20  # where Envoy's would be rotated
AFTER_S = 20.0  # of traffic when nothing waits any more
_SHIM = "tests.store.clickhouse_shim"


def main() -> None:
    """Away, back, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=500, help="requests per second")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--faster", type=float, default=12.0, help="so many times, while the store is away")
    parser.add_argument("--server", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as name, ledger_parts(Path(name) / "state") as parts:
        store = Store(parts, Path(name) / "server" if given.server else None)
        store.lose()
        parts.start_all(store.environ)
        outage = Outage(parts, store, given.rate)
        outage.away(given.minutes * 60, given.faster)
        outage.back()
        outage.after()


class Store:
    """The store of the parts, lost and found."""

    def __init__(self, parts: LedgerParts, folder: Path | None) -> None:
        self._parts, self._folder = parts, folder
        self._port = free_port()
        self.environ = {USAGE_URL_ENV: f"clickhouse://bench@127.0.0.1:{self._port}/bench"} if folder else {}

    def lose(self) -> None:
        """There is none: nobody answers, or its folder can't be opened."""
        if not self._folder:
            (self._parts.state / "usage").touch()

    def find(self) -> None:
        """It is there."""
        if self._folder:
            self._parts.start("server", (sys.executable, "-m", _SHIM, str(self._folder), str(self._port)))
        else:
            (self._parts.state / "usage").unlink()


class Spool:
    """Writes lines as Envoy does: into one file, and a new one where it is full."""

    def __init__(self, parts: LedgerParts) -> None:
        self._current = parts.spool / f"{EPOCH}.ndjson"
        self._file = self._current.open("ab", buffering=0)
        self._rotated = 0

    def write(self, data: bytes) -> None:
        """Lines that are flushed together."""
        self._file.write(data)
        if self._file.tell() >= FILE_BYTES:
            self.rotate()

    def rotate(self) -> None:
        """Set the file aside, and open a new one."""
        self._rotated += 1
        self._current.rename(self._current.with_name(f"{EPOCH}.{self._rotated:06d}.ndjson"))
        self._file.close()
        self._file = self._current.open("ab", buffering=0)


class Outage:
    """The store is away from the beginning; then `away`, `back` and `after`, in this order."""

    def __init__(self, parts: LedgerParts, store: Store, rate: int) -> None:
        self._parts, self._store, self._rate = parts, store, rate
        self._lines = Lines(random.Random(1))  # noqa: S311 - the same requests in each run
        self._spool = Spool(parts)
        self._print = Console(highlight=False, soft_wrap=True).print
        self._since_s = time.time()

    def away(self, seconds: float, faster: float) -> None:
        """All of its lines, into the journal."""
        at_s = self._since_s = time.time() - seconds
        count, began, due = round(seconds * self._rate), time.monotonic(), time.monotonic()
        while self._lines.count < count:
            flush = min(max(round(self._rate * FLUSH_S), 1), count - self._lines.count)
            at_s += flush / self._rate
            self._spool.write(b"".join([self._lines.of(at_s) for _ in range(flush)]))
            due += flush / self._rate / faster
            time.sleep(max(due - time.monotonic(), 0))
        self._parts.wait(lambda: self._is_settled() and self._parts.stored.waiting() == count, 3_600)
        took_s = time.monotonic() - began
        self._print(f"away: {count:,} requests in {took_s:.0f} s, all settled; load {os.getloadavg()[0]:.1f}")
        self._print_memory()
        journal = (self._parts.state / "ledger" / "usage.db").stat().st_size
        spool = sum(path.stat().st_size for path in self._parts.spool.iterdir())
        self._print(
            f"  disk: usage.db {journal / 1e6:,.0f} MB ({journal / count:.0f} bytes a request),"
            f" spool {spool / 1e6:,.0f} MB ({spool / count:.0f})"
        )

    def back(self) -> None:
        """The store is there: until nothing waits but what is coming."""
        missed, before = self._lines.count, {name: cpu_ns(pid) for name, pid in self._parts.pids.items()}
        began = time.monotonic()
        with self._traffic():
            self._store.find()
            self._parts.wait(lambda: self._parts.stored.waiting() < missed, 300)
            first_s = time.monotonic() - began
            self._parts.wait(lambda: self._parts.stored.waiting() <= max(BLOCK_ROWS, 10 * self._rate), 3_600)
            took_s, came = time.monotonic() - began, self._lines.count - missed
            stored = self._lines.count - self._parts.stored.waiting()
            cpu = {name: (cpu_ns(pid) - before.get(name, 0)) / 1e9 for name, pid in self._parts.pids.items()}
            rate = stored / took_s
            self._print(
                f"back: {missed:,} and most of {came:,} more are stored in {took_s:.0f} s, the first after"
                f" {first_s:.1f} s: {rate:,.0f} a second, {rate / (came / took_s):.1f} times what came meanwhile;"
                f" load {os.getloadavg()[0]:.1f}"
            )
            self._print("  CPU: " + ", ".join(f"{name} {used:.0f} s" for name, used in cpu.items()))
            self._print_memory()
            time.sleep(AFTER_S)

    def after(self) -> None:
        """Everything is stored once, and no spool file stays. Raises Failure."""
        self._spool.rotate()
        self._parts.wait(lambda: self._is_settled() and self._parts.stored.is_all(), 60)
        for question in self._questions():
            answer = asyncio.run(UsageClient(self._parts.state / USAGE_SOCKET).ask(question))
            row = answer.rows[0]
            found = (row.requests, row.prompt_tokens, row.completion_tokens)
            if found != (self._lines.count, self._lines.input, self._lines.output):
                raise Failure(f"the store has {found}, of {self._lines.count:,} requests")
        self._parts.wait(lambda: sum(path.stat().st_size for path in self._parts.spool.glob("*.ndjson")) == 0, 60)
        self._print(f"after: {self._lines.count:,} requests are stored once, and no spool file is left")

    @contextmanager
    def _traffic(self) -> Iterator[None]:
        """Lines that come by the clock, from a thread of their own."""
        stop = threading.Event()

        def write() -> None:
            each, due = max(round(self._rate * FLUSH_S), 1), time.monotonic()
            while not stop.is_set():
                self._spool.write(b"".join([self._lines.of(time.time()) for _ in range(each)]))
                due += each / self._rate
                time.sleep(max(due - time.monotonic(), 0))

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _questions(self) -> Iterator[Sums]:
        """By the sums of whole days, and by the requests themselves."""
        since_s, until_s = int(self._since_s) - 86_400, int(time.time()) + 60
        yield Sums(tenant=None, since_s=since_s // 86_400 * 86_400, until_s=until_s)
        yield Sums(tenant=None, since_s=since_s // 60 * 60 + 1, until_s=until_s // 60 * 60 - 1)

    def _is_settled(self) -> bool:
        return self._parts.ledger().get("behind_bytes") == 0

    def _print_memory(self) -> None:
        memory = (
            f"{name} {resident_bytes(pid) / 1e6:,.0f} MB (at most {resident_bytes(pid, 'VmHWM') / 1e6:,.0f})"
            for name, pid in self._parts.pids.items()
            if name != "valkey"
        )
        self._print(f"  memory: {', '.join(memory)}")


if __name__ == "__main__":
    main()
