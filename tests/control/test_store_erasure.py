"""A tenant or a person that goes: nothing of them stays in any row, whatever is killed in between."""

import datetime as dt
from pathlib import Path

import pytest
from databases import Database, PostgresDatabase, SqliteDatabase
from rows import ADMIN, key, tenant, user, write_key, write_member, write_tenant

from control.audit_chain import Actor
from control.store import audit_log
from control.store.adapters import insert_adapter, insert_version
from control.store.answers import KEPT, keep_answer, key_digest
from control.store.audit_log import verify_log
from control.store.changes import compact_directory
from control.store.credits import write_account
from control.store.engine import overwrite_erased
from control.store.erasure import (
    erase_tenant,
    erase_user,
    fingerprint_of,
    finish_deletion,
    note_done,
    start_deletion,
    traces_of,
    unfinished_deletions,
)
from control.store.failures import Exists, Missing
from control.store.keys import insert_key, note_uses
from control.store.paging import Wish
from control.store.plans import insert_limits
from control.store.store import Store
from control.store.tenants import find_tenant, insert_grant, insert_tenant, list_grants
from control.store.users import find_user, find_user_of, list_memberships, list_users, memberships_of
from control.store.values import Adapter, AdapterVersion, Answer, CreditAccount, Grant, Limits

NAME = "zebra-works"  # what the scan looks for
ANNA, BOTH, CHIEF = user("anna-zebra"), user("both"), user("chief", platform_role="admin")


@pytest.fixture
def full(store: Store) -> Store:
    """A tenant with something everywhere, beside another one."""
    write_tenant(store, NAME, display_name="Zebra-Works Ltd", metadata={"contact": "anna-zebra@example.org"})
    write_tenant(store, "other")
    for person, tenants in ((ANNA, [NAME]), (BOTH, [NAME, "other"]), (CHIEF, [NAME])):
        for name in tenants:
            write_member(store, name, person)
    anna = Actor("user", ANNA.id, NAME, "192.0.2.77", "req-anna")
    made = write_key(store, NAME, anna, name="anna-zebra's key", metadata={"for": NAME})
    write_key(store, "other")
    with store.write(anna) as unit:
        insert_limits(unit, Limits(tenant_id=NAME, subject="user", subject_id=ANNA.id, limits={"rpm": 1}))
        insert_grant(unit, Grant(tenant_id=NAME, model="chat", created_by=ANNA.id))
        insert_grant(unit, Grant(tenant_id="other", model="chat", created_by=ADMIN.id))
        digest = key_digest(ANNA.id, "POST /keys", "once")
        said = {"tenant_id": NAME, "body_digest": bytes(32), "status": 201, "answer": b"anna-zebra"}
        keep_answer(unit, Answer(key_digest=digest, expires_at=unit.now + KEPT, **said))
        unit.record("grant.create", "grant", "chat", tenant_id=NAME, after={"note": "for Zebra-Works"})
        for name in (NAME, "other"):
            write_account(unit, CreditAccount(tenant_id=name, since_day=20_000, booked_nano=5))
            bot = {"tenant_id": name, "name": "bot", "created_by": f"for {name}"}
            insert_adapter(unit, Adapter(base_model="chat", **bot))
            said = {"sha256": "ab" * 32, "size_bytes": 1, "facts": {"for": name}, "failure": f"of {name}"}
            insert_version(unit, AdapterVersion(number=1, **bot, **said))
    with store.write_aside() as writer:
        note_uses(writer, {(NAME, made.id): writer.now, ("other", "ci"): writer.now})
    return store


def test_nothing_is_left_of_a_tenant(full: Store, migrated: Database) -> None:
    with full.read() as reader:
        assert set(traces_of(reader, NAME)) == {
            *("tenants", "virtual_keys", "memberships", "model_grants", "limits"),
            *("key_uses", "idempotency_keys", "audit", "credit_accounts", "adapters", "adapter_versions"),
        }
    with full.write(ADMIN) as unit:
        deletion = start_deletion(unit, NAME)
    with full.read() as reader:
        found = find_tenant(reader, NAME)
        assert found
        assert found.disabled
        assert found.deleting_at
        assert unfinished_deletions(reader) == (deletion,)
    erase_tenant(full, ADMIN, NAME)
    with full.read() as reader:
        assert traces_of(reader, NAME) == {"tenant_deletions": 1}
    with full.write_aside() as writer:
        deletion = note_done(writer, deletion, "database")
    with full.write(ADMIN) as unit:
        done = finish_deletion(unit, deletion)
    assert done.fingerprint == fingerprint_of(done.id, NAME)
    with full.read() as reader:
        assert traces_of(reader, NAME) == {}
        assert unfinished_deletions(reader) == ()
        assert verify_log(reader).bad is None
        assert find_user(reader, ANNA.id) is None
        assert find_user_of(reader, ANNA.issuer, ANNA.subject) is None
        assert [row.tenant_id for row in memberships_of(reader, BOTH.id)] == ["other"]
        assert find_user(reader, CHIEF.id)
        assert len(list_grants(reader, "other")) == 1
        assert [row.user_id for row in list_memberships(reader, "other", Wish()).items] == [BOTH.id]
        assert [row.id for row in list_users(reader, Wish(), tenant_id="other").items] == [BOTH.id]
        assert traces_of(reader, "other").keys() >= {"tenants", "virtual_keys", "memberships", "audit", "key_uses"}
    with full.write_aside() as writer:
        compact_directory(writer, writer.now + dt.timedelta(seconds=1))
    assert scan(migrated, NAME, "Zebra", "anna-zebra", "req-anna", "192.0.2.77", ANNA.id) == []


