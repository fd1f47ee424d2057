"""When the head of an answer goes on, whatever follows it in whatever order."""

import pytest
from holding import ADDRESS, NEVER, SOON, THREAD, Attempt, at_once, played
from hypothesis import given, settings
from hypothesis import strategies as st

ENDS = ("B", "E", "t", "")  # the last one is a reset


def expected(attempt: Attempt, first: str) -> str:
    """What the filter promises. A head that came too late to be held (`first`) has gone on at once."""
    is_long_ago = attempt.headers_ms == SOON and first == "h"
    could_alarm = attempt.headers_ms is None or (attempt.headers_ms > 0 and not attempt.fails)
    holds = attempt.status == 200 and attempt.path != "o" and not attempt.ends and could_alarm and not is_long_ago
    seen = "." if holds else "h"
    for event in attempt.events:
        lets_go = event in "bBEt" or (event == "w" and attempt.headers_ms is not None)
        holds = holds and not lets_go
        seen += "." if holds else "h"
    return seen


@st.composite
def attempts(draw: st.DrawFn, times: tuple[float | None, ...] = (NEVER, None, 0)) -> Attempt:
    waits = "w" if SOON in times else ""
    events = draw(st.text(f"bee{waits}", max_size=8)) + draw(st.sampled_from(ENDS))
    headers_ms = draw(st.sampled_from(times))
    return Attempt(
        events,
        headers_ms=headers_ms,
        status=draw(st.sampled_from([200, 200, 200, 201, 204, 302, 400, 503])),
        path=draw(st.sampled_from("-s" if headers_ms is not None else "-so")),
        fails=draw(st.sampled_from([False, False, False, True])),
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(attempts(), min_size=1, max_size=30))
def test_any_order(asked: list[Attempt]) -> None:
    seen = played(asked)
    assert seen == [expected(attempt, one[0]) for attempt, one in zip(asked, seen, strict=True)]


@settings(deadline=None, max_examples=15)
@given(st.lists(attempts((SOON, None)), min_size=1, max_size=8))
def test_any_order_with_an_alarm(asked: list[Attempt]) -> None:
    seen = played(asked)
    assert seen == [expected(attempt, one[0]) for attempt, one in zip(asked, seen, strict=True)]


def test_a_head_is_held_until_the_first_byte() -> None:
    assert played([Attempt("eeebbB")]) == ["....hhh"]


def test_a_head_goes_when_its_time_is_up() -> None:
    """A minute's wait is not: held for four fifths of a second."""
    assert played([Attempt("ewebB", headers_ms=1000)]) == ["..hhhh"]


@pytest.mark.parametrize("headers_ms", [0, -5, 1e300, float("nan"), float("inf")])
def test_a_time_that_is_none_holds_nothing(headers_ms: float) -> None:
    assert played([Attempt("b", headers_ms=headers_ms)]) == ["hh"]


def test_a_head_that_is_all_there_is_goes_at_once() -> None:
    assert played([Attempt("", ends=True)]) == ["h"]


@pytest.mark.parametrize("sanitizer", [ADDRESS, THREAD])
def test_streams_on_many_threads(sanitizer: str) -> None:
    at_once(sanitizer, threads=4, streams=1_500)


TRANSLATED = {
    "nnaA": "...hh,200",
    "A": ".h,200",
    "nnI": "...h,200",
    "I": ".h,200",
    "it": "..h,200",
    "nflN": "...hh,429+",
    "nfoN": "...hh,503",
    "fL": "..h,429+",
    "nN": "..h,502",
    "neE": "...h,502",
    "nt": "..h,502",
    "t": ".h,502",
    "E": ".h,502",
    "": ".,200",  # reset: the router sees no head
}


@pytest.mark.parametrize(("events", "seen"), TRANSLATED.items())
def test_a_stream_to_translate_is_held_until_an_event_tells(events: str, seen: str) -> None:
    assert played([Attempt(events, path="o")]) == [seen]


def test_a_stream_to_translate_goes_when_its_time_is_up() -> None:
    assert played([Attempt("nwfoE", path="o", headers_ms=SOON)]) == ["..hhhh,200"]


def test_without_memory_a_stream_to_translate_is_marked_all_the_same() -> None:
    """Its head goes on at once; unmarked, the provider's own words would reach the client."""
    asked = [Attempt("nA", path=path, starves=True) for path in "-so"]
    assert played(asked) == ["hhh", "hhh", "hhh,200"]
    assert played([Attempt("b", path="o", headers_ms=None, starves=True)]) == ["hh"]  # it comes whole


def test_without_memory_for_pieces_a_stream_goes_on() -> None:
    """Unread: whoever translates it tells what it is."""
    assert played([Attempt("nA", path="o", starves_late=True)]) == [".hh,200"]
