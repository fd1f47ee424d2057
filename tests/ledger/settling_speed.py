"""How fast one core settles a prepared spool: `python tests/ledger/settling_speed.py [LINES]`.

A ledger of its own, on the first core that there is; its Valkey and this script are on the others.
"""

import datetime as dt
import os
import random
import sys
import tempfile
import time
import uuid
from pathlib import Path

from ledger_process import Ledger, cpu_s, end_line, wait_until
from spending import E1, LIMITS, PRICE, in_database

from headgate.contract import PRICES
from headgate.prices import PriceList, write_prices
from tests.counters.valkey_server import ValkeyServer

TENANTS = tuple(f"tenant-{number}" for number in range(20))


def line(chance: random.Random) -> bytes:
    """As long as Envoy's, about a kB, with everything that usual requests have."""
    prompt, completion = chance.randrange(4000), chance.randrange(900)
    return end_line(
        str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        tenant=chance.choice(TENANTS),
        time=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        trace_id=None,
        key_id="ci",
        user=f"user-{chance.randrange(5000)}",
        project=None,
        surface="chat",
        target="openai",
        provider_key=None,
        upstream_model="gpt-4o-mini",
        attempts=1,
        status=200,
        flags="-",
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=prompt // 3,
        cache_write_tokens=None,
        reasoning_tokens=0,
        estimated_tokens=prompt,
        estimated_completion_tokens=None,
        counted_tokens=prompt,
        unit=None,
        units=None,
        estimated_units=None,
        content_events=completion,
        content_bytes=4 * completion,
        bytes_in=5 * prompt,
        bytes_out=200 * completion,
        request_ms=1,
        first_byte_ms=chance.randrange(900),
        first_token_ms=None,
        duration_ms=chance.randrange(1000, 9000),
        streamed=True,
        variant=None,
        provider_left=None,
        budgets=None,
        reserved=True,
        config_generation=1,
        price_generation=1,
    )


def settled(ledger: Ledger) -> int:
    return int(in_database(ledger, "SELECT coalesce(sum(requests), 0) FROM usage_by_day")[0][0])


def main(number: int) -> None:
    first, *others = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        os.sched_setaffinity(0, others or [first])
        server = ValkeyServer(Path(folder))
        server.start()
        ledger = Ledger(Path(folder) / "state", server.socket)
        try:
            ledger.alive(E1)
            ledger.tables(dict.fromkeys(TENANTS, LIMITS), PRICE)
            write_prices(PriceList({"chat": PRICE}), ledger.state / PRICES.name, 1)
            chance = random.Random(1)  # noqa: S311 - not a secret
            draft = ledger.spool / ".prepared"
            with draft.open("wb") as file:
                file.writelines(line(chance) for _ in range(number))
            os.sched_setaffinity(0, [first])
            ledger.start()
            os.sched_setaffinity(0, others or [first])
            assert ledger.process
            pid = ledger.process.pid
            before, began = cpu_s(pid), time.monotonic()
            size = draft.stat().st_size
            draft.rename(ledger.path(E1))
            wait_until(lambda: settled(ledger) == number and not ledger.says()["behind_bytes"], 600, ledger.log)
            took_s, worked_s = time.monotonic() - began, cpu_s(pid) - before
            peak_kib = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]
            database = sum(path.stat().st_size for path in (ledger.state / "ledger").glob("usage.db"))
            print(  # noqa: T201
                f"{number} lines of {size / number:.0f} bytes in {took_s:.1f} s: {number / took_s:.0f} a second,"
                f" {worked_s / number * 1e6:.0f} µs of CPU each ({number / worked_s:.0f} a second),"
                f" peak {int(peak_kib) // 1024} MiB, usage.db {database / number:.0f} bytes each"
            )
        finally:
            ledger.close()
            server.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
