"""Deletions of tenants as they are read; control/store/erasure.py starts and finishes them."""

from typing import Any

from sqlalchemy import BigInteger, literal, select, tuple_

from control.store.base import table_of
from control.store.failures import BadValue
from control.store.paging import MOST, Page, Wish, cursor_of, place_of
from control.store.tables import DeletionRow
from control.store.unit import Reader
from control.store.values import NEVER, Deletion

_TABLE = table_of(DeletionRow)
_COLUMNS = tuple(_TABLE.c[name] for name in Deletion.__slots__)


def find_deletion(reader: Reader, deletion_id: str) -> Deletion | None:
    """Also one that has finished."""
    row = reader.row(select(*_COLUMNS).where(DeletionRow.id == deletion_id))
    return None if row is None else Deletion(**row._mapping)


def list_deletions(reader: Reader, wish: Wish, *, finished: bool | None = None) -> Page[Deletion]:
    """The newest first."""
    if not 1 <= wish.limit <= MOST:
        raise BadValue(f"expected from 1 to {MOST} rows on a page")
    query: Any = select(*_COLUMNS).order_by(DeletionRow.requested_at.desc(), DeletionRow.id.desc())
    if finished is not None:
        query = query.where(DeletionRow.finished_at.is_not(None) if finished else DeletionRow.finished_at.is_(None))
    if wish.after is not None:
        at_ms, last = place_of("deletions", wish.after, [int, str])
        # A moment's column is compared with the number that it holds.
        place = (literal(at_ms, BigInteger()), literal(last, _TABLE.c.id.type))
        query = query.where(tuple_(_TABLE.c.requested_at, _TABLE.c.id) < tuple_(*place))
    rows = reader.rows(query.limit(wish.limit + 1))
    found = tuple(Deletion(**row._mapping) for row in rows)
    items = found[: wish.limit]
    if len(found) <= wish.limit:
        return Page(items)
    last_at = round((items[-1].requested_at - NEVER).total_seconds() * 1000)
    return Page(items, cursor_of("deletions", [last_at, items[-1].id]))
