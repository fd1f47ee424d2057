"""Which spool files have all their rows in the store, and which entries of the journal are needed no more."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from headgate.contract import LEDGER, TELLS_EVENTS_ENV
from headgate.counters.limits import TenantLimits
from headgate.limits import LimitsRow
from headgate.usage_metrics import JOURNAL_LAG
from ledger.journal.entries import Draft
from ledger.journal.keeping import JournalKeeper
from ledger.journal.progress import EVENTS, STORE, Progress, write_progress
from ledger.journal.reader import JournalReader
from ledger.settling.books import Books
from ledger.settling.usage import EndLine, FileId
from ledger.settling.usage_store import UsageStore

FILE = FileId("e", "head")
USAGE = LEDGER / "usage.db"


def lag() -> float:
    """What the metric says."""
    found: float = JOURNAL_LAG._value.get()
    return found


@pytest.fixture
async def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Books]:
    """In a state folder that is this process's."""
    monkeypatch.chdir(tmp_path)
    LEDGER.mkdir()
    books = Books(UsageStore(USAGE), lambda tenant: TenantLimits(tenant, LimitsRow()))
    yield books
    books.close()


@pytest.fixture
def reader(books: Books) -> Iterator[JournalReader]:
    assert books
    with contextlib.closing(JournalReader(USAGE)) as reader:
        yield reader


async def count(books: Books, at: int) -> None:
    """A line of FILE that ends there."""
    await books.count({FILE: at}, [], [(FILE, EndLine(b"%d" % at, at, Draft(1, b"\x90")))])


def done(consumer: str, reader: JournalReader) -> None:
    """It has read what there is."""
    write_progress(consumer, Progress(reader.identity(), reader.newest()))


async def test_a_file_that_went_on_after_the_last_look_is_not_stored(books: Books, reader: JournalReader) -> None:
    keeper = JournalKeeper(books)
    await count(books, 100)
    await keeper.look()
    assert not keeper.are_stored(FILE, 0.0)
    done(STORE, reader)
    await keeper.look()
    assert keeper.are_stored(FILE, 0.0)
    assert not keeper.are_stored(FileId("e", "other"), 0.0)
    await count(books, 200)
    finished = time.time()
    assert not keeper.are_stored(FILE, finished)
    await keeper.look()
    assert not keeper.are_stored(FILE, finished)
    done(STORE, reader)
    await keeper.look()
    assert keeper.are_stored(FILE, finished)
    assert reader.count(0, 9).rows == 0


async def test_brokers_that_are_away_keep_the_journal_and_no_spool(
    books: Books, reader: JournalReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TELLS_EVENTS_ENV, "1")
    keeper = JournalKeeper(books)
    await count(books, 100)
    await keeper.look()
    assert lag() > 0
    done(STORE, reader)
    await keeper.look()
    assert keeper.are_stored(FILE, 0.0)
    assert lag() == 0
    assert reader.count(0, 9).rows == 1
    done(EVENTS, reader)
    await keeper.look()
    assert reader.count(0, 9).rows == 0


async def test_what_kafka_has_and_the_store_has_not_stays(
    books: Books, reader: JournalReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TELLS_EVENTS_ENV, "1")
    keeper = JournalKeeper(books)
    await count(books, 100)
    done(EVENTS, reader)
    await keeper.look()
    assert not keeper.are_stored(FILE, 0.0)
    assert lag() > 0
    assert reader.count(0, 9).rows == 1
