"""What the directory's writer reads: all of it, or what has changed since a version; and how tombstones go."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from filled import fill
from rows import ADMIN, tenant, write_key, write_tenant

from control.store.changes import changes_since, compact_directory, whole_directory
from control.store.erasure import erase_tenant, start_deletion
from control.store.failures import Gap
from control.store.keys import find_key, note_uses, revoke_key
from control.store.store import Store
from control.store.tenants import find_tenant, insert_tenant, update_tenant
from control.store.values import Kept

LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


class Copy:
    """A directory that follows the database by what it says has changed."""

    def __init__(self) -> None:
        self.version = 0
        self.rows: dict[Any, Kept] = {}

    def follow(self, store: Store) -> None:
        with store.read() as reader:
            self.version, changed = changes_since(reader, self.version)
        for row in changed:
            self.rows[place_of(row)] = row
            if row.deleted_at is not None:
                del self.rows[place_of(row)]


def place_of(row: Any) -> tuple[Any, ...]:
    names = ("id", "tenant_id", "subject", "subject_id", "user_id", "model", "provider", "field", "name", "number")
    return (type(row).__name__, *(getattr(row, name, None) for name in names))


def whole(store: Store, chunk: int) -> dict[Any, Kept]:
    with store.read() as reader:
        chunks = list(whole_directory(reader, chunk))
    assert all(0 < len(rows) <= chunk for rows in chunks)
    return {place_of(row): row for rows in chunks for row in rows}


def test_a_copy_that_follows_has_what_the_whole_has(store: Store) -> None:
    early, late = Copy(), Copy()
    early.follow(store)
    write_tenant(store, "first")
    early.follow(store)
    fill(store)
    early.follow(store)
    write_key(store)
    early.follow(store)
    late.follow(store)
    assert early.rows == late.rows == whole(store, 1) == whole(store, 3) == whole(store, 5000)
    assert len(early.rows) == 14
    assert {type(row).__name__ for row in early.rows.values()} == {
        "Plan", "Tenant", "Limits", "Grant", "User", "Membership", "VirtualKey", "Credential", "CreditAccount",
        "Adapter", "AdapterVersion",
    }  # fmt: skip


def test_changes_come_once_and_in_order(store: Store) -> None:
    made = write_tenant(store)
    write_key(store)
    with store.read() as reader:
        version, changed = changes_since(reader, 0)
        assert (version, [row.version for row in changed]) == (2, [1, 2])
        assert changes_since(reader, 2) == (2, ())
    with store.write(ADMIN) as unit:
        update_tenant(unit, replace(made, disabled=True))
        unit.record("tenant.update", "tenant", "acme")
    with store.read() as reader:
        (row,) = changes_since(reader, 1)[1][1:]
        assert (row.version, type(row).__name__) == (3, "Tenant")


def test_uses_of_keys_are_no_change(store: Store) -> None:
    made = write_key(store)
    with store.write_aside() as writer:
        note_uses(writer, {("acme", made.id): LATER})
    with store.read() as reader:
        assert changes_since(reader, made.version) == (made.version, ())


def test_a_read_sees_one_state(store: Store) -> None:
    write_tenant(store, "first")
    with store.read() as reader:
        chunks = whole_directory(reader, 1)
        version = reader.version()
        write_tenant(store, "second")
        assert [row.version for rows in chunks for row in rows] == [version] == [1]
        assert find_tenant(reader, "second") is None


def test_tombstones_go_with_time_and_who_is_behind_is_told(store: Store) -> None:
    fill(store)
    made = write_key(store)
    with store.write(ADMIN) as unit:
        revoke_key(unit, made)
        unit.record("key.revoke", "key", made.id)
    living = whole(store, 100)
    with store.read() as reader:
        top = reader.version()
        dead = [row for row in changes_since(reader, 0)[1] if row.deleted_at]
    assert len(dead) == 9
    with store.write_aside() as writer:
        assert compact_directory(writer, writer.now - dt.timedelta(days=1)) == 0
        assert compact_directory(writer, LATER) == 9
    assert whole(store, 100) == living
    with store.read() as reader:
        assert (reader.compacted(), reader.version()) == (top, top)
        assert changes_since(reader, top) == (top, ())
        with pytest.raises(Gap):
            changes_since(reader, top - 1)
    write_tenant(store, "later")
    with store.read() as reader:
        assert [row.version for row in changes_since(reader, top)[1]] == [top + 1]


def test_a_user_stays_while_a_membership_refers_to_it(store: Store) -> None:
    fill(store)
    with store.write_aside() as writer:
        moment = writer.now
    with store.read() as reader:
        gone = [row for row in changes_since(reader, 0)[1] if row.deleted_at and type(row).__name__ == "User"]
    assert gone
    with store.write_aside() as writer:
        compact_directory(writer, moment + dt.timedelta(days=1))
    with store.read() as reader:
        assert not [row for row in changes_since(reader, reader.compacted())[1] if row.deleted_at]


def test_a_name_can_be_used_again(store: Store) -> None:
    write_tenant(store, metadata={"first": "1"})
    made = write_key(store)
    with store.write(ADMIN) as unit:
        start_deletion(unit, "acme")
    erase_tenant(store, ADMIN, "acme")
    copy = Copy()
    copy.follow(store)
    assert copy.rows == {}
    with store.write(ADMIN) as unit:
        again = insert_tenant(unit, tenant())
        unit.record("tenant.create", "tenant", "acme")
    copy.follow(store)
    assert list(copy.rows.values()) == [again]
    assert (again.metadata, again.deleting_at, again.disabled) == ({}, None, False)
    with store.read() as reader:
        assert find_key(reader, "acme", made.id) is None
