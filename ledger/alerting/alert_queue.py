"""Webhooks that wait to be delivered, in a small SQLite file: what is in it survives any death of the process.

It remembers what it was given until the limit's window is over, so that nothing is told twice when the counters
forget. A file that is broken is set aside; where none can be had, the queue lives in memory.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import structlog

from headgate.contract import LEDGER

ALERTS_DB = LEDGER / "alerts.db"
MOST_WAITING = 1_000
MOST_REMEMBERED = 100_000

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# `body` is NULL once there is nothing to deliver (any more).
_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (id TEXT PRIMARY KEY, queued_s REAL, forget_s REAL, body BLOB) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON message (queued_s) WHERE body IS NOT NULL;
CREATE INDEX IF NOT EXISTS forgotten ON message (forget_s) WHERE body IS NULL;
CREATE TABLE IF NOT EXISTS salt (only INTEGER PRIMARY KEY CHECK (only = 1), value BLOB NOT NULL);
"""

log = structlog.get_logger()


class Entry(NamedTuple):
    """What is to be told. Without a body it is only remembered, until `forget_s`, Unix time."""

    id: str
    forget_s: float
    body: bytes | None


class Message(NamedTuple):
    """What waits; since when, Unix time."""

    id: str
    queued_s: float
    body: bytes


class AlertQueue:
    """Raises sqlite3.Error where the file can't be used; nothing else does. One thread at a time; any may wait."""

    def __init__(self, path: Path = ALERTS_DB, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._database, self.salt = _opened(path)
        # A database in memory has no file: what is in it ends with the process.
        self.is_kept = bool(self._database.execute("PRAGMA database_list").fetchone()[2])

    def add(self, entries: Iterable[Entry]) -> tuple[list[str], int]:
        """Keep them, on the disk when this returns; the ids that are new, and how many bodies had no room."""
        now, new, dropped = self._clock(), [], 0
        with self._database:
            self._forget(now)
            room = MOST_WAITING - self.waiting_count()
            for entry in entries:
                fits = entry.body is not None and room > 0
                row = (entry.id, now, entry.forget_s, entry.body if fits else None)
                if self._database.execute("INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?)", row).rowcount:
                    new.append(entry.id)
                    room -= fits
                    dropped += entry.body is not None and not fits
        return new, dropped

    def waiting(self) -> list[Message]:
        """All that wait, the oldest first."""
        rows = self._database.execute(
            "SELECT id, queued_s, body FROM message WHERE body IS NOT NULL ORDER BY queued_s"
        )
        return [Message(*row) for row in rows]

    def waiting_count(self) -> int:
        """How many."""
        row = self._database.execute("SELECT count(*) FROM message WHERE body IS NOT NULL").fetchone()
        return int(row[0])

    def finish(self, message_id: str) -> None:
        """It was delivered, or given up."""
        with self._database:
            self._database.execute("UPDATE message SET body = NULL WHERE id = ?", (message_id,))

    def erase(self, is_meant: Callable[[bytes], bool]) -> list[str]:
        """Remove messages that wait, by their bodies, with their traces in the file; their ids."""
        meant = [message.id for message in self.waiting() if is_meant(message.body)]
        self._database.execute("PRAGMA secure_delete = ON")
        try:
            with self._database:
                self._database.executemany("UPDATE message SET body = NULL WHERE id = ?", [(one,) for one in meant])
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._database.execute("PRAGMA secure_delete = OFF")
        return meant

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _forget(self, now: float) -> None:
        self._database.execute("DELETE FROM message WHERE body IS NULL AND forget_s < ?", (now,))
        too_many = "SELECT id FROM message WHERE body IS NULL ORDER BY forget_s DESC LIMIT -1 OFFSET ?"
        self._database.execute(f"DELETE FROM message WHERE id IN ({too_many})", (MOST_REMEMBERED,))  # noqa: S608


def _opened(path: Path) -> tuple[sqlite3.Connection, bytes]:
    """The database and its salt: what keeps the ids of two installations apart."""
    try:
        return _prepared(path)
    except sqlite3.Error as error:
        if error.sqlite_errorcode not in _BROKEN:
            log.error("alerts are kept in memory only", reason=error.sqlite_errorname)  # noqa: TRY400
            return _prepared(":memory:")
    aside = path.with_name(f"{path.name}.broken")
    log.error("the queue of alerts was broken: it is set aside, and begins anew", name=path.name, aside=aside.name)
    path.replace(aside)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    return _prepared(path)


def _prepared(path: Path | str) -> tuple[sqlite3.Connection, bytes]:
    database = sqlite3.connect(path, timeout=1, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_SCHEMA)
        with database:
            database.execute("INSERT OR IGNORE INTO salt VALUES (1, ?)", (secrets.token_bytes(16),))
        (salt,) = database.execute("SELECT value FROM salt").fetchone()
    except sqlite3.Error:
        database.close()
        raise
    return database, bytes(salt)
