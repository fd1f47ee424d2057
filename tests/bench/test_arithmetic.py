import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.arithmetic import percentile, slope, spread_of

_COST = st.floats(min_value=0, max_value=1e9)


def test_a_slope_is_what_one_more_costs() -> None:
    assert slope(60, 160.0, 300, 400.0) == 1.0


@given(fixed=st.integers(0, 10**9), each=st.integers(0, 10**6), short=st.integers(1, 999), more=st.integers(1, 999))
def test_a_slope_does_not_see_fixed_costs(fixed: int, each: int, short: int, more: int) -> None:
    long = short + more
    assert slope(short, fixed + each * short, long, fixed + each * long) == each


@pytest.mark.parametrize("long", [60, 59])
def test_a_slope_needs_two_lengths(long: int) -> None:
    with pytest.raises(ValueError, match=f"found 60 and {long}"):
        slope(60, 1.0, long, 2.0)


@pytest.mark.parametrize(
    ("samples", "percent", "expected"),
    [
        ([5], 50, 5),
        ([5], 99, 5),
        ([1, 2], 50, 1),
        ([3, 1, 2], 50, 2),
        (range(1, 101), 50, 50),
        (range(1, 101), 99, 99),
        (range(1, 101), 100, 100),
        (range(1, 1001), 99, 990),
        (range(1, 12), 99, 11),
    ],
)
def test_percentile_is_the_nearest_rank(samples: list[float], percent: float, expected: float) -> None:
    assert percentile(list(samples), percent) == expected


@given(samples=st.lists(_COST, min_size=1), percent=st.floats(min_value=0.1, max_value=100))
def test_a_percentile_is_a_sample_that_enough_samples_do_not_exceed(samples: list[float], percent: float) -> None:
    found = percentile(samples, percent)
    assert found in samples
    assert sum(sample <= found for sample in samples) >= math.ceil(len(samples) * percent / 100)


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_percentile_outside_its_range_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="above 0 and up to 100"):
        percentile([1.0], percent)


def test_a_spread_is_median_and_extremes() -> None:
    spread = spread_of([3.0, 1.0, 10.0, 2.0])
    assert (spread.median, spread.low, spread.high) == (2.5, 1.0, 10.0)


def test_nothing_is_made_of_no_samples() -> None:
    with pytest.raises(ValueError, match="no samples"):
        spread_of([])
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)
