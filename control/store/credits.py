"""Accounts of credits: entries as they were booked, never changed, and what workers are told of each account.

Entries are numbered in one sequence, in the unit that books them. What a deleted tenant had booked stays, detached:
it is nobody's but the platform's, as its invoices are.
"""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from control.store.base import table_of
from control.store.billing_tables import CreditAccountRow, CreditEntryRow
from control.store.ids import new_id
from control.store.paging import Page, Wish, cursor_of, filled, place_of
from control.store.rows import Rows
from control.store.unit import Reader, Unit
from control.store.values import NEVER, CreditAccount

Kind = Literal["prepaid", "granted", "adjustment", "expired"]
ACCOUNTS = Rows(CreditAccount, CreditAccountRow, "tenant_id")
_TABLE = table_of(CreditEntryRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditEntry:
    """One of them. `expires_on` is the last day that it can be used on, of UTC; `ended` the `seq` of the entry whose
    rest has expired. `seq`, `id` and `created_at` are the store's to give.
    """

    seq: int = 0
    id: str = ""
    customer: str
    kind: Kind
    amount_nano: int
    expires_on: dt.date | None = None
    note: str = ""
    ended: int | None = None
    created_at: dt.datetime = NEVER
    created_by: str
    detached_at: dt.datetime | None = None


_NAMES = tuple(CreditEntry.__slots__)
_COLUMNS = tuple(_TABLE.c[name] for name in _NAMES)


def insert_entry(unit: Unit, entry: CreditEntry) -> CreditEntry:
    """Books it, and records that. Raises Exists for a second end of one entry."""
    row = unit.row(select(func.max(CreditEntryRow.seq)))
    seq = 1 + ((row[0] or 0) if row else 0)
    fresh = replace(entry, seq=seq, id=new_id("credit"), created_at=unit.now)
    unit.run(insert(CreditEntryRow).values({name: getattr(fresh, name) for name in _NAMES}))
    after = {name: getattr(fresh, name) for name in ("kind", "amount_nano", "note", "ended")}
    after["expires_on"] = fresh.expires_on.isoformat() if fresh.expires_on else None
    unit.record(f"credits.{_verb(fresh)}", "credit", fresh.id, tenant_id=fresh.customer, after=after)
    return fresh


def entries_of(reader: Reader, customer: str) -> tuple[CreditEntry, ...]:
    """All of a living tenant's, the oldest first."""
    query = select(*_COLUMNS).where(*_of(customer)).order_by(CreditEntryRow.seq)
    return tuple(_entry(row) for row in reader.rows(query))


def list_entries(
    reader: Reader, wish: Wish, *, customer: str | None = None, of: str | None = None
) -> Page[CreditEntry]:
    """The newest first. `customer`: only a living tenant's own; `of`: of that name, deleted tenants' too."""
    conditions = _of(customer)
    conditions += [CreditEntryRow.customer == of] if of is not None else []
    if wish.after is not None:
        conditions.append(CreditEntryRow.seq < place_of("credits", wish.after, [int])[0])
    query = select(*_COLUMNS).where(*conditions).order_by(CreditEntryRow.seq.desc())
    page = filled(
        wish,
        lambda after, most: reader.rows(query.offset(after).limit(most)),
        lambda row: cursor_of("credits", [row.seq]),
    )
    return Page(tuple(_entry(row) for row in page.items), page.next)


def ids_of(reader: Reader, entries: tuple[CreditEntry, ...]) -> dict[int, str]:
    """Of the entries that these have ended, by `seq`."""
    wanted = {entry.ended for entry in entries if entry.ended is not None}
    found = reader.rows(select(CreditEntryRow.seq, CreditEntryRow.id).where(CreditEntryRow.seq.in_(wanted)))
    return {row[0]: row[1] for row in found}


def find_account(reader: Reader, tenant_id: str) -> CreditAccount | None:
    """None for a tenant that nothing was booked for."""
    return ACCOUNTS.find(reader, tenant_id)


def accounts_that_end(reader: Reader) -> tuple[CreditAccount, ...]:
    """Those with credits that end, and whose end is not booked yet."""
    return ACCOUNTS.all(reader, CreditAccountRow.ending != ())


def write_account(unit: Unit, account: CreditAccount) -> CreditAccount:
    """In place of what workers were told before, if it is something else."""
    there = find_account(unit, account.tenant_id)
    if there is None:
        return ACCOUNTS.insert(unit, account)
    fresh = replace(there, since_day=account.since_day, booked_nano=account.booked_nano, ending=account.ending)
    return there if fresh == there else ACCOUNTS.update(unit, fresh)


def detach_credits(unit: Unit, customer: str) -> int:
    """The tenant is gone: what was booked stays, under its name, and is no later tenant's. How many."""
    return unit.run(update(CreditEntryRow).where(*_of(customer)).values(detached_at=unit.now))


def attached_credits(reader: Reader, customer: str) -> int:
    """How many entries are a living tenant's."""
    row = reader.row(select(func.count()).select_from(CreditEntryRow).where(*_of(customer)))
    return row[0] if row else 0


def _of(customer: str | None) -> list[ColumnElement[bool]]:
    return [] if customer is None else [CreditEntryRow.customer == customer, CreditEntryRow.detached_at.is_(None)]


def _entry(row: Any) -> CreditEntry:
    return CreditEntry(**row._mapping)


def _verb(entry: CreditEntry) -> str:
    return "expire" if entry.kind == "expired" else "book"
