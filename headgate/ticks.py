"""When what a process does by the clock is due: together, so that it is woken once for all of it.

At rest being woken is most of what such work costs: each time the caches are cold, for some 0.1 ms. Every process has
ticks of its own, or all of them would be at work at the same moment.
"""

import time

_BEGAN = time.monotonic()
_EARLY = 0.125  # of a period: timers may come a little before their time


def until_next(period_s: float) -> float:
    """Seconds to the next tick of this period: one at most, or an eighth more where that tick is all but there."""
    left_s = period_s - (time.monotonic() - _BEGAN) % period_s
    return left_s if left_s > _EARLY * period_s else left_s + period_s
