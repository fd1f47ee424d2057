"""Bounds how often one event is logged: whoever nobody knows can make it happen as often as the network can carry it.

Counters count all of them; what was not logged is said with the next line that is.
"""

import time
from collections.abc import Callable

AT_ONCE = 100
PER_S = 10.0


class LogRate:
    """So many lines at once, and then so many a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left, self._seen_s, self._silent = float(AT_ONCE), clock(), 0

    def line(self) -> dict[str, int] | None:
        """What to add to the line: how many were left out before it. None: leave this one out, too."""
        now = self._clock()
        self._left = min(self._left + (now - self._seen_s) * PER_S, AT_ONCE)
        self._seen_s = now
        if self._left < 1:
            self._silent += 1
            return None
        self._left -= 1
        silent, self._silent = self._silent, 0
        return {"not_logged": silent} if silent else {}
