"""Looks after the journal: what all its readers are done with goes; a spool file may, once the store has its rows.

Spool files wait for the usage store alone: what others still have to read of them is in the journal. Beside settling,
and behind it: while the database can't be used, nothing goes.
"""

import asyncio
import contextlib
import os
import sqlite3
import time

from headgate import contract, usage_metrics
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
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Once. Raises sqlite3.Error."""
        identity = await self._books.once(UsageStore.journal_identity)
        done = {reader: (await asyncio.to_thread(read_progress, reader)).of(identity) for reader in readers()}
        self._stored, done_by_all = done[STORE], min(done.values())
        now = time.time()
        self._journaled = await self._books.once(UsageStore.journaled)
        self._looked = now
        since_ms = await self._books.once(lambda store: store.waiting_since_ms(self._stored))
        usage_metrics.JOURNAL_LAG.set(0.0 if since_ms is None else max(0.0, time.time() - since_ms / 1000))
        while await self._books.once(lambda store: store.remove_entries(done_by_all)):
            pass

    def are_stored(self, file: FileId, since: float) -> bool:
        """Whether the store has the rows of a file that is counted whole since then; False while nobody knows."""
        return since < self._looked and self._journaled.get(file, self._stored + 1) <= self._stored
