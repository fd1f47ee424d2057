"""Work by the clock: what has the same period comes together, however long each took."""

import pytest

from headgate import ticks


@pytest.mark.parametrize("period_s", [0.25, 0.5, 1.0, 2.0, 5.0])
def test_ticks_of_a_process_are_the_same_for_all_and_none_comes_twice(
    period_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = began = ticks._BEGAN
    monkeypatch.setattr(ticks.time, "monotonic", lambda: now)
    for passed in (0.0, 0.001, 0.3, 0.86, 0.999, 1.0, 7.4):
        now = began + passed * period_s
        left_s = ticks.until_next(period_s)
        assert 0.12 * period_s < left_s <= 1.126 * period_s  # a timer that was early is not followed by another
        ticked = (now + left_s - began) / period_s
        assert ticked == pytest.approx(round(ticked), abs=1e-6)
