"""The limits of one process while the counters are away, shared out over the workers. Pure.

Sliding limits give each worker its part of the limit, calendar ones its part of what an even use of the day or month
would leave for any hour. What is too large for a part and not for the limit passes when the worker has let nothing
pass yet: so every request can go somewhere, and none is larger than its limit. Of credits a worker gives out a part
of what was left when it last asked, and never more than that part. Slots cannot be counted this way: nobody says when
a request has ended. So `concurrency` does not hold meanwhile.
"""

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from headgate.counters.limits import Limit
from headgate.counters.reservation import Refused, Standing, Wish, amount_of, whole
from headgate.limits import Dimension

# Clients may name as many users as they like; further ones of a tenant share one window.
USERS_PER_TENANT = 1000

_BUCKETS = 60
_HOUR_S = 3600.0
_WINDOWS_IN = {"day": 24, "month": 720, "ever": 24}
# Accounts of which a process knows what was left: some 150 bytes each.
_ACCOUNTS = 20_000


class Window:
    """What was used in the last `window_s`, in sixty buckets and the one that runs."""

    def __init__(self, window_s: float, user_of: str | None = None) -> None:
        self.width_s = window_s / _BUCKETS
        self.user_of = user_of
        self.touched = 0.0
        self.used = 0
        self._buckets: deque[list[int]] = deque()

    def turn(self, now: float) -> None:
        """Lets go of what is older than the window."""
        self.touched = now
        oldest = int(now / self.width_s) - _BUCKETS
        while self._buckets and self._buckets[0][0] < oldest:
            self.used -= self._buckets.popleft()[1]

    def add(self, now: float, amount: int) -> None:
        """So much more."""
        number = int(now / self.width_s)
        if self._buckets and self._buckets[-1][0] == number:
            self._buckets[-1][1] += amount
        else:
            self._buckets.append([number, amount])
        self.used += amount

    def wait_ms(self, now: float, share: int, least: int) -> int:
        """When enough of the oldest buckets have left for `least` to fit, or all of them."""
        used, leaves_s = self.used, now
        for number, amount in self._buckets:
            used -= amount
            leaves_s = (number + _BUCKETS + 1) * self.width_s
            if used + least <= share:
                break
        return max(1, math.ceil((leaves_s - now) * 1000))

    def reset_ms(self, now: float) -> int:
        """When all of it has left."""
        if not self.used:
            return 0
        return max(1, math.ceil(((self._buckets[-1][0] + _BUCKETS + 1) * self.width_s - now) * 1000))

    def is_over(self, now: float) -> bool:
        """Whether all of it has left."""
        return now - self.touched > (_BUCKETS + 1) * self.width_s


@dataclass(frozen=True, slots=True)
class Taken:
    """The request may go on, with at most `grant` tokens in each answer."""

    grant: int


