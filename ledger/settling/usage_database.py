"""The file of the ledger's database: opened when it is needed, made and brought up to date, and anew after a failure.

docs/settlement.md has the tables.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ledger.journal import entries
from ledger.journal.progress import Progress

BUSY_S = 1.0  # someone reads with a tool of his own

_VERSION = 4
_FIRST = (
    """CREATE TABLE IF NOT EXISTS usage_by_day (
    tenant TEXT NOT NULL, day INTEGER NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL, user TEXT NOT NULL,
    requests INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, nano_usd INTEGER NOT NULL,
    PRIMARY KEY (tenant, day, key, model, user)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS usage_by_user ON usage_by_day (tenant, user, day)",
    """CREATE TABLE IF NOT EXISTS users_by_day (
    tenant TEXT NOT NULL, day INTEGER NOT NULL, user TEXT NOT NULL, PRIMARY KEY (tenant, day, user)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS charged_estimates (
    request_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, day INTEGER NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL,
    user TEXT NOT NULL, requests INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
    nano_usd INTEGER NOT NULL, reason TEXT NOT NULL, charged REAL NOT NULL, replaced REAL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS files (
    epoch TEXT NOT NULL, head TEXT NOT NULL, counted INTEGER NOT NULL, day INTEGER NOT NULL,
    PRIMARY KEY (epoch, head)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS sequence (only INTEGER PRIMARY KEY CHECK (only = 1), value INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO sequence VALUES (1, 0)",
)
_JOURNAL = (  # since version 3
    "ALTER TABLE charged_estimates ADD COLUMN journaled BLOB",
    "ALTER TABLE files ADD COLUMN journaled INTEGER NOT NULL DEFAULT 0",
    *entries.SCHEMA,
)
_ACCOUNTS = (  # since version 4
    """CREATE TABLE IF NOT EXISTS charged_before (
    tenant TEXT NOT NULL, day INTEGER NOT NULL, nano_usd INTEGER NOT NULL,
    PRIMARY KEY (tenant, day)) WITHOUT ROWID""",
)


class UsageDatabase:
    """One thread at a time. `readers` say how far the journal is read, as far as that is known."""

    def __init__(self, path: Path, readers: Callable[[], Iterable[Progress]] = tuple) -> None:
        self._path = path
        self._readers = readers
        self._connection: sqlite3.Connection | None = None

    def opened(self) -> sqlite3.Connection:
        """Raises sqlite3.Error."""
        if self._connection is None:
            db = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            with contextlib.ExitStack() as on_error:
                on_error.callback(db.close)
                _prepare(db)
                _know_again(db, self._readers())
                on_error.pop_all()
            self._connection = db
        return self._connection

    def read(self, text: str, values: Any = ()) -> list[Any]:
        """All rows of a query. Raises sqlite3.Error."""
        try:
            return self.opened().execute(text, values).fetchall()
        except sqlite3.Error:
            self.close()
            raise

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; after an error the file is opened anew."""
        with contextlib.ExitStack() as on_error:
            on_error.callback(self.close)
            db = self.opened()
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
            on_error.pop_all()

    @contextlib.contextmanager
    def setting(self, name: str, value: str, otherwise: str) -> Iterator[None]:
        """A pragma of the connection, for as long as this lasts."""
        self.opened().execute(f"PRAGMA {name} = {value}")
        try:
            yield
        finally:
            if self._connection:
                self._connection.execute(f"PRAGMA {name} = {otherwise}")

    def leaving_nothing(self) -> contextlib.AbstractContextManager[None]:
        """What is removed meanwhile is written over."""
        return self.setting("secure_delete", "ON", "OFF")

    def empty_log(self) -> None:
        """Have nothing in the write-ahead log that is in the file. Raises sqlite3.Error while others read."""
        if self.read("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]:
            raise sqlite3.OperationalError("its log is being read")

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection = self._connection, None
        if connection:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _prepare(db: sqlite3.Connection) -> None:
    version = _version_of(db)
    if version > _VERSION:
        raise sqlite3.DatabaseError(f"made by a later version of Headgate (its format is {version})")
    db.execute("PRAGMA journal_mode = WAL")
    # What a power cut takes of the last transactions, it takes with their offsets: the spool is counted from there.
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA journal_size_limit = 16777216")
    if version < _VERSION:
        _bring_up(db)
    problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(problem)


def _bring_up(db: sqlite3.Connection) -> None:
    """To the present format, in one transaction: everything in it stays."""
    db.execute("BEGIN IMMEDIATE")
    version = _version_of(db)  # another process may have done it
    for since, steps in ((3, (*_FIRST, *_JOURNAL)), (4, _ACCOUNTS)):
        for step in steps if version < since else ():
            db.execute(step)
    db.execute(f"PRAGMA user_version = {_VERSION}")
    db.execute("COMMIT")


def _version_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _know_again(db: sqlite3.Connection, readers: Iterable[Progress]) -> None:
    """A journal of which more was read than is in it is an older copy: rows will come again in it."""
    own, newest = entries.identity(db), entries.newest(db)
    if not own or any(reader.of(own) > newest for reader in readers):
        entries.renew(db)