def scan(database: Database, *words: str) -> list[str]:
    """The words that are still in some row."""
    names = {"sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
             "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"}  # fmt: skip
    tables = [row[0] for row in database.execute(names[database.kind])]
    assert "audit" in tables
    text = "\n".join(str(row) for table in tables for row in database.execute(f"SELECT * FROM {table}"))  # noqa: S608
    return [word for word in words if word in text]


def test_a_blocked_person_is_not_unblocked_by_it(full: Store) -> None:
    blocked = user("blocked", disabled=True)
    write_member(full, NAME, blocked)
    with full.write(ADMIN) as unit:
        deletion = start_deletion(unit, NAME)
    erase_tenant(full, ADMIN, NAME)
    with full.write(ADMIN) as unit:
        finish_deletion(unit, deletion)
    with full.read() as reader:
        found = find_user_of(reader, blocked.issuer, blocked.subject)
        assert found
        assert found.disabled
        assert memberships_of(reader, blocked.id) == ()
        assert traces_of(reader, NAME) == {}


def read(file: Path) -> bytes:
    """What it holds; nothing if the server has removed it meanwhile, as it does with its caches."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def test_the_files_forget_too(full: Store, migrated: Database) -> None:
    with full.write(ADMIN) as unit:
        deletion = start_deletion(unit, NAME)
    erase_tenant(full, ADMIN, NAME)
    with full.write(ADMIN) as unit:
        finish_deletion(unit, deletion)
    with full.write_aside() as writer:
        compact_directory(writer, writer.now + dt.timedelta(seconds=1))
    overwrite_erased(full.engine)
    if isinstance(migrated, SqliteDatabase):
        files = list(migrated.path.parent.glob("control.db*"))
    else:
        assert isinstance(migrated, PostgresDatabase)
        migrated.execute("CHECKPOINT")
        (row,) = migrated.execute("SELECT oid FROM pg_database WHERE datname = current_database()")
        folder = migrated.server.folder / "data" / "base" / str(row[0])
        files = [path for path in folder.iterdir() if path.is_file()]
    assert files
    assert [path.name for path in files if b"anna-zebra" in read(path)] == []


def test_an_erasure_that_was_killed_goes_on(full: Store, migrated: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "AT_ONCE", 1)
    with full.write(ADMIN) as unit:
        start_deletion(unit, NAME)
    for allowed in range(1, 100):
        units = 0

        def count(*_: object, allowed: int = allowed) -> None:
            nonlocal units
            units += 1
            if units > allowed:
                raise InterruptedError

        with monkeypatch.context() as patch:
            patch.setattr(full, "_alone", counted(full, count))
            try:
                erase_tenant(full, ADMIN, NAME)
            except InterruptedError:
                continue
        break
    assert allowed > 2
    with full.read() as reader:
        assert traces_of(reader, NAME) == {"tenant_deletions": 1}
        assert verify_log(reader).bad is None
    with full.write(ADMIN) as unit:
        again = start_deletion(unit, NAME)
    with full.read() as reader:
        assert unfinished_deletions(reader) == (again,)


def counted(store: Store, count):  # noqa: ANN001, ANN201 - the store's own method, with something before it
    alone = store._alone

    def asked():  # noqa: ANN202
        count()
        return alone()

    return asked


def test_a_person_is_forgotten(full: Store, migrated: Database) -> None:
    erase_user(full, ADMIN, ANNA.id)
    with full.read() as reader:
        assert find_user(reader, ANNA.id) is None
        assert verify_log(reader).bad is None
    assert scan(migrated, ANNA.email or "", "192.0.2.77", "req-anna") == [ANNA.email]  # the tenant wrote it down
    with pytest.raises(Missing):
        erase_user(full, ADMIN, ANNA.id)


def test_a_tenant_that_is_being_deleted_is_there_until_it_is_gone(full: Store) -> None:
    with full.write(ADMIN) as unit:
        start_deletion(unit, NAME)
    with pytest.raises(Exists), full.write(ADMIN) as unit:
        insert_tenant(unit, tenant(NAME))


def test_a_tenant_of_the_file_can_be_deleted_too(store: Store) -> None:
    with store.write(ADMIN) as unit:
        insert_key(unit, key("of-the-file"))
        unit.record("key.create", "key", None, tenant_id="of-the-file")
    with store.write(ADMIN) as unit:
        deletion = start_deletion(unit, "of-the-file")
    erase_tenant(store, ADMIN, "of-the-file")
    with store.write(ADMIN) as unit:
        finish_deletion(unit, deletion)
    with store.read() as reader:
        assert traces_of(reader, "of-the-file") == {}
