"""The follower as a process, on spool files of every kind: what has ended is settled, once in effect, and soon."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ledger_process import Ledger, cpu_s, end_line, open_slots, reserve, wait_until
from redis import Redis

from tests.counters.valkey_server import ValkeyServer

E1, E2 = "20260101T000000-aaaaaa", "20260101T000001-bbbbbb"


def ids(number: int, prefix: str = "r") -> list[str]:
    return [f"{prefix}{index}" for index in range(number)]


def test_ended_requests_give_back_what_they_hold(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    reserve(valkey, E1, "a", "b", "c")
    reserve(valkey, E1, "x", tenant="globex")
    ledger.append(E1, end_line("a"))
    ledger.start()
    wait_until(lambda: open_slots(valkey) == {"b", "c"})
    ledger.append(E1, end_line("b") + end_line("x", "globex"))
    wait_until(lambda: open_slots(valkey) == {"c"} and not open_slots(valkey, "globex"))


def test_only_what_may_hold_something_is_settled(ledger: Ledger, valkey: Redis) -> None:
    """Told apart by what each line leaves behind: a closed request is remembered."""
    ledger.alive(E1)
    ledger.append(E1, end_line("unknown", reserved=None) + end_line("nothing", reserved=False))
    unplanned: dict[str, Any] = {"model": None, "reserved": None}
    ledger.append(E1, end_line("early", **unplanned, status=404) + end_line("refused", tenant=None))
    ledger.append(E1, end_line("asked", **unplanned, surface="models", status=200) + end_line("left", **unplanned))
    ledger.append(E1, end_line("last"))
    ledger.start()
    wait_until(lambda: valkey.exists("hg:{acme}:r:last"))
    assert sorted(valkey.keys("hg:*:r:*")) == ["hg:{acme}:r:last", "hg:{acme}:r:left", "hg:{acme}:r:unknown"]


def test_a_line_in_pieces_counts_when_it_is_whole(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.start()
    for number in range(12):
        request_id = f"r{number}"
        reserve(valkey, E1, request_id)
        line = end_line(request_id, user="é" * 40)
        for at in range(number, len(line), 17):
            ledger.append(E1, line[at - number : at - number + 17])
        ledger.append(E1, line[at - number + 17 :])
        wait_until(lambda: not open_slots(valkey))
    assert ledger.says()["end"] == 12
    assert "garbage" not in ledger.says()


def test_garbage_is_counted_and_passed_over(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    reserve(valkey, E1, *ids(3))
    junk = [
        b"\n",
        b"{\n",
        b"\xff\xfe\n",
        b"[1]\n",
        b'{"type":"end"}\n',
        b'{"type":7,"request_id":"r"}\n',
        *(
            b'{"type":"end","request_id":"r","price_factor":%s}\n' % text
            for text in (b'"NaN"', b'"-1"', b'"1e9"', b"1")
        ),
        b"\x00" * 99 + b"\n",
    ]
    ledger.append(E1, end_line("r0") + b"".join(junk) + end_line("r1"))
    ledger.append(E1, b"x" * 5_000_000 + b"\n" + b"y" * 300_000 + b"\n" + end_line("r2"))
    ledger.start()
    wait_until(lambda: not open_slots(valkey))
    assert ledger.says()["end"] == 3
    assert ledger.says()["garbage"] >= len(junk) + 1
    assert ledger.logged("spool lines that are none")


def test_a_restart_goes_on_where_it_was(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.append(E1, b"".join(end_line(name) for name in ids(500)))
    ledger.start()
    wait_until(lambda: ledger.says().get("end") == 500 and ledger.says()["behind_bytes"] == 0)
    ledger.end()
    (mark,) = ledger.checkpoint()["files"]
    assert mark["settled"] == mark["read"] == ledger.path(E1).stat().st_size
    reserve(valkey, E1, "new")
    ledger.append(E1, end_line("new"))
    ledger.start()
    wait_until(lambda: not open_slots(valkey))
    assert ledger.says()["end"] == 1


def test_killed_again_and_again_it_settles_everything(ledger: Ledger, valkey: Redis) -> None:
    """SIGKILL at any moment, while lines come in: afterwards no slot is taken and none was freed that is not ours."""
    ledger.alive(E1)
    reserve(valkey, E2, "other")  # another gateway's, on the same counters
    number = 0
    for round_ in range(8):
        ledger.start()
        for _ in range(30):
            some = [f"r{number + index}" for index in range(20)]
            number += 20
            reserve(valkey, E1, *some)
            ledger.append(E1, b"".join(map(end_line, some)))
        time.sleep(0.02 * round_)
        ledger.kill()
    ledger.start()
    wait_until(lambda: open_slots(valkey) == {"other"})
    assert valkey.zcard("hg:{acme}:open") == 1


def test_a_broken_checkpoint_means_reading_again(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.append(E1, b"".join(end_line(name) for name in ids(20)))
    (ledger.state / "ledger").mkdir()
    (ledger.state / "ledger/checkpoint.json").write_bytes(b'{"files": [{]')
    reserve(valkey, E1, "r7")
    ledger.start()
    wait_until(lambda: not open_slots(valkey))
    assert ledger.logged("checkpoint can't be read: the whole spool is settled again")


def test_another_file_in_the_place_of_one_is_read_from_its_start(ledger: Ledger, valkey: Redis) -> None:
    """An inode number is used again: what the file begins with says which one it is."""
    ledger.alive(E1)
    ledger.append(E1, b"".join(end_line(name) for name in ids(20)))
    ledger.start()
    wait_until(lambda: ledger.says().get("end") == 20)
    ledger.end()
    reserve(valkey, E1, "n0")
    text = b"".join(end_line(name) for name in ids(40, "n"))
    with ledger.path(E1).open("r+b") as file:  # the same inode, and longer than the old one was
        file.truncate(0)
        file.write(text)
    ledger.start()
    wait_until(lambda: not open_slots(valkey))
    assert ledger.says()["end"] == 40


def test_counters_that_are_away_are_waited_for(ledger: Ledger, server: ValkeyServer, valkey: Redis) -> None:
    ledger.alive(E1)
    reserve(valkey, E1, *ids(300))
    ledger.append(E1, b"".join(end_line(name) for name in ids(100)))
    ledger.start()
    wait_until(lambda: len(open_slots(valkey)) == 200)
    wait_until(lambda: ledger.checkpoint()["files"][0]["settled"])
    settled = ledger.checkpoint()["files"][0]["settled"]
    server.kill()
    ledger.append(E1, b"".join(end_line(name) for name in ids(300)[100:200]))
    wait_until(lambda: ledger.says().get("end") == 200)
    wait_until(lambda: ledger.checkpoint()["files"][0]["read"] == ledger.path(E1).stat().st_size)
    assert ledger.checkpoint()["files"][0]["settled"] == settled
    ledger.kill()
    server.start()
    ledger.start()
    wait_until(lambda: len(open_slots(valkey)) == 100)
    server.kill()
    ledger.append(E1, b"".join(end_line(name) for name in ids(300)[200:]))
    wait_until(lambda: ledger.logged("counters are away: settling waits"))
    server.start()
    wait_until(lambda: not open_slots(valkey))
    assert ledger.logged("counters are back: settling goes on")


def test_a_dead_envoys_reservations_are_closed(
    ledger: Ledger, valkey: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its file is read to its end, half a line at the end is reported, and nobody else's are touched."""
    ledger.alive(E1, E2)
    reserve(valkey, E1, *ids(400))
    reserve(valkey, E1, *ids(3, "g"), tenant="globex")
    reserve(valkey, E2, "mine")
    reserve(valkey, "20251231T000000-cccccc", "elsewhere")
    ledger.append(E1, b"".join(end_line(name) for name in ids(100)))
    ledger.append(E2, end_line("gone"))
    ledger.start()
    wait_until(lambda: len(open_slots(valkey)) == 302)
    ledger.append(E1, b"".join(end_line(name) for name in ids(400)[100:150]) + end_line("half")[:40])
    died = time.monotonic()
    ledger.alive(E2)
    wait_until(lambda: open_slots(valkey) == {"mine", "elsewhere"} and not open_slots(valkey, "globex"))
    with capsys.disabled():
        print(f"\nclosed after {(time.monotonic() - died) * 1000:.0f} ms")  # noqa: T201
    assert ledger.logged("last line of an envoy that ended is cut off")
    wait_until(lambda: ledger.logged("envoy has ended, its reservations are closed"))
    (closed,) = ledger.logged("envoy has ended, its reservations are closed")
    assert closed["epoch"] == E1
    assert closed["closed"] >= 253
    wait_until(lambda: ledger.checkpoint()["closed"] == [E1])


