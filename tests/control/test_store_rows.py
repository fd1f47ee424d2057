"""Rows of the directory: versions, optimistic changes, tombstones, pages and filters, the same in both databases."""

import datetime as dt
from dataclasses import replace

import pytest
from rows import ADMIN, key, tenant, user, write_key, write_tenant

from control.store.failures import BadCursor, BadValue, Exists, InUse, Missing, Stale
from control.store.keys import find_key, list_keys, note_uses, revoke_key, rotate_key, update_key, uses_of
from control.store.paging import Wish
from control.store.plans import delete_plan, insert_plan
from control.store.store import Store
from control.store.tenants import find_tenant, insert_tenant, list_tenants, update_tenant
from control.store.users import insert_user
from control.store.values import Plan


def test_what_is_written_is_read(store: Store) -> None:
    moment = dt.datetime(2027, 1, 31, 12, 0, 0, 123_000, dt.UTC)
    said = {"zones": ("eu", "us"), "metadata": {"größe": "ü\u2028", "b": ""}, "plan": "gold", "store_prompts": True}
    made = write_tenant(store, "acme", **said)
    kept = write_key(store, expires_at=moment, models=("chat",), limits={"rpm": {"limit": 5}, "tpm": 7}, endpoints=())
    with store.read() as reader:
        assert find_tenant(reader, "acme") == made
        assert find_key(reader, "acme", kept.id) == kept
        assert reader.version() == kept.version == 2
    assert (made.version, made.zones, made.metadata) == (1, ("eu", "us"), said["metadata"])
    assert kept.expires_at == moment
    assert kept.limits == {"rpm": {"limit": 5}, "tpm": 7}


def test_a_change_is_refused_when_somebody_else_was_first(store: Store) -> None:
    first = write_tenant(store)
    with store.write(ADMIN) as unit:
        update_tenant(unit, replace(first, display_name="ACME"))
        unit.record("tenant.update", "tenant", "acme")
    with pytest.raises(Stale), store.write(ADMIN) as unit:
        update_tenant(unit, replace(first, display_name="Other"))
    with pytest.raises(Missing), store.write(ADMIN) as unit:
        update_tenant(unit, tenant("nobody"))
    with store.read() as reader:
        found = find_tenant(reader, "acme")
        assert found
        assert (found.display_name, found.version, reader.version()) == ("ACME", 2, 2)


def test_what_a_unit_does_is_one_version_and_nothing_if_it_fails(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = insert_tenant(unit, tenant())
        again = update_tenant(unit, replace(made, disabled=True))
        unit.record("tenant.create", "tenant", "acme")
    assert made.version == again.version == 1
    with pytest.raises(Exists):
        _write_both(store)
    with store.read() as reader:
        assert find_tenant(reader, "other") is None
        assert reader.version() == 1


def _write_both(store: Store) -> None:
    with store.write(ADMIN) as unit:
        insert_tenant(unit, tenant("other"))
        insert_tenant(unit, tenant())


def test_a_unit_that_changes_has_to_record(store: Store) -> None:
    with pytest.raises(RuntimeError, match="record"), store.write(ADMIN) as unit:
        insert_tenant(unit, tenant())
    with store.read() as reader:
        assert find_tenant(reader, "acme") is None


def test_listeners_are_told_of_versions_that_are_committed(store: Store) -> None:
    told: list[int] = []
    store.listeners.append(told.append)
    write_tenant(store)
    with pytest.raises(Exists), store.write(ADMIN) as unit:
        insert_tenant(unit, tenant())
    with store.write(ADMIN) as unit:
        unit.record("audit.export", "audit", None)
    assert told == [1]


def test_another_tenants_key_is_not_found(store: Store) -> None:
    mine, platforms = write_key(store, "acme"), write_key(store, None)
    with store.read() as reader:
        assert find_key(reader, "other", mine.id) is None
        assert find_key(reader, None, mine.id) is None
        assert find_key(reader, "acme", platforms.id) is None
        assert find_key(reader, None, platforms.id) == platforms


def test_a_revoked_key_leaves_a_tombstone_with_its_digest(store: Store) -> None:
    made = write_key(store)
    with store.write(ADMIN) as unit:
        gone = revoke_key(unit, made)
        unit.record("key.revoke", "key", made.id)
    assert gone.digest == made.digest
    with store.read() as reader:
        assert find_key(reader, "acme", made.id) is None
    with pytest.raises(Missing), store.write(ADMIN) as unit:
        update_key(unit, made)


def test_a_rotated_key_goes_on_for_the_overlap(store: Store) -> None:
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)
    long, short = write_key(store), write_key(store, expires_at=ends)
    with store.write(ADMIN) as unit:
        old, fresh = rotate_key(unit, long, key(), dt.timedelta(hours=1))
        ending, _ = rotate_key(unit, short, key(), dt.timedelta(hours=1))
        unit.record("key.rotate", "key", long.id)
        assert old.ends_at == unit.now + dt.timedelta(hours=1)
    assert fresh.rotated_from == long.id
    assert ending.ends_at == ending.valid_until == short.expires_at
    with store.read() as reader:
        assert find_key(reader, "acme", long.id) == old


