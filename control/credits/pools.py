"""What use has taken of which credits, day by day. Pure, in whole nano-USD; days are UTC's, since 1970.

Use takes from what ends first, then from what was granted before what was paid for, then from the oldest; so does a
negative adjustment. What nothing is left for is a debt, which the next credits pay: of corrections first, then the
oldest. A day's entries are booked in their order, before its use. What is left of an entry at the end of its last day
has ended: how much that was is what was booked of it, once it is. Where the use of that day turns out to be another
one later, the difference is a debt, or is given back, so that what is left of all, less all debts, is always what was
booked less what was used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from control.credits.days import day_of_moment, number_of
from control.store.credits import CreditEntry

_NEVER = 2**62
_GRANTED, _OTHERS, _GIVEN_BACK = 0, 1, 2  # in which order they are used, of those that end alike


@dataclass(slots=True)
class Pool:
    """What is left of an entry; of None what was given back. One that is `closed` can't be used any more."""

    entry: CreditEntry | None
    left: int
    order: tuple[int, int, int]
    closed: bool = False
    is_booked: bool = False  # its end is

    @property
    def last_day(self) -> int:
        """`_NEVER` for one that does not end."""
        return self.order[0]

    @property
    def is_unbooked_end(self) -> bool:
        """An entry that has ended, and whose rest is still here."""
        return self.closed and not self.is_booked


@dataclass(slots=True)
class Debt:
    """What no credits were left for. `day` is that of the use; None: it is of no use, but of a correction."""

    day: int | None
    amount: int


@dataclass(slots=True)
class Standing:
    """An account at the end of a day. `pools` are in the order of use."""

    pools: list[Pool] = field(default_factory=list)
    debts: list[Debt] = field(default_factory=list)

    @property
    def balance(self) -> int:
        """What was booked by then less what was used; what has ended and is not booked yet is still in it."""
        return sum(pool.left for pool in self.pools) - sum(debt.amount for debt in self.debts)

    @property
    def ended(self) -> int:
        """What has ended and is not booked yet."""
        return sum(pool.left for pool in self.pools if pool.closed)

    def owed_of(self, first_day: int, last_day: int) -> int:
        """Of the use of these days."""
        return sum(debt.amount for debt in self.debts if debt.day is not None and first_day <= debt.day <= last_day)

    def _give(self, entry: CreditEntry | None, amount: int) -> None:
        if entry is None:
            order = (_NEVER, _GIVEN_BACK, 0)
        else:
            last_day = number_of(entry.expires_on) if entry.expires_on else _NEVER
            order = (last_day, _GRANTED if entry.kind == "granted" else _OTHERS, entry.seq)
        self.pools.append(Pool(entry, amount, order))
        self.pools.sort(key=lambda pool: pool.order)

    def _take(self, amount: int) -> int:
        """What there was too little of."""
        for pool in self.pools:
            if not pool.closed:
                taken = min(pool.left, amount)
                pool.left, amount = pool.left - taken, amount - taken
        return amount

    def _owe(self, day: int | None, amount: int) -> None:
        if amount < 0:
            self._give(None, -amount)
        elif missing := self._take(amount):
            self.debts.append(Debt(day, missing))

    def _pay(self) -> None:
        """Debts of corrections first: use can still be billed, by the month that it is of, and they can't."""
        for debt in sorted(self.debts, key=lambda debt: debt.day is not None):
            debt.amount = self._take(debt.amount)
        self.debts = [debt for debt in self.debts if debt.amount]

    def _close(self, day: int, ended: Mapping[int, int]) -> None:
        differences = 0
        for pool in self.pools:
            if pool.last_day == day and not pool.closed and pool.entry is not None:
                pool.closed = True
                if pool.entry.seq in ended:
                    differences += ended[pool.entry.seq] - pool.left
                    pool.left, pool.is_booked = 0, True
        self._owe(None, differences)


def since_of(entries: Sequence[CreditEntry]) -> int:
    """The day from which on use counts: that of the first entry."""
    return day_of_moment(entries[0].created_at)


def booked_on(entry: CreditEntry, since: int) -> int:
    """The day from which on it can be used; a clock that was behind has booked it on the account's first."""
    return max(since, day_of_moment(entry.created_at))


def last_day_of(entries: Sequence[CreditEntry], today: int) -> int:
    """Today, or later where another host's clock is ahead: through which all entries are there."""
    return max([today, *(day_of_moment(entry.created_at) for entry in entries)])


def replayed(entries: Sequence[CreditEntry], used: Mapping[int, int], through: int) -> Standing:
    """An account at the end of day `through`: `entries` in their order, and what was `used` on which days."""
    standing = Standing()
    ended = {entry.ended: -entry.amount_nano for entry in entries if entry.ended is not None}
    since = since_of(entries) if entries else through + 1
    booked: dict[int, list[CreditEntry]] = {}
    for entry in entries:
        if entry.kind != "expired":
            booked.setdefault(booked_on(entry, since), []).append(entry)
    ends = {number_of(entry.expires_on) for entry in entries if entry.expires_on}
    for day in sorted({*booked, *used, *ends}):
        if not since <= day <= through:
            continue
        for entry in booked.get(day, ()):
            if entry.amount_nano > 0:
                standing._give(entry, entry.amount_nano)
                standing._pay()
            else:
                standing._owe(None, -entry.amount_nano)
        standing._owe(day, used.get(day, 0))
        standing._close(day, ended)
    return standing
