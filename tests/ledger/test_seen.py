"""Requests are known by their ids: what comes again counts nowhere, whichever file it is in."""

import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.journal import seen
from ledger.journal.making import estimate_of
from ledger.journal.reader import JournalReader
from ledger.settling import usage_store
from ledger.settling.usage import NOT_KEPT_APART, Amounts, EndLine, Entry, Estimate, FileId, Where
from ledger.settling.usage_store import UsageStore

FILE, COPY = FileId("20260101T000000-aaaaaa", "head"), FileId("20260102T000000-bbbbbb", "head")
DAY = 86_400.0


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Today's number, which the test may change."""
    number = [20_000]
    monkeypatch.setattr(usage_store, "_today", lambda: number[0])
    return number


@pytest.fixture
def store(tmp_path: Path, today: list[int]) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.db")
    yield store
    store.close()


def place(day: int = 20_000, tenant: str = "acme") -> Where:
    return Where(tenant, day, "ci", "chat", NOT_KEPT_APART)


def count(store: UsageStore, file: FileId, *ids: str, begin: int = 0) -> tuple[int, list[int]]:
    """Lines of 100 bytes from a byte on; how many requests were counted, and where those stood that were not."""
    ends = [begin + 100 * number for number, _ in enumerate(ids, 1)]
    entries = [Entry(name, place(), Amounts(1, 10), file, at) for name, at in zip(ids, ends, strict=True)]
    rows = [estimate_of(name, place(), Amounts(1, 10), "", 1, 2) for name in ids]
    lines = [(file, EndLine(seen.key_of(name), at, row)) for name, at, row in zip(ids, ends, rows, strict=True)]
    counted = store.count({file: ends[-1]}, entries, lines)
    return counted.requests, sorted(at for _, at in counted.repeated)


def journaled(store: UsageStore) -> list[str]:
    return [row.request_id for entry in JournalReader(store._path).after(0, 99) for row in entry.rows]


def test_a_copy_of_a_file_counts_nothing(store: UsageStore) -> None:
    ids = [str(uuid.uuid4()), "no uuid", str(uuid.uuid4()).upper()]
    assert count(store, FILE, *ids) == (3, [])
    assert count(store, FILE, *ids) == (0, [])  # read again: nothing to tell of
    store.close()
    assert count(store, COPY, *ids, "new") == (1, [100, 200, 300])
    assert count(store, FILE, "new", *ids, begin=300) == (0, [400, 500, 600, 700])  # beyond what was counted of it
    assert journaled(store) == [*ids, "new"]
    assert store.opened().execute("SELECT sum(requests) FROM usage_by_day").fetchone() == (4,)


def test_an_id_that_is_there_twice_counts_once(store: UsageStore) -> None:
    assert count(store, FILE, "a", "b", "a") == (2, [300])
    assert journaled(store) == ["a", "b"]


def test_a_providers_budget_is_not_charged_again_either(store: UsageStore) -> None:
    def line_in(file: FileId) -> int:
        entries = [Entry("r", place(tenant=name), Amounts(1), file, 100) for name in ("acme", "provider/openai")]
        return len(store.count({file: 100}, entries, [(file, EndLine(b"r", 100))]).added)

    assert (line_in(FILE), line_in(COPY)) == (2, 0)


def test_what_was_counted_is_not_charged_as_an_estimate(store: UsageStore) -> None:
    count(store, FILE, "a")
    estimates = [Estimate(Entry(name, place(), Amounts(1, 100)), seen.key_of(name)) for name in ("a", "b")]
    assert store.charge(estimates, "lease")[1] == {"b"}


def test_ids_are_known_for_longer_than_files_are_kept(store: UsageStore, today: list[int]) -> None:
    count(store, FILE, "a")
    for day, keep_s in ((20_000, 0.0), (20_002, 0.0), (20_003, DAY), (20_031, 29 * DAY), (20_040, 366 * DAY)):
        today[0] = day
        store.prune([], keep_s)
        assert count(store, FileId("e", str(day)), "a") == (0, [100])
    today[0] = 20_043
    store.prune([], 0.0)
    assert count(store, COPY, "a") == (1, [])
    tables = [name for (name,) in store.read("SELECT name FROM sqlite_schema WHERE name GLOB 'seen_*'")]
    assert sorted(tables) == ["seen_20043"]


def test_ids_are_known_while_a_file_of_their_day_is_there(store: UsageStore, today: list[int]) -> None:
    """Its rows are not stored yet, so that it is kept for longer than asked for: it may be copied meanwhile."""
    count(store, FILE, "a")
    today[0] = 20_030
    store.prune([FILE], 0.0)
    assert count(store, COPY, "a") == (0, [100])
    store.prune([], 0.0)
    assert count(store, FileId("e", "h"), "a") == (1, [])


def test_a_years_days_are_looked_through(store: UsageStore, today: list[int]) -> None:
    for day in range(20_000, 20_370):
        today[0] = day
        assert count(store, FileId("e", str(day)), f"r{day}") == (1, [])
    assert count(store, COPY, "r20000", "r20200", "r20369", "new") == (1, [100, 200, 300])


@given(st.one_of(st.uuids().map(str), st.text(max_size=36)), st.one_of(st.uuids().map(str), st.text(max_size=36)))
def test_ids_have_keys_of_their_own(one: str, other: str) -> None:
    assert len(seen.key_of(one)) == 16
    assert (seen.key_of(one) == seen.key_of(other)) == (one == other)


def test_nobodys_lines_stand_for_no_request() -> None:
    """Their ids are what clients sent: one that sends another's must not keep that one's line from being counted."""
    name = str(uuid.uuid4())
    line = b'{"type":"end","request_id":"%s"}' % name.encode()
    keys = {seen.key_of(name), seen.key_of_nobodys(line, 50), seen.key_of_nobodys(line, 99)}
    assert len(keys) == 3
    assert seen.key_of_nobodys(line, 50) in keys


def test_days_are_forgotten_whole(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as db:
        keys = [bytes([number] * 16) for number in range(50)]
        for day in (1, 2, 10):
            seen.take(db, keys[day : day + 3], day)
        assert seen.known(db, keys) == set(keys[1:5] + keys[10:13])
        assert seen.drop_before(db, 2) == 1
        assert seen.known(db, keys) == set(keys[2:5] + keys[10:13]) - {keys[2], keys[3]}
    db.close()
