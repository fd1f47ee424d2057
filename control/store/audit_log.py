"""The audit log as it lies in the database: read, looked at as a whole, and personal parts of it dropped.

`Unit.record` (control/store/unit.py) is the only way to add to it; control/audit_chain.py says what makes it a
chain.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, update

from control import audit_chain
from control.audit_chain import COLUMNS, ERASE, FIRST, Entry, Head, Part, Verdict, ranges_of
from control.store.base import table_of
from control.store.paging import Page, Wish, cursor_of, filled, place_of
from control.store.tables import AuditRow
from control.store.unit import Reader, Unit

AT_ONCE = 10_000  # entries that one unit drops parts of
_CHUNK = 2000  # entries whose sizes are read at once
_PIECE_CHARS = 2**20  # that the documents hold of those that are in memory at once
_AUDIT = table_of(AuditRow)
_CHARS = func.coalesce(func.length(AuditRow.before), 0) + func.coalesce(func.length(AuditRow.after), 0)
_COLUMNS = tuple(_AUDIT.c[name] for name in Entry.__slots__)


def database_id(reader: Reader) -> str | None:
    """By which a database is known from others: the hash of its first entry, of which there is always the same.

    None before the first.
    """
    row = reader.row(select(AuditRow.hash).where(AuditRow.seq == 1))
    return row[0].hex() if row else None


def list_entries(
    reader: Reader,
    wish: Wish,
    *,
    tenant_id: str | None = None,
    actor_id: str | None = None,
    action: str | None = None,
    object_kind: str | None = None,
    object_id: str | None = None,
    request_id: str | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> Page[Entry]:
    """The newest first; from `since` on, before `until`."""
    asked = (
        (AuditRow.tenant_id, tenant_id),
        (AuditRow.actor_id, actor_id),
        (AuditRow.action, action),
        (AuditRow.object_kind, object_kind),
        (AuditRow.object_id, object_id),
        (AuditRow.request_id, request_id),
    )
    conditions: list[ColumnElement[bool]] = [column == value for column, value in asked if value is not None]
    if since is not None:
        conditions.append(AuditRow.at >= since)
    if until is not None:
        conditions.append(AuditRow.at < until)
    if wish.after is not None:
        conditions.append(AuditRow.seq < place_of("audit", wish.after, [int])[0])
    query = select(*_COLUMNS).where(*conditions).order_by(AuditRow.seq.desc())
    page = filled(
        wish,
        lambda after, most: reader.rows(query.offset(after).limit(most)),
        lambda row: cursor_of("audit", [row.seq]),
    )
    return Page(tuple(_entry(row) for row in page.items), page.next)


def entries(reader: Reader, *, tenant_id: str | None = None, after: int = 0) -> Iterator[Entry]:
    """All of them, the oldest first, or those about a tenant."""
    while ends := piece_ends(reader, tenant_id=tenant_id, after=after):
        for last in ends:
            yield from piece(reader, after, last, tenant_id=tenant_id)
            after = last


def piece_ends(reader: Reader, *, tenant_id: str | None = None, after: int = 0) -> list[int]:
    """Where pieces of the next entries end that may be read at once; none at the end of the log.

    A piece holds _PIECE_CHARS, unless its first entry alone has more: documents of earlier versions may be large.
    """
    sizes = select(AuditRow.seq, _CHARS).where(AuditRow.seq > after, *_of(tenant_id)).order_by(AuditRow.seq)
    ends: list[int] = []
    room = 0
    for seq, chars in reader.rows(sizes.limit(_CHUNK)):
        room -= chars
        if ends and room >= 0:
            ends[-1] = seq
        else:
            ends.append(seq)
            room = _PIECE_CHARS - chars
    return ends


def piece(reader: Reader, after: int, last: int, *, tenant_id: str | None = None) -> list[Entry]:
    """The entries behind `after`, up to `last`."""
    query = select(*_COLUMNS).where(AuditRow.seq > after, AuditRow.seq <= last, *_of(tenant_id))
    return [_entry(row) for row in reader.rows(query.order_by(AuditRow.seq))]


def _of(tenant_id: str | None) -> list[ColumnElement[bool]]:
    return [] if tenant_id is None else [AuditRow.tenant_id == tenant_id]


def head_of(reader: Reader) -> Head:
    """Where the log ends; worth keeping somewhere else."""
    row = reader.row(select(AuditRow.seq, AuditRow.hash).order_by(AuditRow.seq.desc()).limit(1))
    return Head(0, FIRST) if row is None else Head(row[0], row[1])


def verify_log(reader: Reader, known: Head | None = None) -> Verdict:
    """Look at every entry; `known` is a head from earlier, by which cut and rewritten logs are found."""
    return audit_chain.verify(entries(reader), known)


def drop_parts_of_tenant(unit: Unit, tenant_id: str) -> int:
    """Of at most AT_ONCE entries: who of the tenant did something, and what was done to it; how many are dropped.

    The entry that says so is written with it. To be called in one unit after the other until it returns 0.
    """
    return _drop(unit, {"actor": AuditRow.actor_tenant_id == tenant_id, "subject": AuditRow.tenant_id == tenant_id})


def drop_parts_of_user(unit: Unit, user_id: str) -> int:
    """The same for a person: what they did, wherever, and what was done to their entry and memberships."""
    about = and_(AuditRow.object_kind.in_(("user", "membership")), AuditRow.object_id == user_id)
    return _drop(unit, {"actor": AuditRow.actor_id == user_id, "subject": about})


def _drop(unit: Unit, meant: dict[Part, ColumnElement[bool]]) -> int:
    said: dict[Part, list[list[int]]] = {}
    number = 0
    for part, condition in meant.items():
        salt = _AUDIT.c[f"{part}_salt"]
        kept = and_(condition, salt.is_not(None), *([AuditRow.action != ERASE] if part == "subject" else []))
        query = select(AuditRow.seq).where(kept).order_by(AuditRow.seq).limit(AT_ONCE - number)
        seqs = [row[0] for row in unit.rows(query)]
        if not seqs:
            continue
        nothing: dict[Any, None] = dict.fromkeys((*COLUMNS[part], f"{part}_salt"))
        within = and_(kept, AuditRow.seq <= seqs[-1])
        unit.run(update(AuditRow).where(within).values(nothing))
        said[part], number = ranges_of(seqs), number + len(seqs)
    if said:
        unit.record(ERASE, "audit", None, after=said)
    return number


def _entry(row: Any) -> Entry:
    return Entry(**row._mapping)