class Emergency:
    """All windows of this process. `workers` share a limit."""

    def __init__(self, workers: int) -> None:
        self._workers = max(1, workers)
        # By their length, each in the order of use: those that are over come first.
        self._windows: dict[float, OrderedDict[Hashable, Window]] = {}
        self._users: Counter[str] = Counter()
        self._left: OrderedDict[str, int] = OrderedDict()  # of credits, by the limit's key

    def __len__(self) -> int:
        return sum(map(len, self._windows.values()))

    def note(self, standings: Iterable[Standing]) -> None:
        """What the counters have said is left of credits."""
        for standing in standings:
            if standing.limit.is_credits:
                self._left[standing.limit.key] = standing.left
                self._left.move_to_end(standing.limit.key)
                if len(self._left) > _ACCOUNTS:
                    self._left.popitem(last=False)

    def share(self, limit: Limit) -> int:
        """What of a limit this process gives out within its window; of credits that it knows nothing of, nothing."""
        parts = self._workers * _WINDOWS_IN.get(limit.kind.shape, 1)
        if limit.is_credits:
            return self._left.get(limit.key, 0) // parts
        return max(1, (limit.row.most or 0) // parts)

    def take(self, tenant: str, limits: Sequence[Limit], wish: Wish, now: float) -> Taken | Refused:
        """One request's share of all limits, or of none. `now` is monotonic, in seconds."""
        held = list(_held(limits))
        windows = [self._window(tenant, limit, now) for limit in held]
        grant = wish.output
        for limit, window in zip(held, windows, strict=True):
            grant = min(grant, _fitting(wish, limit.kind.dimension, self._room(limit, window)))
        if grant < least_output(wish):
            return max(self._refusals(held, windows, wish, now), key=_length)
        for limit, window in zip(held, windows, strict=True):
            window.add(now, amount_of(wish, limit.kind.dimension, grant))
        return Taken(grant)

    def standings(self, tenant: str, limits: Sequence[Limit], now: float) -> tuple[Standing, ...]:
        """How much of its parts of the limits is left."""
        found = []
        for limit in _held(limits):
            window = self._window(tenant, limit, now)
            left = max(0, self.share(limit) - window.used)
            found.append(Standing(limit, window.used, left, window.reset_ms(now)))
        return tuple(found)

    def _room(self, limit: Limit, window: Window) -> int:
        """What one request may take: up to the whole limit where nothing is used yet; of credits never so much."""
        if limit.is_credits:
            return max(0, self.share(limit) - window.used)
        return self.share(limit) - window.used if window.used else whole(limit.row)

    def _refusals(
        self, limits: Sequence[Limit], windows: Sequence[Window], wish: Wish, now: float
    ) -> Iterator[Refused]:
        for limit, window in zip(limits, windows, strict=True):
            least = amount_of(wish, limit.kind.dimension, least_output(wish))
            if least > whole(limit.row) and not limit.is_credits:
                yield Refused(limit, window.used, -1)
            elif least > self._room(limit, window):
                yield Refused(limit, window.used, window.wait_ms(now, self.share(limit), least))

    def _window(self, tenant: str, limit: Limit, now: float) -> Window:
        length_s = limit.kind.unit_ms * limit.kind.units / 1000 or _HOUR_S
        windows = self._windows.setdefault(length_s, OrderedDict())
        self._forget(windows, now)
        key: Hashable = limit.key
        if "user" in limit.row.by and key not in windows and self._users[tenant] >= USERS_PER_TENANT:
            key = (tenant, limit.row.kind, limit.row.by, limit.row.models)
        window = windows.get(key)
        if window is None:
            user_of = tenant if "user" in limit.row.by and key == limit.key else None
            window = windows[key] = Window(length_s, user_of)
            self._users[tenant] += user_of is not None
        windows.move_to_end(key)
        window.turn(now)
        return window

    def _forget(self, windows: "OrderedDict[Hashable, Window]", now: float) -> None:
        """Two at most: more than can be added, and nobody waits for it."""
        for _ in range(2):
            key = next(iter(windows), None)
            if key is None or not windows[key].is_over(now):
                return
            tenant = windows.pop(key).user_of
            if tenant is not None:
                self._users[tenant] -= 1
                if not self._users[tenant]:
                    del self._users[tenant]


def least_output(wish: Wish) -> int:
    """The shortest answers that the request may be cut down to, in tokens."""
    return min(wish.least, wish.output)


def _held(limits: Iterable[Limit]) -> Iterator[Limit]:
    """Those that can be kept here."""
    return (limit for limit in limits if limit.refuses and limit.kind.shape != "slots")


def _fitting(wish: Wish, dimension: Dimension, room: int) -> int:
    """How many tokens each answer may have; -1 where nothing fits."""
    if amount_of(wish, dimension, wish.output) <= room:
        return wish.output
    fixed = amount_of(wish, dimension, 0)
    per_token = wish.times * (float(wish.rate_nano) if dimension == "usd" else 1)
    if fixed > room or dimension in ("requests", "input") or not per_token:
        return -1
    least = least_output(wish)
    grant = int((room - fixed) / per_token)
    if (
        amount_of(wish, dimension, grant) > room
    ):  # a price is no whole number, and a quotient of such may be off by one
        grant -= 1
    return max(grant, least if amount_of(wish, dimension, least) <= room else -1)


def _length(refused: Refused) -> float:
    return math.inf if refused.wait_ms < 0 else refused.wait_ms
