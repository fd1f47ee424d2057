"""The ledger's database: what was used, by day, and how far each spool file is counted, in one transaction.

So a line counts once, whatever is killed when. Money is whole nano-USD. One thread at a time; every method may raise
sqlite3.Error, and then nothing of its transaction has happened. docs/settlement.md has the tables.
"""

import math
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from headgate.counters.calendar import DAY_MS, NO_END_MS
from headgate.counters.scripts import MOST_USERS, OTHER_USERS
from headgate.limits import Dimension
from headgate.purses import is_purse
from ledger.journal import entries as journal
from ledger.journal import seen
from ledger.journal.entries import Changed, Draft
from ledger.journal.making import erased, taken_back
from ledger.journal.packing import decoded, encoded
from ledger.journal.progress import Progress
from ledger.settling.usage import (
    NOT_KEPT_APART,
    Amounts,
    Counted,
    EndLine,
    Entry,
    Estimate,
    FileId,
    SumWish,
    Used,
    Where,
)
from ledger.settling.usage_database import UsageDatabase

KEPT_DAYS = 62  # two months: the longest window, and its predecessor
# Ids are known for as long as spool files are kept, and two days: no request, and no line's file, lasts for so long.
SEEN_FOR_S = 2 * 86_400.0
LOOKED_AT = 20  # entries of the journal in one transaction: settling waits for it

_LAST_DAY = NO_END_MS // DAY_MS
_MOST = 2**53 - 1  # sums stop there: the counters hold doubles
_Lines = Sequence[tuple[FileId | None, EndLine]]
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
_NOTE_COUNTED = (
    "INSERT INTO files VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " counted = max(counted, excluded.counted), day = excluded.day, journaled = max(journaled, excluded.journaled)"
)
_FOLD = (
    "INSERT INTO charged_before SELECT tenant, day, sum(nano_usd) FROM usage_by_day WHERE day < ? AND tenant = ?"  # noqa: S608 - fixed text
    " GROUP BY tenant, day HAVING sum(nano_usd) > 0"
    f" ON CONFLICT DO UPDATE SET nano_usd = min(nano_usd + excluded.nano_usd, {_MOST})"
)
_DECREASE = (
    f"UPDATE usage_by_day SET {', '.join(f'{column} = max({column} - ?, 0)' for column in _AMOUNTS)}"  # noqa: S608 - fixed text
    " WHERE tenant = ? AND day = ? AND key = ? AND model = ? AND user = ?"
)


