"""Lines that anybody can cause are bounded, and what was left out is told."""

from headgate.log_rate import AT_ONCE, PER_S, LogRate


def test_a_flood_leaves_some_lines_and_says_how_many_it_did_not() -> None:
    now = 1000.0
    rate = LogRate(lambda: now)
    lines = [rate.line() for _ in range(AT_ONCE + 50)]
    assert lines == [{}] * AT_ONCE + [None] * 50
    now += 1 / PER_S
    assert rate.line() == {"not_logged": 50}
    assert rate.line() is None
    now += 3600
    assert [rate.line() for _ in range(AT_ONCE)] == [{"not_logged": 1}] + [{}] * (AT_ONCE - 1)
    assert rate.line() is None
