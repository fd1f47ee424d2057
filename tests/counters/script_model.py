"""The scripts as plain Python: what they must decide and leave behind, for any order of calls and any clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, floor

from headgate.counters.limits import Applying, Limit, keys_of
from headgate.counters.reservation import LEAST_GRANT, Wish, estimate_nano
from headgate.counters.settlement import Settled, Sum

DAY_MS = 86_400_000
KEPT_MS = 3 * DAY_MS
HELD_DAYS = 4


def amount_of(limit: Limit, wish: Wish, grant: int) -> int:
    output = grant * wish.times
    amounts = {"requests": 1, "slots": 1, "input": wish.input, "output": output, "tokens": wish.input + output}
    return {**amounts, "usd": estimate_nano(wish, grant)}[limit.kind.dimension]


def real_of(dimension: str, one: Settled) -> int:
    tokens = one.input + one.output
    real = {"requests": one.requests, "input": one.input, "output": one.output, "tokens": tokens, "usd": one.usd_nano}
    return real[dimension]


def most_of(limit: Limit, now: int) -> int | None:
    return limit.cap_nano(now) if limit.is_credits else limit.row.most


def soft_of(limit: Limit, now: int) -> int | None:
    return limit.soft_nano(now) if limit.is_credits else limit.row.soft


@dataclass
class Window:
    """Buckets by number; a request counts until its bucket is `units` buckets back."""

    unit_ms: int
    units: int
    taken: dict[int, int] = field(default_factory=dict)
    last: int | None = None  # the bucket up to which it was brought
    debt: float = 0.0
    since: int = 0
    warned: int | None = None
    open: dict[int, int] = field(default_factory=dict)  # of `taken`, what running requests hold

    def cell(self, now: int) -> int:
        cell = now // self.unit_ms
        if self.last is not None and cell < self.last and self.last - cell <= self.units:
            return self.last  # the clock went back a little
        return cell

    def used(self, now: int) -> int:
        cell = self.cell(now)
        return sum(amount for bucket, amount in self.taken.items() if 0 <= cell - bucket <= self.units)

    def reserved(self, now: int) -> int:
        cell = self.cell(now)
        held = sum(amount for bucket, amount in self.open.items() if 0 <= cell - bucket <= self.units)
        return min(held, self.used(now))

    def owed(self, limit: Limit, now: int) -> float:
        rate = limit.row.burst / limit.row.refill_ms
        if self.since - now > limit.row.refill_ms:
            return 0.0  # the clock was set back
        return max(0.0, self.debt - max(0, now - self.since) * rate)

    def room(self, limit: Limit, now: int, given_back: int = 0) -> int:
        assert limit.row.most is not None
        used, cap, burst = self.used(now) - given_back, limit.row.most, limit.row.burst
        on_credit = max(0, floor(burst - self.owed(limit, now) + 1e-6)) if burst else 0
        return min(max(0, cap - used) + on_credit, cap + burst - used)

    def put(self, now: int, cell: int, amount: int) -> None:
        last = self.cell(now)
        self.taken = {bucket: held for bucket, held in self.taken.items() if 0 <= last - bucket <= self.units}
        self.open = {bucket: held for bucket, held in self.open.items() if 0 <= last - bucket <= self.units}
        self.taken[cell] = self.taken.get(cell, 0) + amount
        self.last = last

    def take(self, limit: Limit, now: int, cell: int, amount: int, *, on_credit: bool) -> int:
        """The credits that it costs."""
        owed = self.owe(limit, now, amount) if on_credit else 0
        if amount:
            self.put(now, cell, amount)
            if limit.kind.dimension != "requests":
                self.open[cell] = self.open.get(cell, 0) + amount
        return owed

    def owe(self, limit: Limit, now: int, amount: int) -> int:
        """Credits of the burst for what is above the cap."""
        if not limit.row.burst or limit.row.most is None:
            return 0
        used = self.used(now)
        on_credit = max(0, used + amount - max(limit.row.most, used))
        if on_credit:
            self.debt, self.since = self.owed(limit, now) + on_credit, now
        return on_credit

    def add(self, now: int, cell: int, amount: int, limit: Limit | None = None) -> None:
        """What was not reserved; with its limit, of a request that has reserved something."""
        cell = min(cell, self.cell(now))
        if self.cell(now) - cell <= self.units:
            if limit:
                self.owe(limit, now, amount)
            self.put(now, cell, amount)

    def correct(self, limit: Limit, now: int, cell: int, reserved: int, real: int, on_credit: float) -> None:
        counts = self.last is not None and 0 <= self.last - cell <= self.units
        if counts and limit.kind.dimension != "requests":
            self.open[cell] = max(0, self.open.get(cell, 0) - reserved)
        if real > reserved:
            self.add(now, cell, real - reserved, limit)
        elif counts and real < reserved:
            held = self.taken.get(cell, 0)
            self.taken[cell] = max(0, held + real - reserved)
            if on_credit:
                self.debt = max(0, self.debt - min(on_credit, held - self.taken[cell]))

    def reset_ms(self, limit: Limit, now: int) -> int:
        reset = 0
        if self.used(now) and self.last is not None:
            reset = (self.last + self.units + 1) * self.unit_ms - now
        if limit.row.burst and limit.row.most is not None:
            owed_ms = ceil(self.owed(limit, now) / (limit.row.burst / limit.row.refill_ms))
            reset = max(reset, owed_ms + max(0, self.since - now) if owed_ms else 0)
        return max(0, reset)


def may_hold(day: int, now: int) -> bool:
    return -HELD_DAYS < day - now // DAY_MS <= 1


@dataclass
class Calendar:
    """The sums of one window; a new window begins with nothing."""

    start: int | None = None
    held: dict[int, int] = field(
        default_factory=dict
    )  # by running requests; of credits by the day they reserved, else 0
    others: int = 0
    sums: dict[str, tuple[int, int]] = field(default_factory=dict)
    warned: bool = False

    def turn(self, start: int) -> None:
        if self.start != start:
            self.__init__(start)  # type: ignore[misc]

    def reserved(self, now: int) -> int:
        return sum(held for day, held in self.held.items() if day == 0 or may_hold(day, now))

    def hold(self, day: int, amount: int, now: int) -> None:
        if amount and not self.held.get(day):
            self.held = {one: held for one, held in self.held.items() if one == 0 or may_hold(one, now)}
        self.held[day] = self.held.get(day, 0) + amount

    @property
    def settled(self) -> int:
        return self.others + sum(value for value, _ in self.sums.values())


@dataclass
class Taken:
    limit: Limit
    key: str
    amount: int
    at: int = 0  # a sliding window's bucket, a calendar window's start
    on_credit: int = 0
    now: int = 0


@dataclass
class Outcome:
    kind: str  # allowed, again, closed, unknown, refused
    grant: int = 0
    full: tuple[Limit, ...] = ()


@dataclass
class Model:
    """One tenant. `records` are requests that reserved something, `closed` those that were settled."""

    most_users: int
    windows: dict[str, Window] = field(default_factory=dict)
    calendars: dict[str, Calendar] = field(default_factory=dict)
    slots: dict[str, dict[str, int]] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    records: dict[str, tuple[int, list[Taken]]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    base: bool = False
    alerts: list[tuple[str, int, int, int, int]] = field(default_factory=list)

    def has_own(self, user: str, now: int) -> bool:
        return self.users.get(user, 0) > now or sum(ends > now for ends in self.users.values()) < self.most_users

    def key(self, tenant: str, limit: Limit, now: int) -> str:
        keys = keys_of(tenant, limit)
        return keys[0] if len(keys) == 1 or self.has_own(limit.user, now) else keys[1]

    def window(self, limit: Limit, key: str) -> Window:
        return self.windows.setdefault(key, Window(limit.kind.unit_ms, limit.kind.units))

    def calendar(self, limit: Limit, key: str, now: int) -> tuple[Calendar, int, int]:
        """The sums as they count now, and their window."""
        kept = self.calendars.setdefault(key, Calendar())
        start, end = limit.window_ms(max(now, kept.start or 0))
        return (kept if kept.start == start else Calendar(start)), start, end

    def used(self, limit: Limit, key: str, now: int) -> int:
        if limit.kind.shape == "slots":
            return sum(ends > now for ends in self.slots.get(key, {}).values())
        if limit.kind.shape == "window":
            return self.window(limit, key).used(now)
        if not limit.is_calendar:  # credits without an account
            return 0
        sums = self.calendar(limit, key, now)[0]
        return sums.settled + sums.reserved(now)

    def room(self, limit: Limit, key: str, now: int) -> int | None:
        most = most_of(limit, now)
        if most is None:
            return None
        if limit.kind.shape == "window":
            return self.window(limit, key).room(limit, now)
        return most - self.used(limit, key, now)

    def reset_ms(self, limit: Limit, key: str, now: int) -> int:
        if limit.kind.shape in ("slots", "ever"):
            return 0
        if limit.kind.shape == "window":
            return self.window(limit, key).reset_ms(limit, now)
        return self.calendar(limit, key, now)[2] - now

    def reserve(self, applying: Applying, wish: Wish, now: int, lease_ms: int, passed: int | None = None) -> Outcome:
        request = wish.request_id
        if request in self.closed:
            return Outcome("closed")
        if request in self.records:
            return Outcome("again", self.records[request][0])
        if passed is None and any(limit.is_calendar for limit in applying.limits) and not self.base:
            return Outcome("unknown")
        keys = {limit.key: self.key(applying.tenant, limit, now) for limit in applying.limits}
        rooms = [(limit, self.room(limit, keys[limit.key], now)) for limit in applying.limits]

        def fits(grant: int) -> Callable[[tuple[Limit, int | None]], bool]:
            def check(pair: tuple[Limit, int | None]) -> bool:
                amount = amount_of(pair[0], wish, grant)
                return pair[1] is None or amount <= pair[1] or (pair[0].is_credits and amount == 0)

            return check

        least = min(LEAST_GRANT, wish.output)
        full = () if passed is not None else tuple(pair[0] for pair in rooms if not fits(least)(pair))
        if full:
            return Outcome("refused", full=full)
        grants = range(wish.output, least - 1, -1)
        grant = wish.output if passed is not None else next(one for one in grants if all(map(fits(one), rooms)))
        counting = [
            limit for limit in applying.limits if passed is None or self._counts(limit, keys[limit.key], passed, now)
        ]
        taken = [self._take(limit, keys[limit.key], wish, grant, now, lease_ms, passed) for limit in counting]
        self.records[request] = (grant, taken if applying.settles else [])
        if applying.settles:
            self.open.add(request)
        ends = [self._ends(one, now, lease_ms) for one in taken if one.limit.user and one.key == one.limit.key]
        if ends:
            self._keep(applying.user, max(ends), now)
        return Outcome("allowed", grant)

    def _counts(self, limit: Limit, key: str, passed: int, now: int) -> bool:
        """Whether what was let through at that moment still does."""
        if limit.kind.shape == "window":
            window = self.window(limit, key)
            return window.cell(now) - passed // window.unit_ms <= window.units
        return not limit.is_calendar or passed >= self.calendar(limit, key, now)[1]

    def _take(
        self, limit: Limit, key: str, wish: Wish, grant: int, now: int, lease_ms: int, passed: int | None
    ) -> Taken:
        at = now if passed is None else passed
        taken = Taken(limit, key, amount_of(limit, wish, grant), now=at)
        if limit.kind.shape == "slots" and passed is None:
            self.slots.setdefault(key, {})[wish.request_id] = now + lease_ms
        elif limit.kind.shape == "window":
            window = self.window(limit, key)
            taken.at = window.cell(now) if passed is None else min(passed // window.unit_ms, window.cell(now))
            taken.on_credit = window.take(limit, now, taken.at, taken.amount, on_credit=passed is None)
            self._warn_of_window(limit, key, now)
        elif limit.is_calendar:
            taken.at = self.calendar(limit, key, now)[1]
            sums = self.calendars[key]
            sums.turn(taken.at)
            sums.hold(at // DAY_MS if limit.is_credits else 0, taken.amount, now)
            self._warn(limit, key, now, sums)
        return taken

    def spent(self, limit: Limit, key: str, now: int) -> int:
        """What soft limits compare."""
        used = self.used(limit, key, now)
        if limit.kind.dimension in ("requests", "slots") or not (limit.is_calendar or limit.kind.shape == "window"):
            return used
        if limit.kind.shape == "window":
            return used - self.window(limit, key).reserved(now)
        return used - self.calendar(limit, key, now)[0].reserved(now)

    def _warn_of_window(self, limit: Limit, key: str, now: int) -> None:
        window, spent = self.window(limit, key), self.spent(limit, key, now)
        cell = window.cell(now)
        told = window.warned is not None and 0 <= cell - window.warned <= window.units
        if limit.row.soft is not None and spent > limit.row.soft and not told:
            window.warned = cell
            self._alert(limit, key, now, (cell - window.units) * window.unit_ms, spent)

    def _warn(self, limit: Limit, key: str, now: int, sums: Calendar) -> None:
        spent = sums.settled + (sums.reserved(now) if limit.kind.dimension == "requests" else 0)
        soft = soft_of(limit, now)
        if soft is not None and spent > soft and not sums.warned and sums.start is not None:
            sums.warned = True
            self._alert(limit, key, now, sums.start, spent)
        if limit.is_credits and soft is not None and spent <= soft:
            sums.warned = False

    def _alert(self, limit: Limit, key: str, now: int, window: int, used: int) -> None:
        soft = soft_of(limit, now)
        assert soft is not None
        self.alerts = [*self.alerts, (key, window, used, soft, now)][-100:]

    def _ends(self, taken: Taken, now: int, lease_ms: int) -> int:
        limit = taken.limit
        if limit.kind.shape == "slots":
            return now + lease_ms + 60_000
        if limit.kind.shape == "window":
            return now + max((limit.kind.units + 2) * limit.kind.unit_ms, limit.row.refill_ms)
        return limit.window_ms(taken.at)[1] + KEPT_MS

    def _keep(self, user: str, ends: int, now: int) -> None:
        if len(self.users) >= self.most_users:
            self.users = {name: kept for name, kept in self.users.items() if kept > now}
        self.users[user] = max(ends, self.users.get(user, 0))

    def settle(self, one: Settled, now: int) -> bool:
        request = one.request_id
        freed = request in self.open
        self.open.discard(request)
        if request in self.records:
            for taken in self.records.pop(request)[1]:
                self._give_back(taken, one, now)
        elif request not in self.closed and one.missed:
            self._missed(one, now)
        self.closed.add(request)
        return freed

    def _give_back(self, taken: Taken, one: Settled, now: int) -> None:
        limit = taken.limit
        if limit.kind.shape == "slots":
            self.slots.get(taken.key, {}).pop(one.request_id, None)
            return
        real = real_of(limit.kind.dimension, one)
        if limit.kind.shape == "window":
            if real == taken.amount and limit.kind.dimension == "requests":
                return
            on_credit: float = taken.on_credit
            if on_credit:  # what has refilled since is paid
                rate = limit.row.burst / limit.row.refill_ms
                on_credit = max(0.0, on_credit - max(0, now - taken.now) * rate)
            self.window(limit, taken.key).correct(limit, now, taken.at, taken.amount, real, on_credit)
            self._warn_of_window(limit, taken.key, now)
            return
        if not limit.is_calendar:
            return
        sums = self.calendars[taken.key]
        if sums.start == taken.at:
            day = taken.now // DAY_MS if limit.is_credits else 0
            sums.held[day] = max(0, sums.held.get(day, 0) - taken.amount)
            if taken.key != limit.key:
                sums.others += real

    def _missed(self, one: Settled, now: int) -> None:
        for limit in one.applying.limits:
            if limit.kind.shape != "window" or not (real := real_of(limit.kind.dimension, one)):
                continue
            cell = one.time_ms // limit.kind.unit_ms
            if now // limit.kind.unit_ms - cell <= limit.kind.units:
                key = self.key(one.applying.tenant, limit, now)
                self.window(limit, key).add(now, cell, real)
                self._warn_of_window(limit, key, now)

    def set_sum(self, one: Sum, gateway: str, now: int) -> None:
        limit, sums = one.limit, self.calendars.setdefault(one.limit.key, Calendar())
        end = limit.window_ms(one.window_ms)[1] + KEPT_MS
        if end <= now or (limit.user and not self.has_own(limit.user, now)):
            return
        if sums.start is not None and sums.start > one.window_ms:
            return
        sums.turn(one.window_ms)
        if limit.user:
            self._keep(limit.user, end, now)
        if gateway in sums.sums and sums.sums[gateway][1] > one.sequence:
            return
        sums.sums[gateway] = (one.value, one.sequence)
        self._warn(limit, limit.key, now, sums)
