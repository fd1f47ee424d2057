"""Slots of an engine with several replicas, in a real Valkey: where each is, and what those that are away hold."""

from collections import Counter
from dataclasses import replace

import pytest
from redis import Redis

from headgate.counters.queue import Admitted, Looked, Places, Verdict
from tests.counters.queue_calls import ONE, OTHER, Queue

TWO = Places(((ONE, 4), (OTHER, 4)))


@pytest.fixture
def queue(raw: Redis) -> Queue:
    return Queue(raw)


def test_replicas_are_filled_evenly_each_with_its_own_slots(queue: Queue) -> None:
    """Whichever all of them would rather go to."""
    queue.seat = replace(queue.seat, places=TWO)
    found = [queue.ask(f"{number}").replica for number in range(8)]
    assert Counter(found) == {ONE: 4, OTHER: 4}
    assert Counter(found[:4]) == {ONE: 3, OTHER: 1}, "not much more than its share goes where all would rather go"
    assert queue.ask("more").verdict is Verdict.WAITS
    queue.end(str(found.index(OTHER)))
    assert queue.ask("more").replica == OTHER
    assert queue.ask("more").replica == OTHER, "asked again, it is there yet"


def test_what_is_held_at_a_replica_that_is_away_is_in_nobodys_way(queue: Queue) -> None:
    queue.seat = replace(queue.seat, places=TWO)
    found = [queue.ask(f"{number}").replica for number in range(8)]
    queue.seat = replace(queue.seat, places=Places(((OTHER, 4),)))
    assert queue.ask("waits").verdict is Verdict.WAITS
    queue.end(str(found.index(OTHER)))
    assert queue.ask("waits").replica == OTHER
    assert queue.look_at({OTHER: 4}) == Looked(held=4, waiting=0, is_full=True)
    queue.now += 50_000
    queue.end(str(found.index(ONE)))
    assert queue.ask("next").expected_ms == 0, "how long it was held there says nothing of the others"
    queue.end("next")
    assert queue.look_at({ONE: 4, OTHER: 4}) == Looked(held=7, waiting=0, is_full=False), "it is back"
    assert queue.ask("last", places=TWO).replica == ONE


def test_one_that_may_go_to_one_replica_only_waits_for_that_and_holds_up_nobody(queue: Queue) -> None:
    queue.seat = replace(queue.seat, places=Places(((ONE, 1), (OTHER, 1))))
    only = Places(((ONE, 1), (OTHER, 1)), only=1)
    assert queue.ask("first").replica == ONE
    assert queue.ask("confined", places=only).verdict is Verdict.WAITS
    assert queue.ask("second").replica == OTHER
    assert queue.ask("third") == Admitted(Verdict.WAITS, 1, None, 0)
    queue.end("second")
    assert queue.ask("confined").verdict is Verdict.WAITS
    assert queue.ask("third").replica == OTHER, "it may go there"
    queue.end("first")
    assert queue.ask("fourth").verdict is Verdict.WAITS, "the slot is for who came before"
    assert queue.ask("confined").replica == ONE


def test_an_engine_is_not_full_while_a_replica_is_free_that_those_who_wait_may_not_go_to(queue: Queue) -> None:
    queue.seat = replace(queue.seat, places=Places(((ONE, 1), (OTHER, 1))))
    assert queue.ask("first").replica == ONE
    for number in range(3):
        assert queue.ask(f"confined{number}", places=Places(((ONE, 1), (OTHER, 1)), only=1)).verdict is Verdict.WAITS
    assert queue.look_at({ONE: 1, OTHER: 1}) == Looked(held=1, waiting=3, is_full=False)
    assert queue.ask("second").replica == OTHER
    assert queue.look_at({ONE: 1, OTHER: 1}).is_full
    assert queue.ask("third").verdict is Verdict.WAITS
    queue.end("second")
    assert queue.look_at({ONE: 1, OTHER: 1}).is_full, "what is free is for one that waits"


def test_one_that_may_go_anywhere_is_served_however_many_before_it_may_not(raw: Redis) -> None:
    queue = Queue(raw, length=1000)
    queue.seat = replace(queue.seat, places=Places(((ONE, 1), (OTHER, 1))))
    assert [queue.ask(name).replica for name in ("first", "second")] == [ONE, OTHER]
    for number in range(600):
        queue.ask(f"confined{number}", places=Places(((ONE, 1), (OTHER, 1)), only=1))
    assert queue.ask("third").verdict is Verdict.WAITS
    queue.end("second")
    assert queue.ask("third").replica == OTHER
    queue.end("first")
    assert queue.ask("confined0").replica == ONE


def test_a_gateway_that_sees_no_replica_hides_them_from_nobody_and_holds_up_nobody(queue: Queue) -> None:
    queue.seat = replace(queue.seat, places=TWO, gateway="well")
    assert queue.ask("first").replica == ONE
    cut_off = {"places": Places(), "gateway": "cut off"}
    assert queue.ask("waits", **cut_off).verdict is Verdict.WAITS
    assert queue.look_at({}, "cut off") == Looked(held=1, waiting=1, is_full=False)
    queue.end("first")
    queue.now += 2999
    assert queue.look_at({}, "cut off") == Looked(held=0, waiting=1, is_full=False), "it was there a moment ago"
    assert queue.ask("second", places=Places(((ONE, 1),)), gateway="well").replica == ONE
    assert queue.ask("third", places=Places(((ONE, 1),)), gateway="well").verdict is Verdict.WAITS
    assert queue.look_at({}, "cut off").is_full
    queue.end("second")
    assert queue.ask("third").replica == ONE, "who can't go there is in nobody's way"
    queue.seats["waits"] = replace(queue.seats["waits"], places=TWO)
    assert queue.ask("waits").verdict is Verdict.SLOT, "its gateway sees them again"
    queue.now += 3000
    assert queue.look_at({}, "cut off").held == 0, "what the other one saw is too old"


def test_what_each_gateway_sees_is_there_and_each_sends_where_it_sees_a_replica(queue: Queue) -> None:
    one = {"places": Places(((ONE, 1),)), "gateway": "one"}
    other = {"places": Places(((OTHER, 1),)), "gateway": "other"}
    both = {"places": Places(((ONE, 1), (OTHER, 1))), "gateway": "both"}
    assert queue.ask("first", **both).replica == ONE
    assert queue.ask("second", **one).verdict is Verdict.WAITS
    assert queue.look_at({ONE: 1}, "one") == Looked(held=1, waiting=1, is_full=False)
    assert queue.ask("third", **other).replica == OTHER
    assert queue.ask("fourth", **both).verdict is Verdict.WAITS
    queue.end("third")
    assert queue.ask("second").verdict is Verdict.WAITS
    assert queue.ask("fourth").replica == OTHER
    whole = {"places": Places((("", 9),)), "gateway": "knows nothing"}
    assert queue.ask("fifth", **whole).verdict is Verdict.WAITS, "there is no slot, whatever it thinks"
    queue.end("first")
    assert queue.ask("second").replica == ONE
    queue.end("second", "fourth")
    assert queue.ask("fifth").replica == "", "at either of them"
    assert queue.look_at({ONE: 1, OTHER: 1}, "both") == Looked(held=1, waiting=0, is_full=False)
    assert queue.ask("sixth", **both).verdict is Verdict.SLOT
    assert queue.ask("seventh", **both).verdict is Verdict.WAITS
