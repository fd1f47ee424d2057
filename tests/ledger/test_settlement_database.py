"""The database that can't be used: nothing is settled meanwhile, slots are free, and afterwards all is counted."""

import resource
import sqlite3
import time
from pathlib import Path

import pytest
from ledger_process import Ledger, cpu_s, open_slots, stands, wait_until
from redis import Redis
from spending import E1, LIMITS, PRICE, base_of, calendar_of, charged, in_database, reserved, settled_as, used_line

WAITS = "usage can't be counted: settling waits, slots are freed"


def slots(valkey: Redis) -> int:
    return stands(valkey, LIMITS)["concurrency"][1]


def test_locked_by_somebody_it_is_waited_for(limited: Ledger, valkey: Redis) -> None:
    reserved(valkey, E1, "a", "b", "c")
    with sqlite3.connect(limited.state / "ledger/usage.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        limited.append(E1, used_line("a"))
        wait_until(lambda: slots(valkey) == 2)
        assert len(open_slots(valkey)) == 3
        assert calendar_of(valkey)["monthly_tokens"] == (0, 4500)
        limited.append(E1, used_line("b"))
        wait_until(lambda: slots(valkey) == 1)
        other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: open_slots(valkey) == {"c"})
    assert calendar_of(valkey)["monthly_tokens"] == (240, 1500)
    assert len(limited.logged(WAITS)) == 1
    assert limited.logged("usage is counted again")


def test_a_full_disk_is_waited_for(limited: Ledger, valkey: Redis) -> None:
    """What would make a file longer is refused, as on a full disk."""
    reserved(valkey, E1, "a")
    limited.limit_files(0)
    limited.append(E1, used_line("a"))
    wait_until(lambda: slots(valkey) == 0)
    assert open_slots(valkey) == {"a"}
    limited.limit_files(resource.RLIM_INFINITY)
    wait_until(lambda: not open_slots(valkey))
    assert calendar_of(valkey) == settled_as(charged(limited.spool))


def test_a_broken_database_is_waited_for_from_the_start(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.tables({"acme": LIMITS}, PRICE)
    database = ledger.state / "ledger/usage.db"
    ledger.append(E1, used_line("a"))
    ledger.start()
    wait_until(lambda: calendar_of(valkey)["monthly_tokens"] == (120, 0))
    ledger.end()
    good = database.read_bytes()
    database.write_bytes(b"broken" + good[6:])
    reserved(valkey, E1, "b")
    ledger.append(E1, used_line("b"))
    ledger.start()
    wait_until(lambda: slots(valkey) == 0)
    assert open_slots(valkey) == {"b"}
    assert ledger.logged(WAITS)
    database.write_bytes(good)
    assert ledger.process
    assert ledger.process.wait(20) != 0  # a supervisor starts it again
    ledger.start()
    wait_until(lambda: not open_slots(valkey))
    assert calendar_of(valkey) == settled_as(charged(ledger.spool))


def test_a_database_that_is_taken_away_is_made_of_the_spool_again(limited: Ledger, valkey: Redis) -> None:
    limited.append(f"{E1}.000001", used_line("a") + used_line("b"))
    limited.append(E1, used_line("c"))
    wait_until(lambda: calendar_of(valkey)["daily_requests"] == (3, 0))
    wait_until(lambda: [mark["done_at"] is None for mark in limited.checkpoint()["files"]] == [False, True])
    limited.end()
    for path in (limited.state / "ledger").glob("usage.db*"):
        path.unlink()
    limited.append(E1, used_line("d"))
    limited.start()
    wait_until(lambda: calendar_of(valkey) == settled_as(charged(limited.spool)))
    assert in_database(limited, "SELECT sum(requests) FROM usage_by_day") == [(4,)]
    assert limited.says()["end"] == 1  # in the metrics, the others are


def test_a_backlog_is_settled_in_bounded_memory(
    ledger: Ledger, valkey: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    number = 20_000
    ledger.alive(E1)
    ledger.tables({"acme": LIMITS}, PRICE)
    names = [f"{index:036d}" for index in range(number)]
    valkey.hset(base_of(LIMITS), "another", "1")
    reserved(valkey, E1, *names[:2000])
    ledger.append(E1, b"".join(map(used_line, names)))
    everything = settled_as(charged(ledger.spool))
    began = time.monotonic()
    ledger.start()
    assert ledger.process
    wait_until(lambda: calendar_of(valkey) == everything, within_s=60)
    took = time.monotonic() - began
    status = Path(f"/proc/{ledger.process.pid}/status").read_text()
    peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    with capsys.disabled():
        each_us = cpu_s(ledger.process.pid) / number * 1e6
        print(f"\n{number} lines settled in {took:.1f} s, {each_us:.0f} µs of CPU each, {peak_kib // 1024} MiB")  # noqa: T201
    assert peak_kib < 200 * 1024
