"""Amounts are exact until the one rounding; overage is what is above, in the windows that end in the month."""

import datetime as dt
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.invoices.amounts import cents_text, dollars, text_of, to_cents
from control.invoices.document import Charged, charged_lines
from control.invoices.months import Month, month_of, windows_ending_in
from control.invoices.overage import PricedLimit, overage_of
from headgate.counters.calendar import window_of
from headgate.limits import LimitRow
from headgate.usage_questions import SumRow

OCTOBER = month_of("2026-10")
DAY_S = 86_400


def line(nano: int = 0, start_s: int = OCTOBER.start_s, requests: int = 1, **group: str) -> SumRow:
    named = {"model": "chat", "surface": "chat", "unit": ""} | group
    counts = dict.fromkeys(("cached_tokens", "cache_write_tokens", "completion_tokens", "reasoning_tokens"), 0)
    counts |= {"prompt_tokens": 0, "units": 0, "estimated_requests": 0}
    return SumRow(start_s=start_s, group=named, requests=requests, price_nano=nano, cost=None, **counts)


@given(st.lists(st.integers(0, 10**21), min_size=1, max_size=30))
def test_a_total_is_the_exact_sum_rounded_once(prices: list[int]) -> None:
    charged = Charged("acme", None, OCTOBER, tuple(map(line, prices)), ())
    exact = Fraction(sum(prices), 10**9)
    assert Fraction(dollars(charged.units)) == exact
    with localcontext(prec=60):
        wanted = (Decimal(sum(prices)) / 10**9).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    assert Decimal(cents_text(charged.total_cents)) == wanted
    assert Fraction(Decimal(text_of(dollars(charged.units)))) == exact


@pytest.mark.parametrize(
    ("nano", "cents"), [(5_000_000, "0.00"), (15_000_000, "0.02"), (25_000_000, "0.02"), (25_000_001, "0.03")]
)
def test_half_a_cent_goes_to_the_even_one(nano: int, cents: str) -> None:
    assert text_of(to_cents(nano * 10**6)) == cents


@given(st.integers(1, 10**15), st.integers(1, 10**13))
def test_what_is_above_a_limit_costs_its_price_exactly(above: int, price: int) -> None:
    limit = PricedLimit(LimitRow("monthly_requests", 5, ceiling=10**16, overage_price=price), 1)
    over = overage_of(limit, OCTOBER, [line(requests=above + 5)], {})
    assert over
    assert Fraction(dollars(over.amount)) == Fraction(above * price, 1000 * 10**9)


def test_up_to_the_limit_nothing_is_above() -> None:
    limit = PricedLimit(LimitRow("daily_requests", 5, ceiling=10, overage_price=1), 1)
    days = [line(start_s=OCTOBER.start_s + day * DAY_S, requests=5) for day in range(31)]
    assert overage_of(limit, OCTOBER, days, {}) is None


@given(st.integers(2020, 2100), st.integers(1, 12), st.integers(1, 31))
def test_each_window_is_billed_with_one_month(year: int, number: int, anniversary: int) -> None:
    month = month_of(f"{year}-{number:02}")
    following = month_of(f"{month.end:%Y-%m}")
    windows = windows_ending_in(month, "month", anniversary) + windows_ending_in(following, "month", anniversary)
    assert all(one[1] == other[0] for one, other in pairwise(windows)), "no day is left out"
    for start, end in windows:
        assert window_of("month", anniversary, start * 1000) == (start * 1000, end * 1000)
    days = windows_ending_in(month, "day", anniversary)
    assert (days[0][0], days[-1][1]) == (month.start_s, month.end_s)
    assert len(days) == (month.end_s - month.start_s) // DAY_S


@given(st.dates(dt.date(2020, 1, 1), dt.date(2100, 1, 1)))
def test_months_follow_each_other(day: dt.date) -> None:
    month: Month = month_of(f"{day:%Y-%m}")
    moment = dt.datetime.combine(day, dt.time(), dt.UTC)
    assert month.start <= moment < month.end
    assert month.known_at - month.end == dt.timedelta(hours=25)


def test_lines_are_in_one_order_and_say_something() -> None:
    rows = [line(1, model="b"), line(0, requests=0, model="a"), line(1, model="a", surface="z"), line(2, model="a")]
    assert [(row.group["model"], row.group["surface"]) for row in charged_lines(rows)] == [
        ("a", "chat"),
        ("a", "z"),
        ("b", "chat"),
    ]
