"""What a request costs from its line in the spool to its row in the store: `python -m bench.settling`.

No part of `headgate bench`. The ledger, its Valkey and the usage store's part (chdb) share one core, this process
has the others. Every request has a reservation first, of six limits. Then lines come as Envoy writes them, so many a
second in flushes of 20 ms; and then as a backlog, all at once. CPU is of all threads, and has what the parts do by
the clock in it.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.ledger_parts import EPOCH, LIMITS, LedgerParts, ledger_parts
from bench.meter import cpu_ns, resident_bytes
from bench.spool_lines import Lines, Request
from headgate.counters.address import CountersAddress
from headgate.counters.client import Counters
from headgate.counters.limits import TenantLimits
from headgate.counters.reservation import Wish, read_verdict, reserve_call

FLUSH_S = 0.02
_AT_ONCE = 64
_LEASE_MS = 3_600_000


def main() -> None:
    """Paced, then at once; print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=2_000, help="requests per second")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--backlog", type=int, default=100_000, help="requests at once")
    given = parser.parse_args()
    first, *others = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        os.sched_setaffinity(0, [first])
        with ledger_parts(Path(folder) / "state") as parts:
            parts.start_all()
            os.sched_setaffinity(0, others or [first])
            lines = Lines(random.Random(1))  # noqa: S311 - the same requests in each run
            _settle(parts, [lines.request()], lines)  # opens files, and loads chdb
            paced = _measured(parts, lines, given.rate * given.seconds, given.rate)
            at_once = _measured(parts, lines, given.backlog, None)
            _print(paced, at_once, parts)


class Measured:
    """Requests, seconds from the first line to the last row, and CPU seconds of each process."""

    def __init__(self, requests: int, wall_s: float, cpu_s: dict[str, float]) -> None:
        self.requests, self.wall_s, self.cpu_s = requests, wall_s, cpu_s

    def per_thousand(self, name: str) -> float:
        """CPU ms of a process per 1,000 requests."""
        return self.cpu_s[name] / self.requests * 1e6

    @property
    def total(self) -> float:
        """Of all processes."""
        return sum(map(self.per_thousand, self.cpu_s))


def _measured(parts: LedgerParts, lines: Lines, count: int, rate: int | None) -> Measured:
    requests = [lines.request() for _ in range(count)]
    asyncio.run(_reserve(parts, requests))
    before, began = {name: cpu_ns(pid) for name, pid in parts.pids.items()}, time.monotonic()
    _settle(parts, requests, lines, rate)
    wall_s = time.monotonic() - began
    return Measured(count, wall_s, {name: (cpu_ns(parts.pids[name]) - ns) / 1e9 for name, ns in before.items()})


async def _reserve(parts: LedgerParts, requests: Iterable[Request]) -> None:
    """As the limiter does, some at a time."""
    counters = Counters(CountersAddress(path=str(parts.counters)), 60.0)
    counters.start()
    waiting = iter(requests)

    async def reserve() -> None:
        for request in waiting:
            applying = TenantLimits(request.tenant, LIMITS).applying("ci", "chat", request.user)
            wish = Wish(request.id, EPOCH, input=1_000, output=500, fixed_nano=2_500_000, rate_nano="10000")
            verdict = read_verdict(applying, await counters.run(*reserve_call(applying, wish, _LEASE_MS)))
            if verdict.refused or verdict.unknown or verdict.closed:
                raise RuntimeError(f"not reserved: {verdict}")

    try:
        await asyncio.gather(*(reserve() for _ in range(_AT_ONCE)))
    finally:
        await counters.close()


def _settle(parts: LedgerParts, requests: list[Request], lines: Lines, rate: int | None = None) -> None:
    """Write their lines, and wait until the store has all."""
    now = time.time()
    if rate is None:
        _append(parts, b"".join([lines.of(now, request) for request in requests]))
    else:
        each, due = max(round(rate * FLUSH_S), 1), time.monotonic()
        for at in range(0, len(requests), each):
            _append(parts, b"".join([lines.of(time.time(), request) for request in requests[at : at + each]]))
            due += each / rate
            time.sleep(max(due - time.monotonic(), 0))
    parts.wait(lambda: not parts.ledger().get("behind_bytes", 1), 600)
    parts.stored.until_all()


def _append(parts: LedgerParts, data: bytes) -> None:
    with (parts.spool / f"{EPOCH}.ndjson").open("ab", buffering=0) as file:
        file.write(data)


def _print(paced: Measured, at_once: Measured, parts: LedgerParts) -> None:
    rate = paced.requests / paced.wall_s
    table = Table("CPU per 1,000 requests", f"{rate:,.0f} a second", "a backlog", box=None, pad_edge=False)
    for name in paced.cpu_s:
        table.add_row(name, *(f"{some.per_thousand(name):.0f} ms" for some in (paced, at_once)))
    table.add_row("all", *(f"{some.total:.0f} ms" for some in (paced, at_once)))
    table.add_row("a core takes", *(f"{1e6 / some.total:,.0f} a second" for some in (paced, at_once)))
    console = Console()
    console.print(table)
    speed = at_once.requests / at_once.wall_s
    console.print(f"The backlog of {at_once.requests:,} on one core: {speed:,.0f} a second, to the last row")
    memory = ", ".join(f"{name} {resident_bytes(pid, 'VmHWM') / 1e6:,.0f} MB" for name, pid in parts.pids.items())
    console.print(f"Most memory: {memory}")
    _print_disk(parts)


def _print_disk(parts: LedgerParts) -> None:
    count = parts.ledger()["end"]
    spool = sum(path.stat().st_size for path in parts.spool.iterdir())
    database = sum(path.stat().st_size for path in (parts.state / "ledger").glob("usage.db*"))
    Console().print(f"Disk: spool {spool / count:.0f} bytes a request, usage.db {database / count:.0f}")


if __name__ == "__main__":
    main()
