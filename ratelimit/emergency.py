"""The limits of one process while the counters are away: the tenant's windows, shared out over the workers. Pure.

Slots cannot be counted this way: nobody says when a request has ended. So `concurrency` does not hold meanwhile.
"""

from collections import deque
from collections.abc import Sequence

from ratelimit.limits import Limit, Refused

_BUCKETS = 60


class Window:
    """Requests of the last `window_s`, in sixty buckets and the one that runs."""

    def __init__(self, window_s: float) -> None:
        self._width_s = window_s / _BUCKETS
        self._buckets: deque[list[int]] = deque()
        self.used = 0

    def turn(self, now: float) -> None:
        """Lets go of what is older than the window."""
        oldest = int(now / self._width_s) - _BUCKETS
        while self._buckets and self._buckets[0][0] < oldest:
            self.used -= self._buckets.popleft()[1]

    def add(self, now: float) -> None:
        """One request more."""
        number = int(now / self._width_s)
        if self._buckets and self._buckets[-1][0] == number:
            self._buckets[-1][1] += 1
        else:
            self._buckets.append([number, 1])
        self.used += 1

    def wait_ms(self, now: float) -> int:
        """When the oldest bucket leaves."""
        leaves_s = (self._buckets[0][0] + _BUCKETS + 1) * self._width_s
        return max(1, round((leaves_s - now) * 1000))


class Emergency:
    """All tenants' windows of this process. `workers` share a limit."""

    def __init__(self, workers: int) -> None:
        self._workers = max(1, workers)
        self._windows: dict[tuple[str, str], Window] = {}

    def share(self, limit: Limit) -> int:
        """What of a limit this process may give out: never more than the limit in sum, but at least one."""
        return max(1, limit.cap // self._workers)

    def take(self, tenant: str, limits: Sequence[Limit], now: float) -> Refused | None:
        """One request's share of all limits, or of none. `now` is monotonic, in seconds."""
        windows = [self._window(tenant, limit) for limit in limits]
        for window, limit in zip(windows, limits, strict=True):
            window.turn(now)
            if window.used >= self.share(limit):
                return Refused(limit, window.wait_ms(now), window.used)
        for window in windows:
            window.add(now)
        return None

    def clear(self) -> None:
        """The counters are back."""
        self._windows.clear()

    def _window(self, tenant: str, limit: Limit) -> Window:
        key = (tenant, limit.name)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(limit.window_s)
        return window
