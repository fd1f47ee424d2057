"""The ledger's database: everything once, whatever is done twice or goes wrong in between."""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from headgate.counters.calendar import DAY_MS
from headgate.counters.limits import TenantLimits
from headgate.counters.scripts import OTHER_USERS
from headgate.limits import LimitRow, LimitsRow
from ledger.journal.entries import Draft
from ledger.journal.making import estimate_of
from ledger.journal.reader import JournalReader
from ledger.settling import usage_store
from ledger.settling.books import Books
from ledger.settling.usage import NOT_KEPT_APART, Amounts, EndLine, Entry, Estimate, FileId, SumWish, Where
from ledger.settling.usage_store import KEPT_DAYS, UsageStore

TODAY = int(time.time() * 1000) // DAY_MS
FILE = FileId("20260101T000000-aaaaaa", "head")


def where(day: int = TODAY, key: str = "ci", model: str = "chat", user: str = NOT_KEPT_APART) -> Where:
    return Where("acme", day, key, model, user)


USUAL = Amounts(1, 10, 5, 700)


def entry(number: int, amounts: Amounts = USUAL, at: Where | None = None) -> Entry:
    return Entry(f"r{number}", at or where(), amounts, FILE, 100 * number)


def draft(number: int, amounts: Amounts = USUAL) -> Draft:
    """A row of some kind."""
    return estimate_of(f"r{number}", where(), amounts, "", 1, 2)


def wish(dimension: str = "tokens", first: int = TODAY, end: int = TODAY + 1, **scope: object) -> SumWish:
    return SumWish("acme", first, end, dimension, **scope)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> UsageStore:
    return UsageStore(tmp_path / "usage.db")


def test_what_is_counted_once_is_not_counted_again(store: UsageStore, tmp_path: Path) -> None:
    first = store.count({FILE: 200}, [entry(1), entry(2)])
    assert first.requests == 2
    again = UsageStore(tmp_path / "usage.db").count({FILE: 300}, [entry(1), entry(2), entry(3)])
    assert again.requests == 1
    assert again.before == first.sequence < again.sequence
    assert store.count({FILE: 250}, [entry(2)]).requests == 0
    assert store.counted() == {FILE: 300}
    assert store.sums([wish(), wish("requests"), wish("usd")]) == [45, 3, 2100]


def test_sums_by_every_scope(store: UsageStore) -> None:
    places = [where(), where(key="prod"), where(model="big"), where(user="u1"), where(user=""), where(TODAY - 1)]
    store.count({}, [entry(at, Amounts(1, 2 ** (at - 1)), place) for at, place in enumerate(places, 1)])
    assert store.sums(
        [
            wish("input", TODAY - 1),
            wish("input"),
            wish("input", key="ci"),
            wish("input", models=("big", "other")),
            wish("input", user="u1"),
            wish("input", user=""),
            wish("input", key="nobody"),
        ]
    ) == [63, 31, 29, 4, 8, 16, 0]
    _, used = store.used("acme", (TODAY - 1, TODAY + 1), TODAY)
    (one,) = [one for one in used if (one.key, one.model, one.user) == ("ci", "chat", NOT_KEPT_APART)]
    assert (one.month.input, one.day.input) == (33, 1)


def test_an_estimate_is_charged_once_and_a_late_line_takes_its_place(store: UsageStore) -> None:
    estimate = Entry("r1", where(TODAY - 1), Amounts(1, 100, 50, 9000))
    counted, fresh = store.charge([Estimate(estimate, b"r1")], "lease")
    assert fresh == {"r1"}
    assert counted.added == ((estimate.where, estimate.amounts),)
    assert store.charge([Estimate(estimate, b"r1")], "epoch")[1] == set()
    assert store.sums([wish("usd", TODAY - 1)]) == [9000]
    late = store.count({FILE: 100}, [entry(1)])
    assert late.replaced == 1
    assert dict(late.added)[estimate.where] == Amounts(-1, -100, -50, -9000)
    assert store.sums([wish("usd", TODAY - 1), wish("requests", TODAY - 1), wish("tokens")]) == [700, 1, 15]
    assert store.charge([Estimate(estimate, b"r1")], "lease")[1] == set()
    assert store.count({FILE: 100}, [entry(1)]).replaced == 0


