"""Looks after the journal: what all its readers are done with goes; a spool file may, once the store has its rows.

Spool files wait for the usage store alone: what others still have to read of them is in the journal. Beside settling,
and behind it: while the database can't be used, nothing goes.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
from typing import NamedTuple

from headgate import contract, usage_metrics
from headgate.ticks import until_next
from ledger.journal.progress import EVENTS, STORE, Progress, read_progress
from ledger.settling.books import Books
from ledger.settling.usage import FileId
from ledger.settling.usage_store import UsageStore

LOOK_EVERY_S = 1.0


def readers() -> tuple[str, ...]:
    """Who has to be done with an entry before it goes: the events' part where there is one."""
    return (STORE, EVENTS) if contract.TELLS_EVENTS_ENV in os.environ else (STORE,)


def progress_of_all() -> list[Progress]:
    """How far each of them is."""
    return [read_progress(reader) for reader in readers()]


class JournalKeeper:
    """`run` it; ask it whether a file's rows `are_stored`."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._stored = 0
        self._looked = 0.0  # Unix time
        self._journaled: dict[FileId, int] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            with contextlib.suppress(sqlite3.Error):  # who settles says it
                await self.look()
            await asyncio.sleep(until_next(LOOK_EVERY_S))

    async def look(self) -> None:
        """Once. Raises sqlite3.Error."""
        found = await self._books.once(_look)
        self._stored, self._journaled, self._looked = found.stored, found.journaled, found.at
        lag_s = 0.0 if found.since_ms is None else max(0.0, time.time() - found.since_ms / 1000)
        usage_metrics.JOURNAL_LAG.set(lag_s)
        while found.removed and await self._books.once(lambda store: store.remove_entries(found.done_by_all)):
            pass

    def are_stored(self, file: FileId, since: float) -> bool:
        """Whether the store has the rows of a file that is counted whole since then; False while nobody knows."""
        return since < self._looked and self._journaled.get(file, self._stored + 1) <= self._stored


class _Found(NamedTuple):
    """How the journal is, at a Unix time: up to which entry the store and all readers are done, and what waits."""

    stored: int
    done_by_all: int
    at: float
    journaled: dict[FileId, int]
    since_ms: int | None
    removed: int


def _look(store: UsageStore) -> _Found:
    """In one go of the database's thread: each costs more than what is asked. Removes some that all are done with."""
    identity = store.journal_identity()
    done = {reader: read_progress(reader).of(identity) for reader in readers()}
    stored, done_by_all, at = done[STORE], min(done.values()), time.time()
    journaled, since_ms = store.journaled(), store.waiting_since_ms(stored)
    return _Found(stored, done_by_all, at, journaled, since_ms, store.remove_entries(done_by_all))
