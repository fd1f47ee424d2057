"""The journal's tables in the ledger's database. What writes there runs in the caller's transaction.

An entry's number is never used again, not by a new journal in the place of a lost one either: it follows the clock.
Who has read up to a number has read all that was there, and will find all that comes.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ledger.journal.packing import MOST_ROWS, encoded, inflated, packed, unpacked
from ledger.rows import Row

SCHEMA = (
    """CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, rows INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    packed BLOB NOT NULL)""",
    "CREATE TABLE journal_identity (only INTEGER PRIMARY KEY CHECK (only = 1), value TEXT NOT NULL)",
)


class Draft(NamedTuple):
    """A row that is to be written, encoded, and when its request ended."""

    ended_ms: int
    encoded: bytes


def append(db: sqlite3.Connection, drafts: Sequence[Draft]) -> int:
    """Write the rows, in their order; the number of the last entry. Without rows the one that is there."""
    seq = newest(db)
    for at in range(0, len(drafts), MOST_ROWS):
        some = drafts[at : at + MOST_ROWS]
        times = [draft.ended_ms for draft in some]
        seq = max(seq + 1, time.time_ns() // 1_000_000)
        entry = (seq, len(some), min(times), max(times), packed([draft.encoded for draft in some]))
        db.execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?)", entry)
    return seq


def newest(db: sqlite3.Connection) -> int:
    """The number of the last entry that was written, whether or not it is still there; 0 without any."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
    return found[0] if found else 0


def identity(db: sqlite3.Connection) -> str:
    """Tells a journal from one that was lost; "" before it has one."""
    found = db.execute("SELECT value FROM journal_identity").fetchone()
    return found[0] if found else ""


def renew(db: sqlite3.Connection) -> str:
    """Make it another journal, of which nobody has read anything; its new identity."""
    name = secrets.token_hex(16)
    db.execute("INSERT OR REPLACE INTO journal_identity VALUES (1, ?)", (name,))
    return name


def remove_until(db: sqlite3.Connection, seq: int, most: int) -> int:
    """Remove the oldest entries up to this number, so many at most; how many there were."""
    which = "SELECT seq FROM journal WHERE seq <= ? ORDER BY seq LIMIT ?"
    return db.execute(f"DELETE FROM journal WHERE seq IN ({which})", (seq, most)).rowcount  # noqa: S608 - fixed text


class Changed(NamedTuple):
    """`until` is the number of the last entry that was looked through, None when there was none."""

    rows: int
    until: int | None


def change(
    db: sqlite3.Connection, after: int, most: int, mark: bytes, changed: Callable[[Row], Row], *, write: bool
) -> Changed:
    """Change rows of the next entries, which stay in their places; or without `write`, count those that would be.

    Only entries are unpacked in which the bytes `mark` are.
    """
    rows, until = 0, None
    found = db.execute("SELECT seq, packed FROM journal WHERE seq > ? ORDER BY seq LIMIT ?", (after, most)).fetchall()
    for until, data in found:
        if mark not in inflated(data):
            continue
        old = unpacked(data)
        new = [changed(row) for row in old]
        differing = sum(one is not other for one, other in zip(old, new, strict=True))
        if differing and write:
            db.execute("UPDATE journal SET packed = ? WHERE seq = ?", (packed([*map(encoded, new)]), until))
        rows += differing
    return Changed(rows, until)
