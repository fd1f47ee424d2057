"""Books what has ended of tenants' credits, and keeps what workers are told of it near what is left.

Any host may do it, one at a time: the database's unit sees to it, and no end is booked twice. An end is booked when
the usage store has all of that day, of every host, as an invoice wants it of a month; and of a usage store that no
invoice is issued of, none is.
"""

import datetime as dt
from collections.abc import Callable, Sequence

import structlog

from control.audit_chain import Actor
from control.credits.accounts import lowered, unended
from control.credits.booking import book_ends, ms_of, to_be_booked
from control.credits.days import day_of_moment, number_of
from control.credits.pools import last_day_of, replayed
from control.invoices.checked import UsageHere, check_usage
from control.invoices.gateways import UnknownGateways, UsageWentBack
from control.invoices.months import Day, day_of
from control.invoices.readiness import UsageIncomplete
from control.invoices.usage import daily_use
from control.store.credits import accounts_that_end, entries_of, find_account
from control.store.store import Store
from control.store.values import CreditAccount
from headgate.usage_client import UsageAway, UsageError

SYSTEM = Actor("system", "credits")
NEAR_MS = 600_000  # around an end its bound is looked at in each turn
LATER = dt.timedelta(minutes=15)  # and after that, until it is booked

log = structlog.get_logger()


class Endings:
    """Of one process. `here` says how it asks the usage store, by what gateway.yaml says now."""

    def __init__(self, store: Store, here: Callable[[], UsageHere]) -> None:
        self._store, self._here = store, here
        self._next: dict[str, dt.datetime] = {}  # when an account is looked at again
        self._said: dict[str, dt.datetime] = {}  # why none are booked, and when that was logged

    def work(self, now: dt.datetime) -> int:
        """One turn; how many ends were booked. Raises StoreError alone."""
        with self._store.read() as reader:
            accounts = accounts_that_end(reader)
        self._next = {one.tenant_id: self._next[one.tenant_id] for one in accounts if one.tenant_id in self._next}
        booked = 0
        for account in accounts:
            if not self._is_due(account, now):
                continue
            try:
                booked += self._look(account, now)
            except UsageAway as error:
                log.info("ends of credits wait for the usage store", reason=str(error))
                break
            except UsageError as error:
                log.error("ends of credits can't be known", tenant=account.tenant_id, reason=str(error))  # noqa: TRY400
            self._next[account.tenant_id] = now + LATER
        return booked

    def _is_due(self, account: CreditAccount, now: dt.datetime) -> bool:
        distances = [at_ms - ms_of(now) for at_ms, _ in account.ending]
        if any(-NEAR_MS <= distance <= NEAR_MS for distance in distances):
            return True
        return min(distances) < 0 and self._next.get(account.tenant_id, now) <= now

    def _look(self, account: CreditAccount, now: dt.datetime) -> int:
        today, here = day_of_moment(now), self._here()
        with self._store.read() as reader:
            entries = entries_of(reader, account.tenant_id)
        ends = {number_of(one.expires_on) for one in unended(entries) if one.expires_on}
        complete = self._complete(sorted(day for day in ends if day < today), here, now)
        used = daily_use(here.ask, account.tenant_id, account.since_day, today)
        return brought_up(self._store, account.tenant_id, used, today, complete)

    def _complete(self, days: Sequence[int], here: UsageHere, now: dt.datetime) -> int:
        """The last of these days that is known as a whole; -1 without one."""
        complete = -1
        for day in map(day_of, days):
            if now < day.known_at or not self._is_whole(day, here, now):
                break
            complete = day.first_day
        return complete

    def _is_whole(self, day: Day, here: UsageHere, now: dt.datetime) -> bool:
        try:
            check_usage(self._store, here, day, now)
        except UsageIncomplete as waits:
            log.info("ends of credits wait for usage", reason=str(waits))
            return False
        except (UsageWentBack, UnknownGateways) as refused:
            self._refuse(str(refused), now)
            return False
        return True

    def _refuse(self, reason: str, now: dt.datetime) -> None:
        """Once for all accounts, and again while it lasts."""
        self._said = {text: at for text, at in self._said.items() if now - at < LATER}
        if reason not in self._said:
            self._said[reason] = now
            log.error("ends of credits are not booked", reason=reason)


def brought_up(store: Store, tenant: str, used: dict[int, int], through: int, complete: int) -> int:
    """Books the ends of one account up to the day `complete`; how many. Nothing is written where nothing changes."""
    with store.read() as reader:
        entries, account = entries_of(reader, tenant), find_account(reader, tenant)
    if account is None or not entries:
        return 0
    standing = replayed(entries, used, last_day_of(entries, through))
    if not to_be_booked(standing, complete) and lowered(account, standing) == account:
        return 0
    with store.write(SYSTEM) as unit:
        booked = book_ends(unit, tenant, used, through, complete, "system:credits")
    if booked:
        log.info("credits have ended", tenant=tenant, entries=booked)
    return booked
