"""Reads the journal beside the ledger that writes it: in another process, without ever holding it up.

A reader that has taken entry `seq` asks for those after it. Before it does, it asks for the `identity`: where that is
another than before, the ledger's database was lost or put back, rows may come again under other numbers, and reading
starts anew from 0. Blocks: for a thread. One thread at a time.
"""

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ledger.journal import entries as journal_entries
from ledger.journal.packing import unpacked
from ledger.rows import Row

_BUSY_S = 5.0


class JournalAway(Exception):  # noqa: N818 - what happened, not what went wrong
    """It can't be read now: its database is locked, damaged or out of reach, as `__cause__` says."""


class JournalEntry(msgspec.Struct, frozen=True):
    """Rows that were written together, in their order."""

    seq: int
    rows: list[Row]


class Count(NamedTuple):
    """Entries, their rows, and the number of the last one."""

    entries: int
    rows: int
    until: int


class JournalReader:
    """A journal that is not there yet is an empty one. Everything here may raise JournalAway."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._inode = -1

    def identity(self) -> str:
        """Of the journal that is there: random, made with it; "" while there is none."""
        with self._reading() as db:
            return journal_entries.identity(db) if db else ""

    def after(self, seq: int, entries: int) -> list[JournalEntry]:
        """The oldest entries beyond this number, so many at most; each has up to 2,000 rows."""
        with self._reading() as db:
            if not db:
                return []
            text = "SELECT seq, packed FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"
            return [JournalEntry(number, unpacked(data)) for number, data in db.execute(text, (seq, entries))]

    def newest(self) -> int:
        """The number of the last entry that was written, removed ones included; 0 while there was none."""
        with self._reading() as db:
            return journal_entries.newest(db) if db else 0

    def oldest_ms(self, after: int = 0) -> int | None:
        """When the first row beyond this number was made, Unix time; None where there is none."""
        found = self._one("SELECT first_ms FROM journal WHERE seq > ? ORDER BY seq LIMIT 1", after)
        return None if found is None else int(found)

    def count(self, after: int, entries: int, until: int = 2**63 - 1) -> Count:
        """Count the rows of the entries beyond this number and up to the other, of so many entries at most."""
        with self._reading() as db:
            if not db:
                return Count(0, 0, after)
            some = "SELECT seq, rows FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
            text = f"SELECT count(*), coalesce(sum(rows), 0), coalesce(max(seq), ?) FROM ({some})"  # noqa: S608 - fixed text
            return Count(*db.execute(text, (after, after, until, entries)).fetchone())

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection = self._connection, None
        if connection:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _one(self, text: str, after: int) -> Any:
        with self._reading() as db:
            found = db.execute(text, (after,)).fetchone() if db else None
            return found[0] if found else None

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """The database as it is now; None while it, or the journal in it, is not there."""
        try:
            db = self._opened()
            yield db if db and _has_journal(db) else None
        except (OSError, sqlite3.Error, zlib.error, msgspec.DecodeError) as error:
            self.close()
            raise JournalAway(str(error)) from error

    def _opened(self) -> sqlite3.Connection | None:
        """Another file may have taken its place."""
        try:
            inode = self._path.stat().st_ino
        except FileNotFoundError:
            self.close()
            return None
        if self._connection and inode != self._inode:
            self.close()
        if self._connection is None:
            where = f"{self._path.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(
                where, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._inode = inode
        return self._connection


def _has_journal(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'journal_identity'").fetchone())
