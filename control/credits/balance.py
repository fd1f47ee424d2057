"""What is left of an account now, by what the usage store knows. Blocks: to be called in a thread."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from control.credits.days import date_of, day_of_moment
from control.credits.pools import Pool, last_day_of, replayed, since_of
from control.invoices.months import day_of
from control.invoices.usage import Ask, daily_use, stored_until
from control.store.credits import CreditEntry
from headgate.config.values import MAX_WHOLE

MOST_ENTRIES = 10_000  # of an account: adding them up takes some 30 ms
MOST_NANO = MAX_WHOLE  # of an account: as far as the counters count exactly


@dataclass(frozen=True, slots=True)
class Balance:
    """In nano-USD. `ended`: what can't be used any more, and is not booked as expired yet."""

    since: dt.date | None
    booked: int
    used: int
    ended: int
    pools: tuple[Pool, ...]
    usage_until: dt.datetime | None

    @property
    def left(self) -> int:
        """What may be used; below 0 where more was used."""
        return self.booked - self.used - self.ended


def balance_of(ask: Ask, tenant: str, entries: Sequence[CreditEntry], now: dt.datetime) -> Balance:
    """Of all entries of an account. Raises UsageError."""
    if not entries:
        return Balance(None, 0, 0, 0, (), None)
    since, today = since_of(entries), last_day_of(entries, day_of_moment(now))
    until = stored_until(ask, day_of(today))  # asked first: what comes meanwhile is in the sums, too
    used = daily_use(ask, tenant, since, today)
    standing = replayed(entries, used, today)
    for pool in standing.pools:
        pool.closed &= pool.last_day < day_of_moment(now)  # the last day itself is not over yet
    return Balance(
        since=date_of(since),
        booked=sum(entry.amount_nano for entry in entries),
        used=sum(used.values()),
        ended=standing.ended,
        pools=tuple(standing.pools),
        usage_until=until if until.timestamp() > 0 else None,
    )
