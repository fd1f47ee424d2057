"""What a worker makes of what providers say is left, on a clock of the test's."""

from dataclasses import replace

from headgate.feed.allowances import AFTER_RESET_S, Allowances, Left, Need
from headgate.feed.messages import decoded, left_alone

A = "provider/a@0123456789"
SMALL = Need(10, 10)
SAID = Left(A, "m", "requests", 100, 50, resets_in_s=30)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def told(*said: Left, workers: int = 1) -> tuple[Allowances, Clock]:
    clock = Clock()
    allowances = Allowances(workers, clock)
    allowances.take(said)
    return allowances, clock


def test_what_nobody_speaks_of_is_not_low() -> None:
    allowances, _ = told()
    assert not allowances.knows(A, "m")
    assert not allowances.is_low(A, "m", Need(10**9, 10**9))


def test_a_twentieth_of_the_limit_or_the_need_is_low_until_the_reset() -> None:
    allowances, clock = told(replace(SAID, left=4))
    assert allowances.is_low(A, "m", SMALL)
    assert not allowances.is_low(A, "other", SMALL)
    clock.now += 30
    assert not allowances.is_low(A, "m", SMALL)
    allowances, _ = told(Left(A, "m", "tokens", 1000, 500, 30))
    assert not allowances.is_low(A, "m", Need(400, 100))
    assert allowances.is_low(A, "m", Need(400, 101))
    allowances, _ = told(Left(A, "m", "output-tokens", None, 100, 30))
    assert not allowances.is_low(A, "m", Need(400, 100))


def test_choices_since_count_for_all_workers() -> None:
    allowances, clock = told(SAID, workers=2)
    for _ in range(22):
        assert not allowances.is_low(A, "m", SMALL)
        allowances.choose(A, "m", SMALL)
    allowances.choose(A, "m", SMALL)
    assert allowances.is_low(A, "m", SMALL)
    clock.now += 1
    allowances.take([replace(SAID, left=40, age_s=0.5)])  # all of them are in it
    assert not allowances.is_low(A, "m", SMALL)
    allowances.choose(A, "m", SMALL)
    allowances.take([replace(SAID, left=6, age_s=2.0)])  # an older answer, which comes later
    assert not allowances.is_low(A, "m", SMALL)
    allowances.take([replace(SAID, left=6, age_s=0.1)])  # the choice is younger than this
    assert allowances.is_low(A, "m", SMALL)


def test_after_the_reset_the_limit_counts_until_nobody_speaks_of_it() -> None:
    allowances, clock = told(replace(SAID, left=0))
    clock.now += 30
    for _ in range(96):
        assert not allowances.is_low(A, "m", SMALL)
        allowances.choose(A, "m", SMALL)
    assert allowances.is_low(A, "m", SMALL)
    clock.now += AFTER_RESET_S
    assert not allowances.is_low(A, "m", SMALL)
    assert not allowances.knows(A, "m")


def test_messages_say_all_of_it() -> None:
    some = [SAID, Left(A, "m", "input-tokens", None, 0, 1.5, 0.25)]
    message = decoded(left_alone(some).encode())
    assert message
    assert [one.known() for one in message.left] == some
