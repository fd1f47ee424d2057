"""How fast the usage store answers: `python -m bench.usage --rows 10000000`. No part of `headgate bench`.

A chdb store is filled with made-up requests of 30 days, the way the writer does (a batch into `requests`, from there
into the rollups), by 1,000 tenants of which one makes a tenth of all. Then each kind of question is asked again and
again, one at a time, by Questions itself: from its line to the last line of its answer. CPU is of all threads.
"""

import argparse
import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.arithmetic import percentile
from bench.usage_rows import ROWS_SQL
from headgate.usage_questions import Export, Question, Sums
from ledger.store.batches import next_batch, roll_up
from ledger.store.client import Store
from ledger.store.migrations import bring_up, migrations
from ledger.store.questions import Questions

TENANTS = 1_000
DAYS = 30
BATCH = 100_000
_DAY_MS = 86_400_000


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--asks", type=int, default=200, help="of each kind")
    parser.add_argument("--folder", type=Path, help="keep the store there; one that is there is asked as it is")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="headgate-bench-"))
    until_ms = int(time.time() * 1000) // _DAY_MS * _DAY_MS
    store = Store(None, folder / "usage", lambda client: bring_up(client, migrations()))
    try:
        if not store.exists:
            folder.mkdir(exist_ok=True)
            _fill(store, given.rows, until_ms)
        _print_disk(store)
        asyncio.run(_ask_all(store, given.asks, until_ms // 1000))
    finally:
        store.close()
        if given.folder is None:
            shutil.rmtree(folder)


def _fill(store: Store, rows: int, until_ms: int) -> None:
    since_ms, began = until_ms - DAYS * _DAY_MS, time.monotonic()
    step_ms = DAYS * _DAY_MS / rows
    with store.client() as client:
        for first in track(range(0, rows, BATCH), "filling", transient=True):
            count = min(BATCH, rows - first)
            at_ms = [since_ms + int(number * step_ms) for number in (first, first + count)]
            batch = next_batch(client, 0)
            known = {"first": first, "count": count, "since": since_ms, "step": step_ms, "batch": batch}
            client.command(ROWS_SQL, parameters=known)
            roll_up(client, (at_ms[0], at_ms[1]), "bench", batch)
    seconds = time.monotonic() - began
    Console().print(
        f"{rows:,} rows in {seconds:.0f} s: {rows / seconds:,.0f} a second, into requests and the rollups"
    )


def _print_disk(store: Store) -> None:
    with store.client() as client:
        found = client.query(
            "SELECT table, sum(rows), sum(bytes_on_disk), count() FROM system.parts"
            " WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"
        ).result_rows
    table = Table("table", "rows", "disk", "bytes a row", "parts", box=None, pad_edge=False)
    for name, rows, size, parts in found:
        table.add_row(name, f"{rows:,}", f"{size / 1e6:,.0f} MB", f"{size / max(rows, 1):.1f}", str(parts))
    Console().print(table)


async def _ask_all(store: Store, asks: int, until_s: int) -> None:
    questions = Questions(store, clock=lambda: until_s)
    table = Table("question", "p50 ms", "p99 ms", "CPU ms", "answer", box=None, pad_edge=False)
    for name, some in _kinds(until_s):
        took_ms: list[float] = []
        cpu_ms: list[float] = []
        size = 0
        for number in range(asks + 1):
            line, size = msgspec.json.encode(next(some)), 0
            began, began_cpu = time.perf_counter(), time.process_time()
            async for answer in questions.answer(line):
                size += len(answer)
                if b'"failure"' in answer:
                    raise RuntimeError(answer.decode())
            if number:  # the first one opens files
                took_ms.append((time.perf_counter() - began) * 1000)
                cpu_ms.append((time.process_time() - began_cpu) * 1000)
        times = (median(took_ms), percentile(took_ms, 99), median(cpu_ms))
        table.add_row(name, *(f"{ms:.1f}" for ms in times), f"{size:,} B")
    questions.close()
    Console().print(table)


def _kinds(until_s: int) -> Iterator[tuple[str, Iterator[Question]]]:
    chance = random.Random(1)  # noqa: S311 - the same tenants in each run
    since_s = until_s - DAYS * 86_400

    def any_tenant() -> str:
        return f"tenant-{chance.randrange(1, TENANTS)}"

    def asked(whose: str | None, **more: object) -> Iterator[Question]:
        while True:
            tenant = any_tenant() if whose == "any" else whose
            known = {"tenant": tenant, "since_s": since_s, "until_s": until_s} | more
            yield msgspec.convert({"ask": "sums"} | known, Sums)

    def exported(tenant: str) -> Iterator[Question]:
        while True:
            yield Export(tenant=tenant, since_s=since_s, until_s=until_s, limit=2_000)

    big = "tenant-0"
    yield "a tenant's month", asked("any")
    yield "a tenant's month, by model and day", asked("any", by=["model"], width="day")
    yield "a tenant's month, by key and model", asked("any", by=["key_id", "model"])
    yield "a tenant's day, by model and hour", asked("any", by=["model"], width="hour", since_s=until_s - 86_400)
    yield "a tenant's month, times to the second", asked("any", since_s=since_s + 1, until_s=until_s - 1)
    yield "the biggest tenant's month", asked(big)
    yield "the biggest tenant's month, by model and day", asked(big, by=["model"], width="day")
    yield "the biggest tenant's month, by user", asked(big, by=["user"])
    yield "the biggest tenant's month, times to the second", asked(big, since_s=since_s + 1, until_s=until_s - 1)
    yield "everybody's month, by tenant", asked(None, by=["tenant"])
    yield "an export of 2,000 of its requests", exported(big)


if __name__ == "__main__":
    main()
