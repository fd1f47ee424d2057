"""The ledger's database: what was used, by day, and how far each spool file is counted, in one transaction.

So a line counts once, whatever is killed when. Money is whole nano-USD. One thread at a time; every method may raise
sqlite3.Error, and then nothing of its transaction has happened. docs/settlement.md has the tables.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headgate.counters.calendar import DAY_MS
from headgate.counters.scripts import MOST_USERS, OTHER_USERS
from headgate.limits import Dimension
from ledger.usage import NOT_KEPT_APART, Amounts, Counted, Entry, FileId, SumWish, Used, Where

KEPT_DAYS = 62  # two months: the longest window, and its predecessor
BUSY_S = 1.0  # someone reads with a tool of his own


_VERSION = 2
_MOST = 2**53 - 1  # sums stop there: the counters hold doubles
_SCHEMA = """
CREATE TABLE IF NOT EXISTS usage_by_day (
    tenant TEXT NOT NULL, day INTEGER NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL, user TEXT NOT NULL,
    requests INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, nano_usd INTEGER NOT NULL,
    PRIMARY KEY (tenant, day, key, model, user)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS usage_by_user ON usage_by_day (tenant, user, day);
CREATE TABLE IF NOT EXISTS users_by_day (
    tenant TEXT NOT NULL, day INTEGER NOT NULL, user TEXT NOT NULL, PRIMARY KEY (tenant, day, user)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS charged_estimates (
    request_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, day INTEGER NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL,
    user TEXT NOT NULL, requests INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
    nano_usd INTEGER NOT NULL, reason TEXT NOT NULL, charged REAL NOT NULL, replaced REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    epoch TEXT NOT NULL, head TEXT NOT NULL, counted INTEGER NOT NULL, day INTEGER NOT NULL,
    PRIMARY KEY (epoch, head)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sequence (only INTEGER PRIMARY KEY CHECK (only = 1), value INTEGER NOT NULL);
INSERT OR IGNORE INTO sequence VALUES (1, 0);
"""
_AMOUNTS = ("requests", "input", "output", "nano_usd")
_COLUMNS: Mapping[Dimension, str] = {
    "requests": "requests",
    "input": "input",
    "output": "output",
    "tokens": "input + output",
    "usd": "nano_usd",
}
_INCREASE = (
    "INSERT INTO usage_by_day VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - fixed text
    " ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{column} = min({column} + excluded.{column}, {_MOST})" for column in _AMOUNTS)
)
_DECREASE = (
    f"UPDATE usage_by_day SET {', '.join(f'{column} = max({column} - ?, 0)' for column in _AMOUNTS)}"  # noqa: S608 - fixed text
    " WHERE tenant = ? AND day = ? AND key = ? AND model = ? AND user = ?"
)


class UsageStore:
    """Opened by the first call that needs it, and anew after a failure."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._users: dict[tuple[str, int], int] = {}  # how many of a tenant there are on a day

    def count(self, files: Mapping[FileId, int], entries: Sequence[Entry]) -> Counted:
        """Add the requests, and remember that these files are counted up to there. Estimates of them are replaced.

        What is counted already is left out, whoever has done that.
        """
        with self._transaction() as db:
            done = _counted(db, files)
            new = [entry for entry in entries if entry.file is None or entry.at > done.get(entry.file, 0)]
            replaced = _take_replaced(db, new)
            amounts = _by_where(new)
            places = self._places(db, amounts)
            added = (*_add(db, amounts, places), *_take_back(db, replaced))
            db.executemany(
                "INSERT INTO files VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " counted = max(counted, excluded.counted), day = excluded.day",
                [(*file, counted, _today()) for file, counted in files.items()],
            )
            others = frozenset(where for where, place in places.items() if place != where)
            return Counted(*_next_sequence(db), added, len(new), len(replaced), others)

    def charge(self, entries: Sequence[Entry], reason: str) -> tuple[Counted, set[str]]:
        """Add estimates, each request's once; and which were not there yet. On the disk when it returns."""
        self._opened().execute("PRAGMA synchronous = FULL")
        try:
            with self._transaction() as db:
                fresh = [entry for entry in entries if self._insert_estimate(db, entry, reason)]
                amounts = _by_where(fresh)
                added = _add(db, amounts, self._places(db, amounts))
                return Counted(*_next_sequence(db), added, len(fresh)), {entry.request_id for entry in fresh}
        finally:
            if self._connection:
                self._connection.execute("PRAGMA synchronous = NORMAL")

    def counted(self) -> dict[FileId, int]:
        """How far each file is counted."""
        return {FileId(epoch, head): at for epoch, head, at in self._read("SELECT epoch, head, counted FROM files")}

    def sequence(self) -> int:
        """The last transaction's."""
        return int(self._read("SELECT value FROM sequence")[0][0])

    def sums(self, wishes: Sequence[SumWish]) -> list[int]:
        """What was used, by each wish."""
        return [self._sum(wish) for wish in wishes]

    def used(self, tenant: str, month: tuple[int, int], today: int) -> tuple[int, list[Used]]:
        """The sequence, and what a tenant has used from day `month[0]` up to `month[1]`, and of it today."""
        whole = [f"min(total({column}), {_MOST})" for column in _AMOUNTS]
        part = [f"min(total(iif(day = :today, {column}, 0)), {_MOST})" for column in _AMOUNTS]
        rows = self._read(
            f"SELECT key, model, user, {', '.join((*whole, *part))} FROM usage_by_day"  # noqa: S608 - fixed text
            " WHERE tenant = :tenant AND day >= :first AND day < :end GROUP BY key, model, user",
            {"tenant": tenant, "first": month[0], "end": month[1], "today": today},
        )
        return self.sequence(), [
            Used(key, model, user, Amounts(*map(int, some[:4])), Amounts(*map(int, some[4:])))
            for key, model, user, *some in rows
        ]

    def prune(self, present: Iterable[FileId]) -> int:
        """Remove what no window counts any more; how many rows of usage. `present` are the files that are there."""
        before, kept = _today() - KEPT_DAYS, set(present)
        with self._transaction() as db:
            gone = db.execute("DELETE FROM usage_by_day WHERE day < ?", (before,)).rowcount
            db.execute("DELETE FROM users_by_day WHERE day < ?", (before,))
            db.execute("DELETE FROM charged_estimates WHERE charged < ?", (before * DAY_MS / 1000,))
            old = db.execute("SELECT epoch, head FROM files WHERE day < ?", (before,)).fetchall()
            db.executemany(
                "DELETE FROM files WHERE epoch = ? AND head = ?", [row for row in old if FileId(*row) not in kept]
            )
        self._users = {where: number for where, number in self._users.items() if where[1] >= before}
        return gone

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection = self._connection, None
        self._users.clear()
        if connection:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _places(self, db: sqlite3.Connection, wheres: Iterable[Where]) -> dict[Where, Where]:
        """Where it is counted, of users beyond the bound in another place; what is too old for any, nowhere."""
        oldest = _today() - KEPT_DAYS
        return {where: self._bounded(db, where) for where in wheres if where.day >= oldest}

    def _bounded(self, db: sqlite3.Connection, where: Where) -> Where:
        if where.user in ("", NOT_KEPT_APART, OTHER_USERS):
            return where
        place = (where.tenant, where.day)
        if place not in self._users:
            found = db.execute("SELECT count(*) FROM users_by_day WHERE tenant = ? AND day = ?", place)
            self._users[place] = found.fetchone()[0]
        user = (*place, where.user)
        if self._users[place] >= MOST_USERS:
            known = db.execute("SELECT 1 FROM users_by_day WHERE tenant = ? AND day = ? AND user = ?", user)
            return where if known.fetchone() else where._replace(user=OTHER_USERS)
        self._users[place] += db.execute("INSERT OR IGNORE INTO users_by_day VALUES (?, ?, ?)", user).rowcount
        return where

    def _insert_estimate(self, db: sqlite3.Connection, entry: Entry, reason: str) -> bool:
        where = self._bounded(db, entry.where)
        row = (entry.request_id, *where, *entry.amounts, reason, time.time())
        marks = ", ".join("?" * len(row))
        done = db.execute(f"INSERT OR IGNORE INTO charged_estimates VALUES ({marks}, NULL)", row)  # noqa: S608 - fixed text
        return done.rowcount > 0

    def _sum(self, wish: SumWish) -> int:
        conditions, values = ["tenant = ?", "day >= ?", "day < ?"], [wish.tenant, wish.first, wish.end]
        for column, value in (("key", wish.key), ("user", wish.user)):
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
        if wish.models is not None:
            conditions.append(f"model IN ({', '.join('?' * len(wish.models))})")
            values += wish.models
        # Any number of users may ask for the first time: none of them may cost a look at the others' days.
        index = "" if wish.user is None else " INDEXED BY usage_by_user"
        rows = self._read(
            f"SELECT min(total({_COLUMNS[wish.dimension]}), {_MOST}) FROM usage_by_day{index}"  # noqa: S608 - fixed text
            f" WHERE {' AND '.join(conditions)}",
            tuple(values),
        )
        return int(rows[0][0])

    def _read(self, text: str, values: Any = ()) -> list[Any]:
        try:
            return self._opened().execute(text, values).fetchall()
        except sqlite3.Error:
            self.close()
            raise

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; after an error the file is opened anew."""
        with contextlib.ExitStack() as on_error:
            on_error.callback(self.close)
            db = self._opened()
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
            on_error.pop_all()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            db = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            with contextlib.ExitStack() as on_error:
                on_error.callback(db.close)
                _prepare(db)
                on_error.pop_all()
            self._connection = db
        return self._connection


def _prepare(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > _VERSION:
        raise sqlite3.DatabaseError(f"made by a later version of Headgate (its format is {version})")
    db.execute("PRAGMA journal_mode = WAL")
    # What a power cut takes of the last transactions, it takes with their offsets: the spool is counted from there.
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA journal_size_limit = 16777216")
    if version < _VERSION:
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA user_version = {_VERSION}")
    problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(problem)


def _counted(db: sqlite3.Connection, files: Iterable[FileId]) -> dict[FileId, int]:
    found = {file: db.execute("SELECT counted FROM files WHERE epoch = ? AND head = ?", file) for file in files}
    return {file: row[0] for file, rows in found.items() if (row := rows.fetchone())}


def _by_where(entries: Iterable[Entry]) -> dict[Where, Amounts]:
    found: dict[Where, Amounts] = {}
    for entry in entries:
        if any(entry.amounts):
            found[entry.where] = _plus(found.get(entry.where), entry.amounts)
    return found


def _add(
    db: sqlite3.Connection, amounts: Mapping[Where, Amounts], places: Mapping[Where, Where]
) -> tuple[tuple[Where, Amounts], ...]:
    """Add to the days' rows; what was added in which place."""
    added: dict[Where, Amounts] = {}
    for where, place in places.items():
        added[place] = _plus(added.get(place), amounts[where])
    db.executemany(_INCREASE, [(*place, *some) for place, some in added.items()])
    return tuple(added.items())


def _plus(one: Amounts | None, other: Amounts) -> Amounts:
    return Amounts(*map(sum, zip(one, other, strict=True))) if one else other


def _take_replaced(db: sqlite3.Connection, entries: Sequence[Entry]) -> list[tuple[Where, Amounts]]:
    """Mark the estimates of these requests as replaced; what they were."""
    if not db.execute("SELECT 1 FROM charged_estimates WHERE replaced IS NULL LIMIT 1").fetchone():
        return []
    found = []
    for entry in entries:
        row = db.execute(
            "UPDATE charged_estimates SET replaced = ? WHERE request_id = ? AND tenant = ? AND replaced IS NULL"
            " RETURNING tenant, day, key, model, user, requests, input, output, nano_usd",
            (time.time(), entry.request_id, entry.where.tenant),
        ).fetchone()
        if row:
            found.append((Where(*row[:5]), Amounts(*row[5:])))
    return found


def _take_back(db: sqlite3.Connection, amounts: Sequence[tuple[Where, Amounts]]) -> tuple[tuple[Where, Amounts], ...]:
    db.executemany(
        _DECREASE,
        [(*some, *where) for where, some in amounts],
    )
    return tuple((where, some.negative()) for where, some in amounts)


def _next_sequence(db: sqlite3.Connection) -> tuple[int, int]:
    """The last one and the next, which follows the clock: so it also grows over the loss of the database."""
    (before,) = db.execute("SELECT value FROM sequence").fetchone()
    now = max(before + 1, time.time_ns() // 1_000_000)
    db.execute("UPDATE sequence SET value = ?", (now,))
    return before, now


def _today() -> int:
    return time.time_ns() // (DAY_MS * 1_000_000)
