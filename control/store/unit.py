"""The database as others see it: reads of one state, and units of work that change all or nothing.

A unit is alone: it holds the row of `directory_version` (on SQLite the whole database) from its beginning to its
end. So versions and audit entries are committed in the order of their numbers, on however many hosts. A unit that
changes something and records nothing is a bug, and is not committed.
"""

import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Row, select, update

from control.audit_chain import COLUMNS, FIRST, SALT_BYTES, Actor, Entry, Part, hash_of, part_digest
from control.canonical import canonical
from control.masking import document_of
from control.store.base import table_of
from control.store.columns import to_the_ms
from control.store.failures import StoreDamaged, named
from control.store.tables import AuditRow, DirectoryVersion

_AT_ONCE = 1000
Found = Row[*tuple[Any, ...]]
_ENTRIES = table_of(AuditRow)


class Reader:
    """One state of the database, for as long as it is open."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, statement: Executable) -> Sequence[Found]:
        """All that it finds."""
        with named():
            return self._connection.execute(statement).fetchall()

    def row(self, statement: Executable) -> Found | None:
        """The first that it finds."""
        with named():
            return self._connection.execute(statement).first()

    def version(self) -> int:
        """The directory's."""
        return self._state()[0]

    def compacted(self) -> int:
        """Changes up to this version are not known any more."""
        return self._state()[1]

    def _state(self) -> tuple[int, int]:
        found = self.row(select(DirectoryVersion.version, DirectoryVersion.compacted))
        if found is None:
            raise StoreDamaged("the directory's version is missing from the database")
        return found[0], found[1]


class Writer(Reader):
    """A transaction that is alone. Changes made here alone are neither of the directory nor in the audit log."""

    def __init__(self, connection: Connection, now: dt.datetime) -> None:
        super().__init__(connection)
        self.now = to_the_ms(now)
        locked = self.row(select(DirectoryVersion.version).with_for_update())
        if locked is None:
            raise StoreDamaged("the directory's version is missing from the database")
        self._found: int = locked[0]

    def run(self, statement: Executable, values: Sequence[Mapping[str, Any]] | None = None) -> int:
        """How many rows it has changed; `values` has it run once for each, some at a time: no answer takes long."""
        with named():
            if values is None:
                return self._connection.execute(statement).rowcount
            pieces = [values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE)]
            return sum(self._connection.execute(statement, piece).rowcount for piece in pieces)


class Unit(Writer):
    """A unit of work on the directory."""

    def __init__(self, connection: Connection, now: dt.datetime, actor: Actor) -> None:
        super().__init__(connection, now)
        self.actor = actor
        self.taken: int | None = None
        self._recorded = 0

    def next_version(self) -> int:
        """The one version of all that this unit changes."""
        if self.taken is None:
            self.taken = self._found + 1
            self.run(update(DirectoryVersion).values(version=self.taken))
        return self.taken

    def record(
        self,
        action: str,
        object_kind: str,
        object_id: str | None,
        *,
        tenant_id: str | None = None,
        before: Any = None,
        after: Any = None,
    ) -> Entry:
        """Append to the audit log what this unit does; `before` and `after` are masked here, whatever they are."""
        last = self.row(select(AuditRow.seq, AuditRow.hash).order_by(AuditRow.seq.desc()).limit(1))
        seq, previous = (last[0] + 1, last[1]) if last else (1, FIRST)
        told: dict[str, Any] = {
            "actor_id": self.actor.id,
            "actor_tenant_id": self.actor.tenant_id,
            "source": self.actor.source,
            "request_id": self.actor.request_id,
            "tenant_id": tenant_id,
            "object_id": object_id,
            "before": _text_of(before),
            "after": _text_of(after),
        }
        draft: dict[str, Any] = {
            **told,
            **_sealed("actor", told),
            **_sealed("subject", told),
            "seq": seq,
            "at": self.now,
            "version": self.taken,
            "action": action,
            "object_kind": object_kind,
            "actor_kind": self.actor.kind,
            "previous": previous,
        }
        entry = Entry(**draft, hash=hash_of(Entry(**draft, hash=FIRST)))
        self.run(_ENTRIES.insert().values({name: getattr(entry, name) for name in Entry.__slots__}))
        self._recorded += 1
        return entry

    def check(self) -> None:
        """Raises if something was changed and not recorded."""
        if self.taken is not None and not self._recorded:
            raise RuntimeError("a unit that changes the directory has to record it")


def _text_of(value: Any) -> str | None:
    return None if value is None else canonical(document_of(value)).decode()


def _sealed(part: Part, told: Mapping[str, Any]) -> dict[str, bytes]:
    salt = secrets.token_bytes(SALT_BYTES)
    digest = part_digest(salt, {name: told[name] for name in COLUMNS[part]})
    return {f"{part}_salt": salt, f"{part}_digest": digest}
