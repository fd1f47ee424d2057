"""A request that another worker is asked for: what the first call for it had is not that one's any more."""

import pytest
from redis import Redis

from headgate.counters.queue import Verdict
from tests.counters.queue_calls import Queue


@pytest.fixture
def queue(raw: Redis) -> Queue:
    return Queue(raw)


def test_who_left_gives_back_nothing_that_another_call_has_since(queue: Queue) -> None:
    """Neither a slot, or the engine would get more than it runs, nor a place in the line."""
    assert queue.ask_by("a", "running") is Verdict.SLOT
    assert queue.ask_by("a", "first") is Verdict.WAITS
    assert queue.ask_by("b", "first") is Verdict.WAITS
    assert queue.ask_by("b", "second") is Verdict.WAITS
    assert queue.leave_by("a", "first") == 0
    queue.end("running")
    assert queue.ask_by("b", "second", again=True) is Verdict.WAITS, "it is not its turn"
    assert queue.ask_by("b", "first", again=True) is Verdict.SLOT
    assert queue.leave_by("a", "first") == 0
    assert queue.ask_by("b", "second", again=True) is Verdict.WAITS
    assert queue.leave_by("b", "first") == 1
    assert queue.ask_by("b", "second", again=True) is Verdict.SLOT


def test_who_comes_back_late_takes_nothing_over_again(queue: Queue) -> None:
    """As a worker that was stopped, and asks once more before it hears that its caller has gone."""
    queue.ask_by("a", "running")
    queue.ask_by("a", "first")
    queue.ask_by("b", "first")
    assert queue.ask_by("a", "first", again=True) is Verdict.TAKEN_OVER
    queue.end("running")
    assert queue.ask_by("b", "first", again=True) is Verdict.SLOT
    assert queue.ask_by("a", "first", again=True) is Verdict.TAKEN_OVER
    assert queue.leave_by("a", "first") == 0
    assert queue.ask_by("c", "first") is Verdict.SLOT, "nor did the one that was asked for it anew"
    assert queue.leave_by("b", "first") == 0
    assert queue.holds("first")


def test_whoever_has_it_an_end_gives_it_back(queue: Queue) -> None:
    queue.ask_by("a", "running")
    queue.ask_by("b", "running")
    queue.ask_by("b", "waits")
    assert queue.end("running", "waits") == 1
    assert queue.ask_by("b", "waits") is Verdict.ENDED
    assert queue.ask_by("b", "next") is Verdict.SLOT
