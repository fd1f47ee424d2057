"""Versions that have just failed on a replica, and when each is tried again."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, wait_random_exponential

from engines.loading.promotion import Fails

LONGEST_S = 60.0
# Any time up to twice as long as the last time's limit: replicas that failed together do not go on so.
_pause_s = wait_random_exponential(multiplier=0.5, min=0.2, max=LONGEST_S)


@dataclass(frozen=True, slots=True)
class _Rest:
    fails: Fails
    times: int
    until: float
    row: int


class Resting:
    """Of one replica. `row` is the version of the adapter's row: one that was changed is tried anew."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rests: dict[str, _Rest] = {}

    def note(self, name: str, row: int, fails: Fails) -> bool:
        """It has failed; whether that is news: another reason than before, or none before."""
        before = self._rests.get(name)
        times = before.times + 1 if before else 1
        self._rests[name] = _Rest(fails, times, self._clock() + _pause_after(times), row)
        return before is None or before.fails.reason is not fails.reason

    def end(self, name: str) -> None:
        """It has gone well."""
        self._rests.pop(name, None)

    def keep(self, row_of: Callable[[str], int | None]) -> None:
        """What has failed counts as long as its row is the same; None: it is of no interest any more."""
        self._rests = {name: rest for name, rest in self._rests.items() if row_of(name) == rest.row}

    def names(self) -> frozenset[str]:
        """Those that are not to be tried yet."""
        now = self._clock()
        return frozenset(name for name, rest in self._rests.items() if rest.until > now)

    def failure_of(self, name: str, row: int) -> Fails | None:
        """What it failed of last, until it goes well, or its row is another one."""
        rest = self._rests.get(name)
        return rest.fails if rest and rest.row == row else None


def _pause_after(times: int) -> float:
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = times
    return _pause_s(state)
