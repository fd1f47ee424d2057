"""The directory as those read it who tell the workers: all of it in chunks, or what has changed since a version."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, tuple_, update

from control.audit_chain import FIRST, Head
from control.store.adapters import ADAPTERS, VERSIONS
from control.store.base import table_of
from control.store.credentials import CREDENTIALS
from control.store.credits import ACCOUNTS
from control.store.failures import Gap, StoreDamaged
from control.store.keys import KEYS
from control.store.plans import LIMITS, PLANS
from control.store.rows import Rows
from control.store.tables import AuditRow, DirectoryVersion
from control.store.tenants import GRANTS, TENANTS
from control.store.unit import Reader, Writer
from control.store.users import MEMBERSHIPS, USERS
from control.store.values import Row

CHUNK = 5000
# As long as requests are stored: invoices ask for its base model. And no version gets the number of an earlier one.
ADAPTERS_STAY = dt.timedelta(days=400)
# What others refer to comes first, and goes last.
KINDS: tuple[Rows[Any], ...] = (
    *(PLANS, TENANTS, LIMITS, GRANTS, USERS, MEMBERSHIPS, KEYS, CREDENTIALS, ACCOUNTS),
    *(ADAPTERS, VERSIONS),
)


def state_of(reader: Reader) -> tuple[int, Head]:
    """The directory's version and the audit log's end, in one statement: what can be asked for all the time."""
    directory, audit = table_of(DirectoryVersion), table_of(AuditRow)
    last = select(func.max(audit.c.seq)).scalar_subquery()
    both = directory.outerjoin(audit, audit.c.seq == last)
    row = reader.row(select(directory.c.version, audit.c.seq, audit.c.hash).select_from(both))
    if row is None:
        raise StoreDamaged("the directory's version is missing from the database")
    return row[0], Head(0, FIRST) if row[1] is None else Head(row[1], row[2])


def has_been(reader: Reader, version: int, seq: int, digest: bytes) -> bool:
    """Whether the database was once in that state; not, if it was restored or has lost what came last."""
    if reader.version() < version:
        return False
    row = reader.row(select(AuditRow.hash).where(AuditRow.seq == seq))
    return seq == 0 if row is None else row[0] == digest


def changes_since(reader: Reader, version: int) -> tuple[int, tuple[Row, ...]]:
    """The directory's version, and all rows above the given one, tombstones too, in the order of their versions.

    Raises Gap when tombstones above it are gone: then only `whole_directory` tells what is.
    """
    if version < reader.compacted():
        raise Gap("changes since that version are compacted")
    found: list[Row] = []
    for kind in KINDS:
        found += [kind.value_of(row) for row in reader.rows(kind.query(kind.c.version > version))]
    return reader.version(), tuple(sorted(found, key=lambda row: row.version))


def whole_directory(reader: Reader, chunk: int = CHUNK) -> Iterator[tuple[Row, ...]]:
    """All living rows, at most `chunk` at a time; `reader.version()` says of which version they are."""
    for kind in KINDS:
        columns = [kind.c[name] for name in kind.key]
        query = kind.living().order_by(*columns).limit(chunk)
        after: tuple[Row, ...] = ()
        while True:
            page = query
            if after:
                page = query.where(tuple_(*columns) > tuple_(*(getattr(after[-1], name) for name in kind.key)))
            after = tuple(kind.value_of(row) for row in reader.rows(page))
            if after:
                yield after
            if len(after) < chunk:
                break


def compact_directory(writer: Writer, before: dt.datetime) -> int:
    """Remove tombstones that are older; how many. Who knows the directory up to an earlier version has a Gap.

    A user's stays while a membership's does, which refers to it; an adapter's for `ADAPTERS_STAY` more, unless its
    tenant was erased.
    """
    removed, highest = 0, 0
    for kind in reversed(KINDS):
        old = [kind.c.deleted_at < before]
        if kind is USERS:
            old.append(kind.c.id.not_in(select(MEMBERSHIPS.c.user_id)))
        if kind is ADAPTERS:
            old.append(or_(kind.c.deleted_at < before - ADAPTERS_STAY, kind.c.base_model == ""))
        found = writer.row(select(func.max(kind.c.version)).where(and_(*old)))
        if found is None or found[0] is None:
            continue
        highest = max(highest, found[0])
        removed += writer.run(delete(kind.table).where(and_(*old)))
    if highest > writer.compacted():
        writer.run(update(DirectoryVersion).values(compacted=highest))
    return removed