def test_a_late_line_that_costs_nothing_takes_an_estimates_place(store: UsageStore) -> None:
    store.charge([Estimate(Entry("r1", where(), Amounts(1, 100, 50, 9000)), b"r1")], "lease")
    late = store.count({FILE: 100}, [entry(1, Amounts())])
    assert (late.replaced, late.requests) == (1, 0)
    assert store.sums([wish("usd"), wish("requests")]) == [0, 0]


def test_another_tenants_line_replaces_nothing(store: UsageStore) -> None:
    store.charge([Estimate(Entry("r1", where(), Amounts(1, 100, 50, 9000)), b"r1")], "lease")
    other = Entry("r1", where()._replace(tenant="globex"), Amounts(1), FILE, 100)
    assert store.count({FILE: 100}, [other]).replaced == 0
    assert store.sums([wish()]) == [150]


def test_a_failure_in_the_middle_changes_nothing(store: UsageStore) -> None:
    store.count({FILE: 100}, [entry(1)])
    broken = Entry("r2", where(), Amounts(1, "x", 0, 0), FILE, 200)  # type: ignore[arg-type]
    ugly = Entry("r3", where(key=None), Amounts(1), FILE, 300)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        store.count({FILE: 300}, [broken, ugly])
    assert store.counted() == {FILE: 100}
    assert store.sums([wish("requests")]) == [1]


def test_users_without_end_share_a_row(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_store, "MOST_USERS", 3)
    store.count({}, [entry(number, Amounts(1), where(user=f"u{number}")) for number in range(1, 6)])
    store.count({}, [entry(number, Amounts(1), where(user=f"u{number}", model="big")) for number in range(1, 6)])
    users = [wish("requests", user=user) for user in ("u1", "u2", "u3", "u4", "u5", OTHER_USERS)]
    assert store.sums([*users, wish("requests")]) == [2, 2, 2, 0, 0, 4, 10]


def test_old_days_go(store: UsageStore) -> None:
    old, young = TODAY - KEPT_DAYS, TODAY - KEPT_DAYS - 1
    store.count({FILE: 1}, [Entry("a", where(old), Amounts(1)), Entry("b", where(young), Amounts(1))])
    assert store.sums([wish("requests", 0)]) == [1]
    with sqlite3.connect(store._path) as db:
        db.execute("UPDATE usage_by_day SET day = day - 1")
        db.execute("INSERT INTO files VALUES ('e', 'gone', 5, 0, 0), ('e', 'kept', 5, 0, 0)")
    assert store.prune([FileId("e", "kept")]) == 1
    assert set(store.counted()) == {FILE, FileId("e", "kept")}
    assert store.sums([wish("requests", 0)]) == [0]


def test_sums_stop_where_doubles_do(store: UsageStore) -> None:
    store.count({}, [entry(number, Amounts(1, 2**52), where(key=f"k{number}")) for number in range(1, 6)])
    assert store.sums([wish("input")]) == [2**53 - 1]


