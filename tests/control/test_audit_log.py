"""The audit log: a chain that shows every change to it, that forgets people, and that holds no secret."""

import dataclasses
import datetime as dt
import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from databases import Database
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from rows import ADMIN, user, write_key, write_member, write_tenant

from control import audit_chain
from control.audit_chain import Actor, Entry, Head, entry_of, lines_of, verify
from control.canonical import canonical
from control.masking import document_of
from control.store import audit_log
from control.store.audit_log import entries, head_of, list_entries, piece_ends, verify_log
from control.store.failures import BadCursor
from control.store.paging import Wish
from control.store.store import Store
from control.store.unit import Reader
from headgate.config.secret_refs import SecretRef
from headgate.virtual_key import make_key

BOB = Actor("user", "user_bob", "acme", "192.0.2.7", "req-7")


@pytest.fixture
def log(store: Store) -> Store:
    """Six entries, of two tenants and two actors."""
    write_tenant(store, "acme")
    write_tenant(store, "other")
    write_key(store, "acme", BOB, name="bobs")
    write_key(store, "other")
    write_key(store, None)
    write_member(store, "acme", user())
    return store


def all_of(store: Store) -> list[Entry]:
    with store.read() as reader:
        return list(entries(reader))


def test_what_was_done_is_told(log: Store) -> None:
    first, _, third, *_ = all_of(log)
    assert [entry.seq for entry in all_of(log)] == [1, 2, 3, 4, 5, 6]
    assert (first.action, first.object_kind, first.object_id, first.version) == ("tenant.create", "tenant", "acme", 1)
    assert (first.actor_kind, first.actor_id, first.source, first.request_id) == (
        "key",
        ADMIN.id,
        "192.0.2.1",
        "req-1",
    )
    assert (third.actor_id, third.actor_tenant_id, third.tenant_id) == ("user_bob", "acme", "acme")
    told = json.loads(third.after or "")
    assert (told["name"], told["digest"], told["prefix"]) == ("bobs", "***", "hg-Ab3xy")
    with log.read() as reader:
        verdict = verify_log(reader)
        assert (verdict.entries, verdict.bad, verdict.head) == (6, None, head_of(reader))


def test_the_log_is_asked_by_tenant_actor_and_time(log: Store) -> None:
    with log.read() as reader:
        first = list_entries(reader, Wish(2), tenant_id="acme")
        second = list_entries(reader, Wish(2, first.next), tenant_id="acme")
        assert [entry.seq for entry in (*first.items, *second.items)] == [6, 3, 1]
        assert second.next is None
        assert [entry.seq for entry in list_entries(reader, Wish(), actor_id="user_bob").items] == [3]
        assert [entry.seq for entry in list_entries(reader, Wish(), action="key.create").items] == [5, 4, 3]
        later = all_of(log)[-1].at + dt.timedelta(milliseconds=1)
        assert list_entries(reader, Wish(), since=later).items == ()
        assert len(list_entries(reader, Wish(), until=later).items) == 6
        with pytest.raises(BadCursor):
            list_entries(reader, Wish(2, "WyJrZXlzIiwxXQ"))


