"""Lines whose time has not come yet: the clock was put back, or somebody has put them in."""

import datetime as dt

from ledger_process import Ledger, wait_until
from redis import Redis
from spending import E1, calendar_of, used_line


def now(ahead: dt.timedelta = dt.timedelta()) -> str:
    return (dt.datetime.now(dt.UTC) + ahead).isoformat(timespec="milliseconds")


def test_a_line_of_next_month_takes_no_limit_of_this_one_away(limited: Ledger, valkey: Redis) -> None:
    """It counts from when it is read, beside what was used before and what comes after it."""
    limited.append(E1, used_line("before", time=now()))
    wait_until(lambda: calendar_of(valkey)["monthly_tokens"] == (120, 0))
    years = now(dt.timedelta(days=26_000))
    limited.append(E1, used_line("ahead", time=now(dt.timedelta(days=40))) + used_line("far", time=years))
    wait_until(lambda: calendar_of(valkey)["monthly_tokens"] == (360, 0))
    limited.append(E1, used_line("after", time=now()))
    wait_until(lambda: calendar_of(valkey)["monthly_tokens"] == (480, 0))
    assert calendar_of(valkey)["daily_requests"] == (4, 0)
    rows = {row.request_id: row.ended_ms for row in limited.journal()}
    assert max(rows.values()) < dt.datetime.now(dt.UTC).timestamp() * 1000 + 1
    assert sum(line["lines"] for line in limited.logged("lines are dated ahead: they count from now")) == 2