def test_a_file_that_is_no_database_is_left_alone(store: UsageStore, tmp_path: Path) -> None:
    (tmp_path / "usage.db").write_bytes(b"not a database, but someone's" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        store.count({FILE: 100}, [entry(1)])
    assert (tmp_path / "usage.db").read_bytes().startswith(b"not a database")


def test_a_database_of_a_later_version_is_left_alone(store: UsageStore) -> None:
    store.count({FILE: 100}, [entry(1)])
    store.close()
    with sqlite3.connect(store._path) as db:
        db.execute("PRAGMA user_version = 5")
    with pytest.raises(sqlite3.DatabaseError, match="later version"):
        store.counted()


SECOND_VERSION = """
CREATE TABLE usage_by_day (
    tenant TEXT NOT NULL, day INTEGER NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL, user TEXT NOT NULL,
    requests INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, nano_usd INTEGER NOT NULL,
    PRIMARY KEY (tenant, day, key, model, user)) WITHOUT ROWID;
CREATE INDEX usage_by_user ON usage_by_day (tenant, user, day);
CREATE TABLE users_by_day (
    tenant TEXT NOT NULL, day INTEGER NOT NULL, user TEXT NOT NULL, PRIMARY KEY (tenant, day, user)) WITHOUT ROWID;
CREATE TABLE charged_estimates (
    request_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, day INTEGER NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL,
    user TEXT NOT NULL, requests INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
    nano_usd INTEGER NOT NULL, reason TEXT NOT NULL, charged REAL NOT NULL, replaced REAL) WITHOUT ROWID;
CREATE TABLE files (
    epoch TEXT NOT NULL, head TEXT NOT NULL, counted INTEGER NOT NULL, day INTEGER NOT NULL,
    PRIMARY KEY (epoch, head)) WITHOUT ROWID;
CREATE TABLE sequence (only INTEGER PRIMARY KEY CHECK (only = 1), value INTEGER NOT NULL);
"""


@pytest.mark.parametrize("version", [1, 2])
def test_a_database_of_an_earlier_version_is_taken_on_with_everything(tmp_path: Path, version: int) -> None:
    future = 9_000_000_000_000
    with sqlite3.connect(tmp_path / "usage.db") as db:
        db.executescript(SECOND_VERSION)
        db.execute("INSERT INTO usage_by_day VALUES ('acme', ?, 'ci', 'chat', 'u1', 1, 10, 5, 700)", (TODAY,))
        db.execute("INSERT INTO users_by_day VALUES ('acme', ?, 'u1')", (TODAY,))
        estimate = ("r7", "acme", TODAY, "ci", "chat", NOT_KEPT_APART, 1, 100, 50, 9000, "lease", time.time())
        db.execute("INSERT INTO charged_estimates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", estimate)
        db.execute("UPDATE usage_by_day SET input = input + 100, output = output + 50, nano_usd = nano_usd + 9000")
        db.execute("INSERT INTO files VALUES (?, ?, 500, ?)", (*FILE, TODAY))
        db.execute("INSERT INTO sequence VALUES (1, ?)", (future,))
        if version == 1:
            db.execute("DROP INDEX usage_by_user")
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    store = UsageStore(tmp_path / "usage.db")
    assert store.counted() == {FILE: 500}
    assert store.journaled() == {FILE: 0}
    assert store.sequence() == future
    assert store.sums([wish(user="u1"), wish(user="u2"), wish("usd")]) == [165, 0, 9700]
    assert store.charge([Estimate(Entry("r7", where(), USUAL), b"r7")], "lease")[1] == set()
    late = store.count({FILE: 700}, [entry(5), entry(7)], [(FILE, EndLine(b"r7", 700, draft(7)))])
    assert (late.requests, late.replaced, late.sequence) == (1, 1, future + 2)
    assert [row.sign for one in JournalReader(tmp_path / "usage.db").after(0, 9) for row in one.rows] == [1]
    assert store.journal_identity()
    store.close()
    assert UsageStore(tmp_path / "usage.db").counted() == {FILE: 700}


def test_the_sum_of_a_user_looks_at_no_other(store: UsageStore) -> None:
    """Clients name any number of them: 50,000 rows of others may not be gone through for each."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    places = [where(user=f"u{number % 9000}", key=f"k{number % 7}") for number in range(50_000)]
    store.count({}, [entry(number, Amounts(1), place) for number, place in enumerate(places, 1)])
    store.opened().set_progress_handler(step, 100)
    assert store.sums([wish("requests", user="new"), wish("requests", user="u1", key="k1", models=("chat",))])[0] == 0
    assert steps <= 10
    assert store.sums([wish("requests")]) == [50_000]
    assert steps > 100


def test_users_beyond_the_bound_are_named(store: UsageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose sums nobody needs to ask for."""
    monkeypatch.setattr(usage_store, "MOST_USERS", 2)
    places = [where(user=f"u{number}") for number in range(5)]
    counted = store.count({}, [entry(number, Amounts(1), place) for number, place in enumerate(places, 1)])
    assert counted.others == set(places[2:])
    assert dict(counted.added) == {
        places[0]: Amounts(1),
        places[1]: Amounts(1),
        where(user=OTHER_USERS): Amounts(3),
    }


class Asked(UsageStore):
    """How often it was asked for sums."""

    times = 0

    def sums(self, wishes: Sequence[SumWish]) -> list[int]:
        self.times += 1
        return super().sums(wishes)


async def test_sums_are_kept_while_no_day_is_removed(tmp_path: Path) -> None:
    store, limits = Asked(tmp_path / "usage.db"), TenantLimits("acme", LimitsRow((LimitRow("daily_tokens", 10**6),)))
    books = Books(store, lambda _: limits)
    await books.count({FILE: 100}, [entry(1)])
    for expected in (15, 15):
        (window,) = books.windows_at(where())
        assert list((await books.sums([window])).values()) == [expected]
        await books.prune([FILE])
    assert store.times == 1
    books.close()