CHANGES = [
    "UPDATE audit SET at = at + 1 WHERE seq = 3",
    "UPDATE audit SET action = 'key.revoke' WHERE seq = 3",
    "UPDATE audit SET actor_id = 'user_eve' WHERE seq = 3",
    "UPDATE audit SET actor_salt = NULL WHERE seq = 3",
    "UPDATE audit SET tenant_id = NULL WHERE seq = 3",
    "UPDATE audit SET after = '{}' WHERE seq = 3",
    "UPDATE audit SET version = NULL WHERE seq = 3",
    "UPDATE audit SET seq = 9 WHERE seq = 6",
    "DELETE FROM audit WHERE seq = 6",
    "DELETE FROM audit",
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_database_refuses_to_change_the_log(log: Store, migrated: Database, change: str) -> None:
    before = all_of(log)
    with pytest.raises(Exception, match="append-only"):
        migrated.execute(change)
    assert all_of(log) == before


def test_the_database_refuses_entries_out_of_order(log: Store, migrated: Database) -> None:
    columns = ", ".join(name for name in Entry.__slots__ if name != "seq")
    for seq in (3, 8, 0):
        with pytest.raises(Exception, match="append-only"):
            migrated.execute(f"INSERT INTO audit (seq, {columns}) SELECT {seq}, {columns} FROM audit WHERE seq = 1")  # noqa: S608
    if migrated.kind == "sqlite":
        with pytest.raises(Exception, match="append-only"):
            migrated.execute("INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 3")
    else:
        with pytest.raises(Exception, match="append-only"):
            migrated.execute("TRUNCATE audit")


def test_an_entry_that_says_what_was_dropped_keeps_its_subject(log: Store, migrated: Database) -> None:
    while True:
        with log.write(ADMIN) as unit:
            if not audit_log.drop_parts_of_tenant(unit, "acme"):
                break
    nothing = ", ".join(f"{name} = NULL" for name in ("tenant_id", "object_id", "before", "after", "subject_salt"))
    with pytest.raises(Exception, match="append-only"):
        migrated.execute(f"UPDATE audit SET {nothing} WHERE action = 'audit.erase'")  # noqa: S608


def without_triggers(database: Database, *statements: str) -> None:
    """As somebody who owns the database may do."""
    if database.kind == "sqlite":
        triggers = [f"DROP TRIGGER {name}" for name in ("audit_insert", "audit_update", "audit_delete")]
    else:
        triggers = ["ALTER TABLE audit DISABLE TRIGGER USER"]
    database.execute(*triggers, *statements)


NO_ACTOR = "actor_id = NULL, actor_tenant_id = NULL, source = NULL, request_id = NULL, actor_salt = NULL"
FORGED = [
    (3, "UPDATE audit SET at = at + 1 WHERE seq = 3", "its hash is another"),
    (3, "UPDATE audit SET action = 'key.revoke' WHERE seq = 3", "its hash is another"),
    (3, "UPDATE audit SET actor_id = 'user_eve' WHERE seq = 3", "actor was changed"),
    (3, "UPDATE audit SET source = NULL WHERE seq = 3", "actor was changed"),
    (3, "UPDATE audit SET after = '{}' WHERE seq = 3", "subject was changed"),
    (3, "UPDATE audit SET object_id = NULL WHERE seq = 3", "subject was changed"),
    (3, "UPDATE audit SET actor_salt = NULL WHERE seq = 3", "after it was dropped"),
    (3, f"UPDATE audit SET {NO_ACTOR} WHERE seq = 3", "its actor is missing, and no audit.erase entry says so"),  # noqa: S608
    (3, "UPDATE audit SET previous = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 3", "does not follow"),
    (4, "DELETE FROM audit WHERE seq = 3", "entries between them are missing"),
    (2, "DELETE FROM audit WHERE seq = 1", "entries between them are missing"),
]


@pytest.mark.parametrize(("seq", "change", "problem"), FORGED)
def test_a_forged_entry_is_named(log: Store, migrated: Database, seq: int, change: str, problem: str) -> None:
    without_triggers(migrated, change)
    with log.read() as reader:
        bad = verify_log(reader).bad
    assert bad
    assert bad.seq == seq
    assert problem in bad.problem


def test_a_cut_log_is_known_by_its_noted_head(log: Store, migrated: Database) -> None:
    with log.read() as reader:
        head = head_of(reader)
        assert verify_log(reader, head).bad is None
        assert verify_log(reader, Head(3, all_of(log)[2].hash)).bad is None
    without_triggers(migrated, "DELETE FROM audit WHERE seq > 4")
    with log.read() as reader:
        assert verify_log(reader).bad is None  # nothing in the log itself tells
        bad = verify_log(reader, head).bad
    assert bad
    assert (bad.seq, "ends before" in bad.problem) == (5, True)


def test_a_rewritten_log_is_known_by_its_noted_head(log: Store) -> None:
    forged = list(rehashed(all_of(log), 2, actor_kind="system"))
    with log.read() as reader:
        head = head_of(reader)
    assert verify(forged).bad is None
    bad = verify(forged, head).bad
    assert bad
    assert (bad.seq, "rewritten" in bad.problem) == (6, True)


def rehashed(told: list[Entry], seq: int, **change: Any) -> Iterator[Entry]:
    """The log as a forger would write it who knows how the hashes are made."""
    previous = bytes(32)
    for entry in told:
        changed = dataclasses.replace(entry, previous=previous, **(change if entry.seq == seq else {}))
        changed = dataclasses.replace(changed, hash=audit_chain.hash_of(changed))
        previous = changed.hash
        yield changed


def test_a_tenant_is_forgotten_and_the_chain_holds(
    log: Store, migrated: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "AT_ONCE", 2)
    with log.read() as reader:
        head = head_of(reader)
    dropped = []
    while not dropped or dropped[-1]:
        with log.write(ADMIN) as unit:
            dropped.append(audit_log.drop_parts_of_tenant(unit, "acme"))
    assert dropped == [2, 2, 0]  # bob's part of one entry, and the subjects of three
    with log.read() as reader:
        assert verify_log(reader, head).bad is None
        assert list_entries(reader, Wish(), tenant_id="acme").items == ()
    told = all_of(log)
    assert [entry.seq for entry in told if entry.actor_salt is None] == [3]
    assert [entry.seq for entry in told if entry.subject_salt is None] == [1, 3, 6]
    assert (told[0].actor_id, told[0].action) == (ADMIN.id, "tenant.create")
    assert told[3].tenant_id == "other"
    assert not any("acme" in str(row) or "bob" in str(row) for row in migrated.execute("SELECT * FROM audit"))


def test_nothing_that_was_dropped_can_be_put_back(log: Store, migrated: Database) -> None:
    with log.write(ADMIN) as unit:
        audit_log.drop_parts_of_tenant(unit, "acme")
    without_triggers(migrated, "UPDATE audit SET tenant_id = 'forged' WHERE seq = 1")
    with log.read() as reader:
        bad = verify_log(reader).bad
    assert bad
    assert bad.seq == 1


def test_the_export_is_the_log(log: Store) -> None:
    lines = list(lines_of(all_of(log)))
    assert [entry_of(line) for line in lines] == all_of(log)
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert verify(entry_of(line) for line in lines).bad is None
    told = json.loads(lines[2])
    assert told["at"] == all_of(log)[2].at.isoformat(timespec="milliseconds")
    with log.read() as reader:
        assert [entry.seq for entry in entries(reader, tenant_id="acme")] == [1, 3, 6]


def test_no_piece_of_a_read_is_large_whatever_entries_hold(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier version wrote of a change may be 65 kB, twice."""
    large = {"notes": "ü" * 65_000}
    with store.write(ADMIN) as unit:
        for at in range(40):
            unit.record("test.large", "test", str(at), before=large, after=large)
        unit.record("test.larger", "test", "larger", after={"notes": "x" * 3_000_000})
        for at in range(2500):
            unit.record("test.small", "test", str(at))
    asked: list[int] = []
    measured: list[Any] = []
    read = Reader.rows

    def rows(self: Reader, statement: Any) -> Any:
        found = read(self, statement)
        if found and hasattr(found[0], "before"):
            asked.append(sum(len(row.before or "") + len(row.after or "") for row in found))
        else:
            measured.append(found)
        return found

    monkeypatch.setattr(Reader, "rows", rows)
    with store.read() as reader:
        assert [entry.seq for entry in entries(reader)] == list(range(1, 2542))
    assert sum(map(len, measured)) == 2541, "how long an entry is, is asked once"
    *_, largest = sorted(asked)
    assert largest == len('{"notes":""}') + 3_000_000, "one entry alone may be longer"
    assert sorted(asked)[-2] <= 2**20
    assert len(asked) == 8, "small ones are read many at once"
    with store.read() as reader:
        assert piece_ends(reader) == [8, 16, 24, 32, 40, 41, 2000]
        assert piece_ends(reader, after=2000) == [2541]
        assert piece_ends(reader, after=2541) == []


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'{"seq": 1}', b"\xff"])
def test_what_is_no_line_of_an_export_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="no line"):
        entry_of(line)


def test_secrets_are_masked_by_their_type() -> None:
    key = make_key()
    value = {
        "digest": b"1234",
        "ref": SecretRef("env", "OPENAI_API_KEY"),
        "typed": SecretStr("hunter2"),
        "said": f"my key is {key}!",
        key: 1,
        "usd": Decimal("0.10"),
        "at": dt.datetime(2027, 1, 31, 13, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        "many": (1, None, True, [memoryview(b"x")]),
    }
    assert document_of(value) == {
        "digest": "***",
        "ref": "***",
        "typed": "***",
        "said": "my key is hg-***!",
        "hg-***": 1,
        "usd": "0.10",
        "at": "2027-01-31T12:00:00.000Z",
        "many": [1, None, True, ["***"]],
    }
    with pytest.raises(TypeError, match="takes no object"):
        document_of({"new": object()})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(JSON)
def test_canonical_json_is_json_and_the_same_for_the_same_value(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text
    assert canonical(_turned(value)) == text


def _turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _turned(item) for key, item in reversed(value.items())}
    return [_turned(item) for item in value] if isinstance(value, list) else value


def test_canonical_json_is_that_of_rfc_8785() -> None:
    # Section 3.2.3: keys in the order of their UTF-16 code units, so that an emoji is before U+FB33.
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    text = canonical(dict(zip(keys, itertools.count(), strict=False)))
    assert list(json.loads(text)) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert (
        canonical({"a": '"\\\b\f\n\r\t\x0f\u2028/é'}) == b'{"a":"\\"\\\\\\b\\f\\n\\r\\t\\u000f\xe2\x80\xa8/\xc3\xa9"}'
    )


@pytest.mark.parametrize("value", [0.5, 2**53, {1: 2}, b"x", "\ud800", {"\ud800": 1}, float("nan"), {1, 2}])
def test_what_has_no_canonical_json_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"canonical|text"):
        canonical(value)
