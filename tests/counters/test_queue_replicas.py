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
