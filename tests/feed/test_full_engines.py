"""Which engines a planner takes for full: as the scripts say, and no longer than they say it."""

from headgate.counters.queue import Notice, read_notice
from headgate.feed.full_engines import FORGET_S, FullEngines


def test_what_is_said_of_an_engine_holds_until_it_is_not_said_any_more() -> None:
    now = [100.0]
    full = FullEngines(lambda: now[0])
    assert not full.is_full("llama")
    full.take(Notice("llama", is_full=True, called=()))
    assert full.is_full("llama")
    assert not full.is_full("other")
    full.take(Notice("llama", is_full=False, called=()))
    assert not full.is_full("llama")
    full.take(Notice("llama", is_full=True, called=("e/r1",)))
    now[0] += FORGET_S
    assert not full.is_full("llama")


def test_what_is_no_notice_says_nothing() -> None:
    for message in (b"", b"{}", b"\xc1", b"\x93\xa1a\xa1b\xa1c"):
        assert read_notice(message) is None
