"""What the store costs: `python -m tests.store.store_cost [ROWS]` works off a journal on one core, per size of block.

Prints rows per second, the process's memory, and bytes on disk per row of each table. Rows are of 100 tenants with
five keys and three models each, at 2,000 a second.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from ledger.journal.reader import JournalReader
from ledger.rows import Row
from ledger.store import writer
from ledger.store.schema import REQUESTS
from tests.store.made_rows import NOVEMBER_MS, Chance, Journal, make_row
from tests.store.stores import open_store

BLOCKS = (5_000, 20_000, 100_000)


def main() -> None:
    os.sched_setaffinity(0, {0})
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    for block in BLOCKS:
        process = os.fork()
        if not process:
            measure(block, count)
            os._exit(0)
        os.waitpid(process, 0)


def measure(block: int, count: int) -> None:
    writer.BLOCK_ROWS, writer.LINGER_S = block, 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = Journal(folder / "ledger" / "usage.db")
        for at in range(0, count, 20_000):
            journal.append(some_rows(at, 20_000))
        store = open_store(folder / "usage")
        work = writer.Writer(store, JournalReader(folder / "ledger" / "usage.db"), "gateway-1", folder / "ledger")
        work.step()
        began, cpu, first = time.monotonic(), time.process_time(), rows_in(store)
        while work.step():
            pass
        took, used, rows = time.monotonic() - began, time.process_time() - cpu, rows_in(store) - first
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sys.stdout.write(
            f"blocks of {block}: {rows / took:,.0f} rows/s, {rows / used:,.0f} per s of CPU, at most {most:.0f} MB\n"
        )
        with store.client() as client:
            for table in ("usage_by_minute", "usage_by_hour", "usage_by_day", REQUESTS):
                client.command(f"OPTIMIZE TABLE {table} FINAL")
            found = client.query(
                "SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts"
                " WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"
            ).result_rows
        for table, rows, size in found:
            sys.stdout.write(
                f"  {table}: {rows} rows, {size / max(rows, 1):.1f} bytes each, {size / count:.1f} per request\n"
            )
        store.close()


def some_rows(at: int, count: int) -> list[Row]:
    chance, rows = Chance(at), []
    for number in range(at, at + count):
        tenant = chance.randrange(100)
        more = {"tenant": f"tenant-{tenant}", "key_id": f"{tenant}-{chance.randrange(5)}", "user": ""}
        rows.append(
            make_row(chance, NOVEMBER_MS + number // 2, **more, model=f"m{chance.randrange(3)}", estimated=False)
        )
    return rows


def rows_in(store: object) -> int:
    with store.client() as client:  # type: ignore[attr-defined]
        ((count,),) = client.query(f"SELECT count() FROM {REQUESTS}").result_rows
        return int(count)


if __name__ == "__main__":
    main()