class UsageStore(UsageDatabase):
    """`readers` are those of its journal."""

    def __init__(self, path: Path, readers: Callable[[], Iterable[Progress]] = tuple) -> None:
        super().__init__(path, readers)
        self._users: dict[tuple[str, int], int] = {}  # how many of a tenant there are on a day

    def count(self, files: Mapping[FileId, int], entries: Sequence[Entry], lines: _Lines = ()) -> Counted:
        """Add the requests, write the lines' rows, and remember that these files are counted up to there.

        Estimates of them are replaced. What is counted already is left out, whoever has done that: by where its line
        is, and by its request's id wherever else it is. An entry is of the line in the same place; one without
        amounts only replaces its estimate.
        """
        with self.transaction() as db:
            done = _counted(db, files)
            new = [one for one in lines if one[0] is None or one[1].at > done.get(one[0], 0)]
            first = seen.take(db, [line.key for _, line in new], _today())
            repeated = frozenset(
                (file, line.at) for (file, line), is_first in zip(new, first, strict=True) if not is_first
            )
            counting = [
                entry
                for entry in entries
                if (entry.file is None or entry.at > done.get(entry.file, 0))
                and (entry.file, entry.at) not in repeated
            ]
            replaced, rows = _take_replaced(db, counting)
            rows += [line.row for (_, line), is_first in zip(new, first, strict=True) if is_first and line.row]
            amounts = _by_where(counting)
            places = self._places(db, amounts)
            added = (*_add(db, amounts, places), *_take_back(db, replaced))
            journaled = journal.append(db, rows)
            db.executemany(_NOTE_COUNTED, [(*file, counted, _today(), journaled) for file, counted in files.items()])
            others = frozenset(where for where, place in places.items() if place != where)
            requests = sum(entry.amounts.requests > 0 and not is_purse(entry.where.tenant) for entry in counting)
            return Counted(*_next_sequence(db), added, requests, len(replaced), others, repeated)

    def charge(self, estimates: Sequence[Estimate], reason: str) -> tuple[Counted, set[str]]:
        """Add estimates, each request's once, and none whose line was counted; and which were not there yet.

        On the disk when it returns.
        """
        with self.setting("synchronous", "FULL", "NORMAL"), self.transaction() as db:
            ended = seen.known(db, {estimate.key for estimate in estimates})
            open_ = [estimate for estimate in estimates if estimate.key not in ended]
            fresh = [estimate for estimate in open_ if self._insert_estimate(db, estimate, reason)]
            amounts = _by_where(estimate.entry for estimate in fresh)
            added = _add(db, amounts, self._places(db, amounts))
            journal.append(db, [estimate.row for estimate in fresh if estimate.row])
            ids = {estimate.entry.request_id for estimate in fresh}
            return Counted(*_next_sequence(db), added, len(fresh)), ids

    def counted(self) -> dict[FileId, int]:
        """How far each file is counted."""
        return {FileId(epoch, head): at for epoch, head, at in self.read("SELECT epoch, head, counted FROM files")}

    def sequence(self) -> int:
        """The last transaction's."""
        return int(self.read("SELECT value FROM sequence")[0][0])

    def sums(self, wishes: Sequence[SumWish]) -> list[int]:
        """What was used, by each wish."""
        return [self._sum(wish) for wish in wishes]

    def used(self, tenant: str, month: tuple[int, int], today: int) -> tuple[int, list[Used]]:
        """The sequence, and what a tenant has used from day `month[0]` up to `month[1]`, and of it today."""
        whole = [f"min(total({column}), {_MOST})" for column in _AMOUNTS]
        part = [f"min(total(iif(day = :today, {column}, 0)), {_MOST})" for column in _AMOUNTS]
        rows = self.read(
            f"SELECT key, model, user, {', '.join((*whole, *part))} FROM usage_by_day"  # noqa: S608 - fixed text
            " WHERE tenant = :tenant AND day >= :first AND day < :end GROUP BY key, model, user",
            {"tenant": tenant, "first": month[0], "end": month[1], "today": today},
        )
        return self.sequence(), [
            Used(key, model, user, Amounts(*map(int, some[:4])), Amounts(*map(int, some[4:])))
            for key, model, user, *some in rows
        ]

    def charged_since(self, tenant: str, day: int) -> tuple[int, int]:
        """The sequence, and what a tenant was charged from this day on, in nano-USD."""
        return self.sequence(), self._sum(SumWish(tenant, day, _LAST_DAY, "usd", ever=True))

    def erase(self, tenant: str, name: str) -> int:
        """Have a tenant's usage stand under another name, by day and model alone; how many rows there were.

        Sums of the whole installation stay as they are. Nothing of the old rows is left in the file or, after
        `empty_log`, in its log.
        """
        with self.leaving_nothing(), self.transaction() as db:
            days = db.execute(
                "SELECT day, model, sum(requests), sum(input), sum(output), sum(nano_usd) FROM usage_by_day"
                " WHERE tenant = ? GROUP BY day, model",
                (tenant,),
            ).fetchall()
            db.executemany(_INCREASE, [(name, day, "", model, "", *some) for day, model, *some in days])
            gone = db.execute("DELETE FROM usage_by_day WHERE tenant = ?", (tenant,)).rowcount
            gone += db.execute("DELETE FROM users_by_day WHERE tenant = ?", (tenant,)).rowcount
            gone += db.execute("DELETE FROM charged_before WHERE tenant = ?", (tenant,)).rowcount
            gone += _erase_estimates(db, tenant, name)
        self._users = {where: number for where, number in self._users.items() if where[0] != tenant}
        return gone

    def erase_rows(self, tenant: str, name: str, after: int) -> Changed:
        """The same for rows in some of the journal's entries beyond this number."""
        with self.leaving_nothing(), self.transaction() as db:
            return journal.change(
                db, after, LOOKED_AT, tenant.encode(), lambda row: erased(row, tenant, name), write=True
            )

    def look_for_rows(self, tenant: str, after: int) -> Changed:
        """How many rows of the tenant are in some of the journal's entries beyond this number."""
        db = self.opened()
        return journal.change(db, after, LOOKED_AT, tenant.encode(), lambda row: erased(row, tenant, ""), write=False)

    def rows_of(self, tenant: str) -> int:
        """How many rows bear its name, those in the journal apart."""
        tables = ("usage_by_day", "users_by_day", "charged_estimates", "charged_before")
        return sum(
            int(self.read(f"SELECT count(*) FROM {table} WHERE tenant = ?", (tenant,))[0][0])  # noqa: S608 - fixed text
            for table in tables
        )

    def note_counted(self, file: FileId, counted: int, instead_of: FileId | None = None) -> None:
        """That a file, written anew, is counted up to there; its rows are in the journal as those of the other."""
        with self.transaction() as db:
            known = "SELECT coalesce(max(journaled), 0) FROM files WHERE epoch = ? AND head = ?"
            (journaled,) = db.execute(known, instead_of or file).fetchone()
            db.execute(_NOTE_COUNTED, (*file, counted, _today(), journaled))

    def journal_identity(self) -> str:
        """Of the journal that is there."""
        return journal.identity(self.opened())

    def remove_entries(self, until: int) -> int:
        """Remove some of the journal's entries up to this number; how many. Their space is used again."""
        if not self.read("SELECT 1 FROM journal WHERE seq <= ? LIMIT 1", (until,)):
            return 0
        with self.leaving_nothing(), self.transaction() as db:
            return journal.remove_until(db, until, LOOKED_AT)

    def waiting_since_ms(self, after: int) -> int | None:
        """When the first row was made that is beyond this number; None where there is none."""
        found = self.read("SELECT first_ms FROM journal WHERE seq > ? ORDER BY seq LIMIT 1", (after,))
        return int(found[0][0]) if found else None

    def journaled(self) -> dict[FileId, int]:
        """For each file the last of the journal's entries that was made of it."""
        text = "SELECT epoch, head, journaled FROM files"
        return {FileId(epoch, head): seq for epoch, head, seq in self.read(text)}

    def old_tenants(self) -> list[str]:
        """Whose usage no window of days or months counts any more, of some days."""
        rows = self.read("SELECT DISTINCT tenant FROM usage_by_day WHERE day < ?", (_today() - KEPT_DAYS,))
        return [tenant for (tenant,) in rows]

    def prune(self, present: Iterable[FileId], keep_s: float = 0.0, without_account: Collection[str] = ()) -> int:
        """Remove what no window counts any more; how many rows of usage.

        `present` are the files that are there; others that come again were kept for `keep_s`. What was charged to
        tenants is kept by the day, but of those that have no account of credits.
        """
        before, kept = _today() - KEPT_DAYS, set(present)
        with self.leaving_nothing(), self.transaction() as db:
            tenants = db.execute("SELECT DISTINCT tenant FROM usage_by_day WHERE day < ?", (before,)).fetchall()
            db.executemany(_FOLD, [(before, tenant) for (tenant,) in tenants if tenant not in without_account])
            gone = db.execute("DELETE FROM usage_by_day WHERE day < ?", (before,)).rowcount
            db.execute("DELETE FROM users_by_day WHERE day < ?", (before,))
            db.execute("DELETE FROM charged_estimates WHERE charged < ?", (before * DAY_MS / 1000,))
            files = [
                (FileId(epoch, head), day) for epoch, head, day in db.execute("SELECT epoch, head, day FROM files")
            ]
            old = [file for file, day in files if day < before and file not in kept]
            db.executemany("DELETE FROM files WHERE epoch = ? AND head = ?", old)
        oldest = _today() - math.ceil((keep_s + SEEN_FOR_S) / 86_400)
        # A file that is still there, since its rows are not stored yet, may be copied too: of a day or two.
        oldest = min([oldest, *(day - 1 for file, day in files if file in kept)])
        with self.transaction() as db:
            seen.drop_before(db, oldest)
        self._users = {where: number for where, number in self._users.items() if where[1] >= before}
        return gone

    def close(self) -> None:
        """Let go of the file, and of what is known of it."""
        self._users.clear()
        super().close()

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

    def _insert_estimate(self, db: sqlite3.Connection, estimate: Estimate, reason: str) -> bool:
        entry = estimate.entry
        where = self._bounded(db, entry.where)
        row = (entry.request_id, *where, *entry.amounts, reason, time.time())
        values = (*row, None, estimate.row.encoded if estimate.row else None)
        marks = ", ".join("?" * len(values))
        done = db.execute(f"INSERT OR IGNORE INTO charged_estimates VALUES ({marks})", values)  # noqa: S608 - fixed text
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
        rows = self.read(
            f"SELECT min(total({_COLUMNS[wish.dimension]}), {_MOST}) FROM usage_by_day{index}"  # noqa: S608 - fixed text
            f" WHERE {' AND '.join(conditions)}",
            tuple(values),
        )
        return min(int(rows[0][0]) + (self._charged_before(wish) if wish.ever else 0), _MOST)

    def _charged_before(self, wish: SumWish) -> int:
        """On days that are not kept one by one."""
        text = f"SELECT min(total(nano_usd), {_MOST}) FROM charged_before WHERE tenant = ? AND day >= ?"  # noqa: S608 - fixed text
        return int(self.read(text, (wish.tenant, wish.first))[0][0])


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
    if one is None:
        return other
    return Amounts(
        one.requests + other.requests,
        one.input + other.input,
        one.output + other.output,
        one.nano_usd + other.nano_usd,
    )


