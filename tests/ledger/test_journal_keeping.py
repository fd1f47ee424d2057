"""Which spool files have all their rows in the store: only what was looked at since they were finished says so."""

import time
from pathlib import Path

import pytest

from headgate.counters.limits import TenantLimits
from headgate.limits import LimitsRow
from ledger.journal import keeping
from ledger.journal.entries import Draft
from ledger.journal.keeping import JournalKeeper
from ledger.journal.progress import Progress
from ledger.journal.reader import JournalReader
from ledger.settling.books import Books
from ledger.settling.usage import EndLine, FileId
from ledger.settling.usage_store import UsageStore

FILE = FileId("e", "head")


async def test_a_file_that_went_on_after_the_last_look_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, progress = tmp_path / "usage.db", [Progress()]
    books = Books(UsageStore(path), lambda tenant: TenantLimits(tenant, LimitsRow()))
    monkeypatch.setattr(keeping, "progress_of_all", lambda: progress)
    keeper, reader = JournalKeeper(books), JournalReader(path)

    async def count(at: int) -> None:
        await books.count({FILE: at}, [], [(FILE, EndLine(b"%d" % at, at, Draft(1, b"\x90")))])

    def store() -> None:
        progress[0] = Progress(reader.identity(), reader.newest())

    await count(100)
    await keeper.look()
    assert not keeper.are_stored(FILE, 0.0)
    store()
    await keeper.look()
    assert keeper.are_stored(FILE, 0.0)
    assert not keeper.are_stored(FileId("e", "other"), 0.0)
    await count(200)
    finished = time.time()
    assert not keeper.are_stored(FILE, finished)
    await keeper.look()
    assert not keeper.are_stored(FILE, finished)
    store()
    await keeper.look()
    assert keeper.are_stored(FILE, finished)
    assert reader.rows() == 0
    reader.close()
    books.close()
