"""What is booked stays: no change, no gap, nothing twice, whoever tries; and it is no later tenant's."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from databases import Database
from rows import ADMIN, write_tenant
from watched import published, wait_until

from control.credits.booking import book
from control.credits.days import day_of_moment, ends_ms
from control.deletion import SYSTEM, DatabaseHolding, Deletions
from control.store.audit_log import verify_log
from control.store.changes import changes_since
from control.store.credits import CreditEntry, accounts_that_end, entries_of, find_account, insert_entry, list_entries
from control.store.erasure import start_deletion, traces_of
from control.store.failures import Exists
from control.store.paging import Wish
from control.store.store import Store
from headgate.credits import Ending
from headgate.directory.following import Following

SOON = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)


def booked(store: Store, customer: str = "acme", amount: int = 5, kind: Any = "prepaid", **more: Any) -> CreditEntry:
    with store.write(ADMIN) as unit:
        return book(
            unit, CreditEntry(customer=customer, kind=kind, amount_nano=amount, created_by="key:admin", **more)
        )


GAP = (
    "INSERT INTO credit_entries SELECT 7, 'credit_7', customer, kind, amount_nano, expires_on, note, ended,"
    " created_at, created_by, detached_at FROM credit_entries"
)
CHANGES = (
    "UPDATE credit_entries SET amount_nano = 1",
    "UPDATE credit_entries SET expires_on = NULL",
    "UPDATE credit_entries SET customer = 'x', detached_at = 5",
    "UPDATE credit_entries SET detached_at = NULL",
    "DELETE FROM credit_entries",
    GAP,
)


@pytest.mark.parametrize("statement", CHANGES)
def test_what_is_booked_is_not_changed(store: Store, migrated: Database, statement: str) -> None:
    before = booked(store, expires_on=SOON, note="an order")
    with pytest.raises(Exception, match="stay as they are"):
        migrated.execute(statement)
    with store.read() as reader:
        assert entries_of(reader, "acme") == (before,)


def test_two_at_once_are_both_booked(migrated: Database) -> None:
    """From two processes' stores."""
    with migrated.engine() as one, migrated.engine() as other:
        stores = [Store(one), Store(other)]
        with ThreadPoolExecutor(4) as threads:
            made = list(threads.map(lambda number: booked(stores[number % 2], amount=number + 1), range(16)))
        with stores[0].read() as reader:
            found, account = entries_of(reader, "acme"), find_account(reader, "acme")
            assert verify_log(reader).bad is None
    assert [entry.seq for entry in found] == list(range(1, 17))
    assert {entry.id for entry in found} == {entry.id for entry in made}
    assert account
    assert account.booked_nano == sum(range(1, 17))


def test_an_end_is_booked_once(store: Store) -> None:
    entry = booked(store, expires_on=SOON)
    end = {"kind": "expired", "ended": entry.seq}
    booked(store, amount=-2, **end)
    with pytest.raises(Exists):
        booked(store, amount=-1, **end)
    with store.read() as reader:
        assert [one.amount_nano for one in entries_of(reader, "acme")] == [5, -2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "prepaid", "amount_nano": 0},
        {"kind": "granted", "amount_nano": -1},
        {"kind": "adjustment", "amount_nano": 0},
        {"kind": "adjustment", "amount_nano": 1, "expires_on": SOON},
        {"kind": "expired", "amount_nano": -1},
        {"kind": "prepaid", "amount_nano": 1, "ended": 1},
        {"kind": "gift", "amount_nano": 1},
    ],
)
def test_what_is_no_entry_is_refused_by_the_database_too(store: Store, wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception), store.write(ADMIN) as unit:  # noqa: B017, PT011 - each database has its own
        insert_entry(unit, CreditEntry(customer="acme", created_by="x", **wrong))
    with store.read() as reader:
        assert entries_of(reader, "acme") == ()


def test_what_workers_are_told_is_of_the_same_unit(store: Store) -> None:
    first = booked(store, amount=7, expires_on=SOON)
    booked(store, amount=3, expires_on=SOON)
    booked(store, amount=100)
    with store.read() as reader:
        account = find_account(reader, "acme")
        version, changed = changes_since(reader, 0)
        assert accounts_that_end(reader) == (account,)
    assert account
    assert (changed, account.version) == ((account,), version)
    assert (account.booked_nano, account.since_day) == (110, day_of_moment(first.created_at))
    assert account.ending == ((ends_ms(SOON), 10),)


def test_the_workers_know_of_it(store: Store, tmp_path: Path) -> None:
    """Whoever is answered that something is booked can rely on it."""
    folder = tmp_path / "directory"
    with published(store, folder) as publisher:
        wait_until(lambda: publisher.state.version is not None)
        following = Following(folder)
        for total in (7, 14):
            booked(store, amount=7, expires_on=SOON)
            assert following.catch_up()
            account = following.directory.credits("acme")
            assert account
            assert (account.booked_nano, account.ending) == (total, (Ending(ends_ms(SOON), total),))
        booked(store, amount=-14, kind="expired", ended=1)
        following.catch_up()
        row = following.directory.credits("acme")
        assert row
        assert row.given_nano(ends_ms(SOON) - 1) == 0
        assert Following(folder).directory.credits("acme") == row


def test_a_deleted_tenants_stays_and_is_no_later_ones(store: Store) -> None:
    write_tenant(store)
    kept = booked(store, amount=9, expires_on=SOON, note="an order")
    with store.write(SYSTEM) as unit:
        start_deletion(unit, "acme")
    with store.read() as reader:
        assert {"credit_entries", "credit_accounts"} <= traces_of(reader, "acme").keys()
    assert Deletions(store, [DatabaseHolding(store)]).work() == 0
    with store.read() as reader:
        assert traces_of(reader, "acme") == {}
        assert entries_of(reader, "acme") == ()
        assert find_account(reader, "acme") is None
        assert accounts_that_end(reader) == ()
        (left,) = list_entries(reader, Wish(), of="acme").items
        assert list_entries(reader, Wish(), customer="acme").items == ()
    assert (left.id, left.amount_nano, left.detached_at is None) == (kept.id, 9, False)
    write_tenant(store)
    booked(store, amount=1)
    with store.read() as reader:
        account = find_account(reader, "acme")
        assert [one.amount_nano for one in entries_of(reader, "acme")] == [1]
        assert [one.amount_nano for one in list_entries(reader, Wish(), of="acme").items] == [1, 9]
    assert account
    assert (account.booked_nano, account.ending) == (1, ())
