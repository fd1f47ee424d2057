"""How amounts and times are written."""

import pytest

from headgate.counters.limits import Limit, TenantLimits
from headgate.limits import LimitRow, LimitsRow
from ratelimit.shown import amount, duration, moment, whole_seconds


def limit(kind: str) -> Limit:
    return TenantLimits("acme", LimitsRow((LimitRow(kind, 1),))).applying("", "", "").limits[0]


def test_times_as_openai_writes_them() -> None:
    shown = {
        0: "0s",
        1: "1s",
        1000: "1s",
        1001: "2s",
        59_001: "1m0s",
        61_000: "1m1s",
        360_000: "6m0s",
        3_600_001: "1h0m1s",
        30 * 86_400_000: "720h0m0s",
    }
    assert {milliseconds: duration(milliseconds) for milliseconds in shown} == shown
    assert [whole_seconds(milliseconds) for milliseconds in (1, 999, 1000, 1001)] == [1, 1, 1, 2]


def test_moments_are_never_too_early() -> None:
    assert moment(limit("rpm"), 1_000_000.5, 0) == "1970-01-12T13:46:41Z"
    assert moment(limit("rpm"), 1_000_000.0, 1001) == "1970-01-12T13:46:42Z"


@pytest.mark.parametrize("late_s", [-20.0, -0.3, 0.0, 0.4, 20.0])
def test_days_and_months_end_at_midnight_by_any_clock(late_s: float) -> None:
    now = 86_400 * 100 - 5000.0
    assert moment(limit("daily_tokens"), now + late_s, 5_000_000) == "1970-04-11T00:00:00Z"


@pytest.mark.parametrize(
    ("nano", "dollars"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (10**9, "1"),
        (12_500_000_000, "12.5"),
        (10**11, "100"),
        (2**53, "9007199.254740992"),
    ],
)
def test_money(nano: int, dollars: str) -> None:
    assert amount(limit("daily_usd"), nano) == dollars
    assert amount(limit("daily_tokens"), nano) == str(nano)