def _take_replaced(
    db: sqlite3.Connection, entries: Sequence[Entry]
) -> tuple[list[tuple[Where, Amounts]], list[Draft]]:
    """Mark the estimates of these requests as replaced; what they were, and the rows that take theirs back."""
    if not db.execute("SELECT 1 FROM charged_estimates WHERE replaced IS NULL LIMIT 1").fetchone():
        return [], []
    found, rows = [], []
    for entry in entries:
        row = db.execute(
            "UPDATE charged_estimates SET replaced = ? WHERE request_id = ? AND tenant = ? AND replaced IS NULL"
            " RETURNING tenant, day, key, model, user, requests, input, output, nano_usd, journaled",
            (time.time(), entry.request_id, entry.where.tenant),
        ).fetchone()
        if row:
            found.append((Where(*row[:5]), Amounts(*row[5:9])))
            rows += [taken_back(row[9])] if row[9] else []
    return found, rows


def _erase_estimates(db: sqlite3.Connection, tenant: str, name: str) -> int:
    """How many there were."""
    found = db.execute("SELECT request_id, journaled FROM charged_estimates WHERE tenant = ?", (tenant,)).fetchall()
    db.executemany(
        "UPDATE charged_estimates SET tenant = ?, key = '', user = '', journaled = ? WHERE request_id = ?",
        [(name, data and encoded(erased(decoded(data), tenant, name)), request_id) for request_id, data in found],
    )
    return len(found)


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