def test_an_envoy_that_parts_json_forgot_is_not_dead(ledger: Ledger, valkey: Redis) -> None:
    """As after a full disk: whoever has the file open lives."""
    ledger.alive()
    with ledger.path(E1).open("ab", buffering=0) as envoys:
        envoys.write(end_line("gone"))
        reserve(valkey, E1, "runs")
        ledger.start()
        time.sleep(2.5)
        assert open_slots(valkey) == {"runs"}
    wait_until(lambda: not open_slots(valkey))


def test_without_parts_json_nothing_is_known_to_be_dead(ledger: Ledger, valkey: Redis) -> None:
    """As in a container of its own: leases end what is lost."""
    reserve(valkey, E1, "runs", "ends")
    ledger.append(E1, end_line("ends"))
    ledger.start()
    wait_until(lambda: open_slots(valkey) == {"runs"})
    time.sleep(2.5)
    assert open_slots(valkey) == {"runs"}


def test_rotated_files_are_read_in_order_and_removed_when_they_are_done(ledger: Ledger, valkey: Redis) -> None:
    ledger.settings(min_free_bytes=1, rotate_bytes=2**30, keep_s=0)
    ledger.alive(E1)
    reserve(valkey, E1, *ids(4))
    for number, name in enumerate([f"{E1}.000001", f"{E1}.000002", E1]):
        ledger.append(name, end_line(f"r{number}"))
    ledger.append("20251231T000000-cccccc", end_line("old"))
    ledger.start()
    wait_until(lambda: open_slots(valkey) == {"r3"})
    time.sleep(2.5)
    assert len(list(ledger.spool.iterdir())) == 4  # nobody has their rows yet
    ledger.store_journal()
    wait_until(lambda: [path.name for path in ledger.spool.iterdir()] == [f"{E1}.ndjson"], says=ledger.log)
    ledger.append(E1, end_line("r3"))
    wait_until(lambda: not open_slots(valkey))
    assert [mark["name"] for mark in ledger.checkpoint()["files"]] == [f"{E1}.ndjson"]


