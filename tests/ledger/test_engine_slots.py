"""Slots of engines are given back when the requests that have them end, with or without limits, whoever dies."""

import pytest
from ledger_process import Ledger, end_line, wait_until
from redis import Redis

from headgate.counters.address import parsed
from headgate.counters.client import Counters
from headgate.counters.queue import Places, Seat, Verdict, admit_call, release_call
from headgate.counters.scripts import queue_keys
from headgate.queue_metrics import SLOTS_LEFT
from headgate.snapshot import SlotsRow, Snapshot
from ledger.settling import engine_slots
from ledger.settling.engine_slots import EngineSlots
from ledger.spool.lines import Line
from tests.counters.valkey_server import ValkeyServer

E1, E2 = "20260101T000000-aaaaaa", "20260102T000000-bbbbbb"
POOL = "llama"
ENGINES = {POOL: SlotsRow("provider/llama@0", 10), "other": SlotsRow("provider/other@0", 1)}


def take(valkey: Redis, epoch: str, *request_ids: str, capacity: int = 10) -> list[Verdict]:
    found = []
    for request_id in request_ids:
        seat = Seat(POOL, request_id, epoch, "acme", "chat", 600_000, Places((("127.0.0.1:1", capacity),)), length=10)
        script, keys, arguments = admit_call(seat)
        found.append(Verdict(valkey.eval(script.text, len(keys), *keys, *arguments)[0]))  # type: ignore[index]
    return found


def held(valkey: Redis) -> set[str]:
    return {member.partition("/")[2] for member in valkey.zrange(queue_keys(POOL)[0], 0, -1)}  # type: ignore[union-attr]


def test_a_slot_comes_back_with_the_requests_end(ledger: Ledger, valkey: Redis) -> None:
    """Also of a tenant without limits, and of one that was refused: nothing of them is to be settled."""
    ledger.alive(E1)
    ledger.tables(engines=ENGINES)
    ledger.start()
    take(valkey, E1, "first", "second", "third")
    ledger.append(E1, end_line("first", engine=POOL) + end_line("second", engine=POOL, reserved=False, status=503))
    wait_until(lambda: held(valkey) == {"third"})


def test_whoever_ended_while_the_ledger_was_away_gives_its_slot_back(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.tables(engines=ENGINES)
    take(valkey, E1, "first", "second")
    ledger.append(E1, end_line("first", engine=POOL))
    ledger.start()
    wait_until(lambda: held(valkey) == {"second"})


def test_what_a_reload_has_moved_to_another_engine_gives_back_where_it_was(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.tables(engines={"other": ENGINES["other"]})
    ledger.start()
    take(valkey, E1, "first", "second")
    ledger.append(E1, end_line("first", engine=POOL) + end_line("second"))
    wait_until(lambda: held(valkey) == {"second"})  # which went elsewhere: it holds none, as far as it says


def test_what_was_made_of_a_record_gives_back_what_its_model_may_hold(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.tables(engines=ENGINES)
    ledger.start()
    take(valkey, E1, "first", "second")
    ledger.append(E1, end_line("first", flags="recovered"))
    wait_until(lambda: held(valkey) == {"second"})


def test_a_slot_is_not_taken_after_the_end(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.tables(engines=ENGINES)
    ledger.start()
    ledger.append(E1, end_line("early", engine=POOL))
    wait_until(lambda: valkey.zcard(queue_keys(POOL)[5]) == 1)
    assert take(valkey, E1, "early", "next") == [Verdict.ENDED, Verdict.SLOT]
    assert held(valkey) == {"next"}


def test_a_dead_envoys_requests_hold_nothing_and_wait_for_nothing(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1, E2)
    ledger.tables(engines=ENGINES)
    ledger.append(E1, end_line("before", engine=POOL))
    ledger.append(E2, end_line("before", engine=POOL))
    ledger.start()
    assert take(valkey, E1, "lost", "waits", capacity=1) == [Verdict.SLOT, Verdict.WAITS]
    take(valkey, E2, "living", capacity=3)
    ledger.alive(E2)
    wait_until(lambda: held(valkey) == {"living"} and not valkey.hlen(queue_keys(POOL)[3]))


async def test_what_a_dead_envoy_held_comes_back_in_calls_that_each_take_little(
    valkey: Redis, server: ValkeyServer
) -> None:
    take(valkey, E2, "living")
    take(valkey, E1, *(f"r{number}" for number in range(1150)), capacity=1146)
    counters = Counters(parsed(f"unix://{server.socket}"), 5.0)
    counters.start()
    valkey.config_resetstat()
    try:
        await EngineSlots(
            counters, lambda: Snapshot(1, 0, 1, keys=[], tenants={}, models={}, slots=ENGINES)
        ).close_epoch(E1)
    finally:
        await counters.close()
    assert held(valkey) == {"living"}
    assert not valkey.hlen(queue_keys(POOL)[3])
    assert valkey.info("commandstats")["cmdstat_evalsha"]["calls"] >= 12  # type: ignore[index]


def test_giving_back_twice_does_no_harm(valkey: Redis) -> None:
    take(valkey, E1, "first", "second")
    for freed in (1, 0):
        script, keys, arguments = release_call(POOL, [f"{E1}/first"])
        assert valkey.eval(script.text, len(keys), *keys, *arguments) == freed  # type: ignore[arg-type]
    assert held(valkey) == {"second"}


async def test_of_too_many_ends_the_oldest_are_left_to_their_lease_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_slots, "MOST", 3)
    before = SLOTS_LEFT.labels("llama")._value.get()
    slots = EngineSlots(Counters(parsed("unix:///nowhere"), 1.0), lambda: None)
    for number in range(5):
        slots.on_end(Line("end", f"r{number}", engine="llama/host-1" if number == 1 else POOL), E1)
    assert [slots.noted(pool) for pool in (POOL, "llama/host-1")] == [[f"{E1}/r{number}" for number in (2, 3, 4)], []]
    assert SLOTS_LEFT.labels("llama")._value.get() - before == 2


async def test_a_slot_whose_engine_broke_off_is_not_given_back_at_once() -> None:
    """So requests that wait are not all sent to an engine that has just died."""
    slots = EngineSlots(Counters(parsed("unix:///nowhere"), 1.0), lambda: None)
    for request_id, flags in (("cut", "UC"), ("refused", "URX,UF"), ("left", "DC"), ("well", "-")):
        slots.on_end(Line("end", request_id, engine=POOL, flags=flags), E1)
    assert slots.noted(POOL) == [f"{E1}/left", f"{E1}/well"]
