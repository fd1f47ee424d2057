"""Books entries of credits, and tells the workers: in one unit, so that there is never one without the other."""

import datetime as dt
from collections.abc import Mapping

from control.credits.accounts import account_of, lowered
from control.credits.pools import Pool, Standing, last_day_of, replayed
from control.store.credits import CreditEntry, entries_of, find_account, insert_entry, write_account
from control.store.unit import Unit
from control.store.values import NEVER

_MS = dt.timedelta(milliseconds=1)


def book(unit: Unit, entry: CreditEntry) -> CreditEntry:
    """Recorded. Raises as the store does."""
    made = insert_entry(unit, entry)
    tenant = entry.customer
    write_account(unit, account_of(tenant, entries_of(unit, tenant), ms_of(unit.now), find_account(unit, tenant)))
    return made


def book_ends(unit: Unit, tenant: str, used: Mapping[int, int], through: int, complete: int, by: str) -> int:
    """Books what is left of entries whose last day is over and known as a whole, `complete` or before; how many.

    Lowers what workers are told may be left of the others, by what was `used`, of which some may be unknown. Entries
    are those of the unit: what was booked since the usage store was asked takes no use from days before.
    """
    entries, account = entries_of(unit, tenant), find_account(unit, tenant)
    if not entries or account is None:
        return 0  # deleted meanwhile
    standing = replayed(entries, used, last_day_of(entries, through))
    over = to_be_booked(standing, complete)
    for pool in over:
        assert pool.entry  # noqa: S101 - chosen so
        end = CreditEntry(
            customer=tenant, kind="expired", amount_nano=-pool.left, ended=pool.entry.seq, created_by=by
        )
        insert_entry(unit, end)
    bounds = lowered(account, standing)
    fresh = account_of(tenant, entries_of(unit, tenant), ms_of(unit.now), bounds)
    told = write_account(unit, lowered(fresh, standing))
    if not over and told != account:
        unit.record("credits.lower", "credit", None, tenant_id=tenant, after={"ending": told.ending})
    return len(over)


def to_be_booked(standing: Standing, complete: int) -> list[Pool]:
    """Of entries that have ended by the end of that day, and whose end is not booked."""
    return [pool for pool in standing.pools if pool.is_unbooked_end and pool.last_day <= complete]


def ms_of(moment: dt.datetime) -> int:
    """Since 1970."""
    return (moment - NEVER) // _MS