def test_what_is_kept_is_not_read_again(ledger: Ledger, valkey: Redis) -> None:
    ledger.settings(min_free_bytes=1, rotate_bytes=2**30, keep_s=3600)
    ledger.alive(E2)
    ledger.append(f"{E1}.000001", end_line("a"))
    ledger.append(E1, end_line("b"))
    ledger.append(E2, end_line("c"))
    ledger.start()
    wait_until(lambda: ledger.checkpoint_of("checkpoint").get("closed") == [E1], within_s=30)
    done = {mark["name"] for mark in ledger.checkpoint()["files"] if mark["done_at"]}
    assert done == {f"{E1}.000001.ndjson", f"{E1}.ndjson"}
    ledger.end()
    ledger.start()
    time.sleep(1.5)
    assert ledger.says()["lines"] == 0
    assert len(ledger.logged("envoy has ended, its reservations are closed")) == 1
    assert len(list(ledger.spool.iterdir())) == 3


def test_an_idle_ledger_costs_next_to_nothing(
    ledger: Ledger, valkey: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.alive(E1)
    ledger.append(E1, end_line("a"))
    ledger.start()
    wait_until(lambda: ledger.says().get("end") == 1)
    assert ledger.process
    before = cpu_s(ledger.process.pid)
    time.sleep(5)
    spent = cpu_s(ledger.process.pid) - before
    with capsys.disabled():
        print(f"\nidle: {spent * 20:.2f} % of a core")  # noqa: T201
    assert spent < 0.1


def test_a_large_backlog_is_worked_off_in_little_memory(
    ledger: Ledger, valkey: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    number = 100_000
    filler = dict.fromkeys(("trace_id", "key_id", "user", "target", "flags", "surface", "upstream_model"))
    lines = b"".join(end_line(f"r{index:036d}", **filler) for index in range(number))
    ledger.alive(E1)
    ledger.append(E1, lines)
    reserve(valkey, E1, f"r{number - 1:036d}")
    ledger.start()
    assert ledger.process
    took = wait_until(lambda: not open_slots(valkey), within_s=60)
    status = Path(f"/proc/{ledger.process.pid}/status").read_text()
    peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    spent = cpu_s(ledger.process.pid)
    with capsys.disabled():
        print(f"\n{number} lines in {took:.1f} s, {spent / number * 1e6:.1f} µs of CPU each, {peak_kib // 1024} MiB")  # noqa: T201
    assert peak_kib < 200 * 1024
    assert json.loads((ledger.state / "ledger/checkpoint.json").read_bytes())
    assert os.path.exists(ledger.path(E1))  # noqa: PTH110
