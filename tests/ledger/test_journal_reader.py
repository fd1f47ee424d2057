"""Who reads the journal beside the ledger sees all of it once, whatever becomes of the file."""

import contextlib
import random
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from ledger.journal import backlog, entries, packing
from ledger.journal.backlog import Backlog
from ledger.journal.progress import Progress, progress_file, read_progress, write_progress
from ledger.journal.reader import JournalAway, JournalReader
from ledger.rows import Row


def row(number: int, ended_ms: int = 1_790_000_000_000) -> Row:
    return Row(
        request_id=f"r{number}",
        sign=1,
        ended_ms=ended_ms + number,
        began_ms=ended_ms,
        tenant="acme",
        key_id="ci",
        user="ü",
        project="",
        surface="chat",
        model="chat",
        provider="openai",
        upstream_model="gpt",
        provider_key="",
        variant="",
        status=200,
        flags="-",
        attempts=1,
        streamed=True,
        requests=1,
        prompt_tokens=2**43,
        cached_tokens=0,
        cache_write_tokens=0,
        completion_tokens=3,
        reasoning_tokens=0,
        unit="",
        units=0,
        estimated=False,
        reason="",
        price_nano=2**53 - 1,
        cost=Decimal("0.000000000001") if number % 2 else None,
        bytes_in=1,
        bytes_out=2,
        content_events=3,
        first_byte_ms=None,
        first_token_ms=7,
        duration_ms=9,
        trace_id="",
        price_generation=1,
        kept_until_s=0,
    )


class Writer:
    """The ledger's side."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        if not self.db.execute("SELECT 1 FROM sqlite_schema").fetchone():
            self.db.executescript(";".join(entries.SCHEMA))
        self.identity = entries.identity(self.db) or entries.renew(self.db)

    def append(self, *numbers: int) -> int:
        self.db.execute("BEGIN")
        seq = entries.append(self.db, [entries.Draft(row(at).ended_ms, packing.encoded(row(at))) for at in numbers])
        self.db.execute("COMMIT")
        return seq


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.db"


def read_all(reader: JournalReader, seq: int = 0, entries: int = 3) -> list[int]:
    found = []
    while some := reader.after(seq, entries):
        found += [int(one.request_id[1:]) for entry in some for one in entry.rows]
        seq = some[-1].seq
    return found


def test_rows_come_as_they_were_written(path: Path) -> None:
    reader = JournalReader(path)
    assert (reader.after(0, 9), reader.newest(), reader.oldest_ms(), reader.identity()) == ([], 0, None, "")
    writer = Writer(path)
    assert (reader.after(0, 9), reader.newest(), reader.oldest_ms(), Backlog(reader).rows(0)) == ([], 0, None, 0)
    first, second = writer.append(1), writer.append(2, 3)
    assert first < second
    assert [(entry.seq, entry.rows) for entry in reader.after(0, 9)] == [
        (first, [row(1)]),
        (second, [row(2), row(3)]),
    ]
    assert [entry.seq for entry in reader.after(0, 1)] == [first]
    assert reader.after(second, 9) == []
    assert reader.newest() == second
    assert (reader.oldest_ms(), reader.oldest_ms(first), reader.oldest_ms(second)) == (
        row(1).ended_ms,
        row(2).ended_ms,
        None,
    )
    assert (Backlog(reader).rows(0), Backlog(reader).rows(first)) == (3, 2)
    assert reader.identity() == writer.identity


def test_large_batches_become_several_entries(path: Path) -> None:
    writer = Writer(path)
    writer.append(*range(4500))
    reader = JournalReader(path)
    assert [len(entry.rows) for entry in reader.after(0, 9)] == [2000, 2000, 500]
    assert read_all(reader, entries=1) == list(range(4500))


def test_numbers_are_not_used_again(path: Path) -> None:
    """Not after the entries are gone, nor by a new journal: a reader that was further would miss its rows."""
    writer = Writer(path)
    last = writer.append(1)
    writer.db.execute("DELETE FROM journal")
    reader = JournalReader(path)
    assert (reader.newest(), reader.oldest_ms()) == (last, None)
    assert writer.append(2) > last
    writer.db.close()
    lost = reader.newest()
    path.rename(path.with_name("lost.db"))
    other = Writer(path)
    assert other.append(3) > lost
    assert read_all(reader, lost) == [3]
    assert reader.identity() == other.identity != writer.identity


def test_a_reader_holds_nobody_up_and_sees_what_is_whole(path: Path) -> None:
    writer = Writer(path)
    reader = JournalReader(path)
    writer.append(1)
    assert read_all(reader) == [1]
    writer.db.execute("BEGIN IMMEDIATE")
    entries.append(writer.db, [entries.Draft(1, packing.encoded(row(2)))])
    assert read_all(reader) == [1]
    writer.db.execute("COMMIT")
    assert read_all(reader) == [1, 2]
    assert writer.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    writer.db.close()  # the ledger has ended
    assert read_all(reader) == [1, 2]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._opened().execute("DELETE FROM journal")  # type: ignore[union-attr]


def test_what_cant_be_read_is_said_and_passes(path: Path) -> None:
    path.write_bytes(b"no database" * 500)
    reader = JournalReader(path)
    with pytest.raises(JournalAway, match="not a database"):
        reader.newest()
    path.unlink()
    writer = Writer(path)
    writer.append(1)
    assert read_all(reader) == [1]
    writer.db.execute("INSERT INTO journal VALUES (?, 1, 0, 0, x'00')", (entries.newest(writer.db) + 1,))
    with pytest.raises(JournalAway):
        read_all(reader)


def test_progress_is_of_one_journal(tmp_path: Path) -> None:
    assert read_progress("store", tmp_path) == Progress()
    write_progress("store", Progress("a", 7), tmp_path)
    write_progress("events", Progress("a", 3), tmp_path)
    found = read_progress("store", tmp_path)
    assert (found.of("a"), found.of("b"), read_progress("events", tmp_path).of("a")) == (7, 0, 3)
    assert progress_file("store", tmp_path).stat().st_mode & 0o777 == 0o600
    progress_file("store", tmp_path).write_bytes(b"{")
    assert read_progress("store", tmp_path) == Progress()


def test_progress_stays_when_it_cant_be_written(tmp_path: Path) -> None:
    write_progress("store", Progress("a", 7), tmp_path)
    (tmp_path / ".journal-store.json").mkdir()
    with contextlib.suppress(OSError):
        write_progress("store", Progress("a", 8), tmp_path)
    assert read_progress("store", tmp_path) == Progress("a", 7)


def test_what_waits_is_known_while_entries_come_are_read_and_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "PIECE_ENTRIES", 4)
    writer, reader, chance = Writer(path), JournalReader(path), random.Random(1)  # noqa: S311 - the same each time
    counted = Backlog(reader)
    sizes: dict[int, int] = {}
    at = 0
    for number in range(400):
        size = chance.randrange(1, 4)
        sizes[writer.append(*range(size))] = size
        if chance.random() < 0.4:
            beyond = [seq for seq in sizes if seq > at]
            at = chance.choice(beyond[: len(beyond) // 2 + 1])
            writer.db.execute("DELETE FROM journal WHERE seq <= ?", (at,))
        assert counted.rows(at) == sum(size for seq, size in sizes.items() if seq > at), number
    assert counted.rows(max(sizes)) == 0
    at = min(seq for seq, *_ in writer.db.execute("SELECT seq FROM journal")) - 1
    assert counted.rows(0) == sum(size for seq, size in sizes.items() if seq > at), "of another journal"
