"""Days and months in UTC, computed twice: in Python and in Lua."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from headgate.counters.calendar import DAY_MS, NO_END_MS, window_of
from headgate.counters.scripts import RESERVE
from headgate.limits import Shape
from tests.counters.valkey_server import ValkeyServer

MARK = "local look = {}"
FROM, TO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2120, 1, 1, tzinfo=dt.UTC)
moments = st.integers(int(FROM.timestamp()) * 1000, int(TO.timestamp()) * 1000)


def ms(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("anniversary", "at", "start", "end"),
    [
        (1, "2026-02-28T23:59:59", "2026-02-01", "2026-03-01"),
        (1, "2026-03-01T00:00:00", "2026-03-01", "2026-04-01"),
        (15, "2026-01-14T23:59:59", "2025-12-15", "2026-01-15"),
        (15, "2026-01-15T00:00:00", "2026-01-15", "2026-02-15"),
        (31, "2026-02-27T23:59:59", "2026-01-31", "2026-02-28"),
        (31, "2026-02-28T00:00:00", "2026-02-28", "2026-03-31"),
        (31, "2028-02-28T12:00:00", "2028-01-31", "2028-02-29"),
        (29, "2028-02-29T00:00:00", "2028-02-29", "2028-03-29"),
        (30, "2026-12-31T00:00:00", "2026-12-30", "2027-01-30"),
        (31, "2026-05-01T00:00:00", "2026-04-30", "2026-05-31"),
    ],
)
def test_months_begin_on_their_anniversary(anniversary: int, at: str, start: str, end: str) -> None:
    assert window_of("month", anniversary, ms(at)) == (ms(start), ms(end))


def test_days() -> None:
    assert window_of("day", 1, ms("2026-11-21T23:59:59") + 999) == (ms("2026-11-21"), ms("2026-11-22"))


def test_an_account_has_one_window() -> None:
    began = ms("2026-11-21")
    assert window_of("ever", began // DAY_MS, ms("2026-11-21T09:00:00")) == (began, NO_END_MS)
    assert window_of("ever", began // DAY_MS, ms("2107-01-01")) == (began, NO_END_MS)


@given(at=moments, anniversary=st.integers(1, 31))
def test_windows_follow_each_other(at: int, anniversary: int) -> None:
    start, end = window_of("month", anniversary, at)
    assert start <= at < end
    assert 28 * DAY_MS <= end - start <= 31 * DAY_MS
    assert window_of("month", anniversary, end)[0] == end
    assert window_of("month", anniversary, start - 1)[1] == start


def test_lua_says_the_same(shared_valkey: ValkeyServer) -> None:
    script = RESERVE.text[: RESERVE.text.index(MARK)] + "return { window_of(ARGV[2], tonumber(ARGV[3]), now) }"
    with shared_valkey.raw_client() as client:

        @settings(max_examples=300, deadline=None)
        @given(at=moments | moments.map(lambda at: at - at % DAY_MS), anniversary=st.integers(1, 31))
        def compare(at: int, anniversary: int) -> None:
            shapes: tuple[Shape, ...] = ("day", "month", "ever")
            for shape in shapes:
                assert tuple(in_lua(client, script, shape, anniversary, at)) == window_of(shape, anniversary, at)

        compare()


def in_lua(client: Redis, script: str, shape: str, anniversary: int, at: int) -> list[int]:
    reply: list[int] = client.eval(script, 0, at, shape, anniversary)  # type: ignore[assignment]
    return reply