def test_uses_are_noted_aside_and_never_go_back(store: Store) -> None:
    made = write_key(store)
    early, late = (dt.datetime(2027, 1, day, tzinfo=dt.UTC) for day in (1, 2))
    for moment in (early, late, early):
        with store.write_aside() as writer:
            note_uses(writer, {("acme", made.id): moment, ("yaml", "ci"): early})
    with store.read() as reader:
        assert uses_of(reader, "acme", [made.id, "other"]) == {made.id: late}
        assert uses_of(reader, "yaml", ["ci"]) == {"ci": early}
        assert reader.version() == made.version


def test_pages_have_every_row_once(store: Store) -> None:
    names = ["a", "B", "a.b", "Z9", "_".join("xy"), "10", "9", "ä".encode().hex(), "a-b"]
    for name in names:
        write_tenant(store, name, disabled=name == "B")
    with store.read() as reader:
        seen, after = [], None
        while True:
            page = list_tenants(reader, Wish(2, after))
            seen += [found.id for found in page.items]
            after = page.next
            if after is None:
                break
        assert seen == sorted(names)
        assert [found.id for found in list_tenants(reader, Wish(9), disabled=True).items] == ["B"]
        assert list_tenants(reader, Wish(9)).next is None


def test_pages_of_keys_are_by_age_within_the_tenant(store: Store) -> None:
    made = [write_key(store, name=f"k{number}") for number in range(5)]
    write_key(store, "other")
    by_age = sorted(made, key=lambda found: (found.created_at, found.id))
    with store.read() as reader:
        first = list_keys(reader, "acme", Wish(3))
        second = list_keys(reader, "acme", Wish(3, first.next))
        assert [*first.items, *second.items] == by_age
        assert second.next is None
        assert list_keys(reader, "acme", Wish(), name="k3").items == (made[3],)


@pytest.mark.parametrize(
    "cursor", ["", "x", "ä", "W10", "WyJ0ZW5hbnRzIiwxXQ", "a" * 5000, "WyJwbGFucyIsImEiXQ", "[" * 2000]
)
def test_what_is_no_cursor_of_the_list_is_refused(store: Store, cursor: str) -> None:
    with store.read() as reader, pytest.raises(BadCursor):
        list_tenants(reader, Wish(2, cursor))


@pytest.mark.parametrize("bad", ["a" * 257, "a\0b", "\ud800"])
def test_both_databases_refuse_the_same_text(store: Store, bad: str) -> None:
    with pytest.raises(BadValue), store.write(ADMIN) as unit:
        insert_tenant(unit, tenant(display_name=bad))
    with pytest.raises(BadValue), store.write(ADMIN) as unit:
        insert_tenant(unit, tenant(metadata={"a": 0.5}))


def test_text_is_text_and_no_sql(store: Store) -> None:
    name = "'); DROP TABLE tenants; -- %s %(a)s :a ?"
    write_tenant(store, display_name=name)
    with store.read() as reader:
        found = find_tenant(reader, "acme")
        assert found
        assert found.display_name == name
        assert find_tenant(reader, name) is None


def test_a_plan_that_tenants_have_stays(store: Store) -> None:
    write_tenant(store, plan="gold")
    with store.write(ADMIN) as unit:
        plan = insert_plan(unit, Plan(id="gold", display_name="Gold", limits={"rpm": 5}))
        unit.record("plan.create", "plan", "gold", after=plan)
    with pytest.raises(InUse), store.write(ADMIN) as unit:
        delete_plan(unit, plan)


def test_a_person_is_one_user(store: Store) -> None:
    with store.write(ADMIN) as unit:
        insert_user(unit, user())
        unit.record("user.create", "user", None)
    with pytest.raises(Exists), store.write(ADMIN) as unit:
        insert_user(unit, user())
