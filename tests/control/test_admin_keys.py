"""Virtual keys through the admin API: shown once, never wider than their maker, replaced, ended."""

import asyncio
import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest
from admin import DECLARED, PEPPERS, Caller, api
from fastapi import FastAPI

from control.admin_uses import AdminUses
from control.key_uses import UsesTaken
from control.store.keys import find_key, note_uses, uses_of
from control.store.store import Store
from headgate.virtual_key import digest_of, has_checksum

SOON = "2099-01-01T00:00:00Z"


@pytest.fixture
def app(store: Store) -> FastAPI:
    return api(store)


@pytest.fixture
async def admin(app: FastAPI) -> Caller:
    caller = Caller(app)
    await caller.post("/tenants", {"id": "acme", "plan": "starter"})
    for model in ("chat", "big"):
        await caller.put(f"/tenants/acme/grants/{model}")
    return caller


@pytest.fixture
def owner(admin: Caller, app: FastAPI) -> Caller:
    return Caller(app, kind="user", id="user_owner", tenant="acme", role="owner")


async def maker(admin: Caller, **said: Any) -> Caller:
    """Somebody with a key of the tenant's, as the database knows it."""
    made = await admin.post("/tenants/acme/keys", {"name": "maker"} | said)
    assert made.status_code == 201, made.text
    return Caller(admin.app, id=made.json()["id"], tenant="acme", role=made.json()["role"])


def assert_too_wide(answer: Any, *at: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (403, "more_than_yours"), answer.text
    assert [error["at"] for error in answer.json().get("errors", ())] == list(at)


async def test_a_key_is_shown_once_and_only_its_digest_is_kept(admin: Caller, store: Store) -> None:
    said = {"name": "ci", "endpoints": ["chat"], "models": ["big"], "limits": {"rpm": 5}, "metadata": {"a": "b"}}
    made = await admin.post("/tenants/acme/keys", said | {"expires_at": SOON})
    assert made.status_code == 201
    key = made.json().pop("key")
    assert has_checksum(key)
    read = await admin.get(made.headers["location"].removeprefix("/admin/v1"))
    assert read.json() == {name: value for name, value in made.json().items() if name != "key"}
    assert key not in (await admin.get("/tenants/acme/keys")).text
    assert key not in (await admin.get("/audit")).text
    assert key[8:] not in (await admin.get("/audit/export")).text
    with store.read() as reader:
        row = find_key(reader, "acme", read.json()["id"])
    assert row is not None
    assert row.digest == digest_of(key, b"p" * 32)
    assert row.pepper_id == PEPPERS.current
    assert (row.endpoints, row.models, row.role) == (("chat",), ("big",), "developer")
    assert read.json()["prefix"] == key[:8]


async def test_when_a_key_was_last_used(admin: Caller, store: Store) -> None:
    made = (await admin.post("/tenants/acme/keys", {"name": "ci"})).json()
    with store.write_aside() as writer:
        note_uses(writer, {("acme", made["id"]): dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC)})
    (key,) = await admin.all("/tenants/acme/keys")
    assert key["last_used_at"] == "2026-01-02T03:00:00.000Z"


async def test_what_a_key_asks_here_counts_as_its_use(store: Store, tmp_path: Path) -> None:
    uses = AdminUses()
    taken, app = UsesTaken(store, uses, tmp_path), api(store, note_use=uses.note)
    (tmp_path / "ledger").mkdir()
    admin = Caller(app)
    await admin.post("/tenants", {"id": "acme"})
    tenants_own = (await admin.post("/tenants/acme/keys", {"name": "ci", "role": "owner"})).json()["id"]
    platforms = (await admin.post("/keys", {"name": "ops"})).json()["id"]
    gone = (await admin.post("/tenants/acme/keys", {"name": "gone", "role": "owner"})).json()["id"]
    began = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    callers = [Caller(app, id=one, tenant="acme", role="owner") for one in (tenants_own, gone)]
    callers += [Caller(app, id=platforms), Caller(app, id="ci", tenant="filed", role="developer")]
    for caller in (*callers, Caller(app, kind="user", id="user_ann")):
        assert (await caller.get("/me")).status_code == 200
    forged = Caller(app, id=tenants_own, tenant="acme", key=b"x" * 32)
    assert (await forged.get("/me")).status_code == 401
    await admin.delete(f"/tenants/acme/keys/{gone}")
    taken.take_up()
    for path in (f"/tenants/acme/keys/{tenants_own}", f"/keys/{platforms}", "/tenants/filed/keys/ci"):
        assert (await admin.get(path)).json()["last_used_at"] >= began, path
    (listed,) = [one for one in await admin.all("/keys") if one["id"] == platforms]
    assert listed["last_used_at"] >= began
    with store.read() as reader:
        assert uses_of(reader, "acme", [gone]) == {}, "what is revoked, or its tenant deleted, leaves nothing"
        assert uses_of(reader, "", ["user_ann"]) == {}


async def test_a_key_is_changed_and_keeps_what_is_not_named(admin: Caller) -> None:
    made = await admin.post("/tenants/acme/keys", {"name": "ci", "limits": {"rpm": 5}, "expires_at": SOON})
    path = f"/tenants/acme/keys/{made.json()['id']}"
    changed = await admin.patch(path, {"disabled": True, "expires_at": None}, if_match=made.headers["etag"])
    assert (changed.json()["disabled"], changed.json()["expires_at"]) == (True, None)
    assert changed.json()["limits"] == {"rpm": 5}
    assert (await admin.patch(path, {"limits": None})).json()["limits"] is None
    assert (await admin.patch(path, {"role": "owner"})).status_code == 422
    assert (await admin.patch(path, {"name": None})).status_code == 422
    assert (await admin.patch(path, {}, if_match=made.headers["etag"])).status_code == 412


async def test_a_rotated_key_goes_on_for_the_overlap(admin: Caller, store: Store) -> None:
    made = (await admin.post("/tenants/acme/keys", {"name": "ci", "models": ["big"], "expires_at": SOON})).json()
    path = f"/tenants/acme/keys/{made['id']}"
    again = await admin.post(f"{path}/rotate", {"overlap": "2h"})
    fresh = again.json()
    assert again.status_code == 201
    assert fresh["key"] != made["key"]
    assert (fresh["rotated_from"], fresh["models"], fresh["expires_at"]) == (made["id"], ["big"], made["expires_at"])
    old = (await admin.get(path)).json()
    ends = dt.datetime.fromisoformat(old["valid_until"]).timestamp()
    assert 7100 < ends - time.time() < 7300
    assert (await admin.post(f"{path}/rotate", {})).json()["code"] == "already_rotated"
    now = await admin.post(f"/tenants/acme/keys/{fresh['id']}/rotate", {"overlap": "0s"})
    assert now.status_code == 201
    assert (await admin.delete(f"/tenants/acme/keys/{now.json()['id']}")).status_code == 204
    assert (await admin.delete(f"/tenants/acme/keys/{now.json()['id']}")).status_code == 404


async def test_a_key_that_has_ended_has_no_successor(admin: Caller) -> None:
    assert (
        await admin.post("/tenants/acme/keys", {"name": "x", "expires_at": "2020-01-01T00:00:00Z"})
    ).status_code == 422
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.3)
    made = await admin.post("/tenants/acme/keys", {"name": "x", "expires_at": soon.isoformat()})
    assert made.status_code == 201, made.text
    await asyncio.sleep(0.4)
    answer = await admin.post(f"/tenants/acme/keys/{made.json()['id']}/rotate", {})
    assert answer.json()["code"] == "key_ended"


async def test_a_developer_has_its_own_keys_and_knows_of_no_others(admin: Caller, app: FastAPI) -> None:
    other = (await admin.post("/tenants/acme/keys", {"name": "not mine"})).json()["id"]
    developer = Caller(app, kind="user", id="user_dev", role="developer", tenant="acme")
    mine = (await developer.post("/tenants/acme/keys", {"name": "mine"})).json()["id"]
    assert [key["id"] for key in await developer.all("/tenants/acme/keys")] == [mine]
    for path in (f"/tenants/acme/keys/{other}", "/tenants/acme/keys/none"):
        answers = [
            await developer.get(path),
            await developer.patch(path, {"disabled": True}),
            await developer.delete(path),
            await developer.post(f"{path}/rotate", {}),
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert {answer.json()["detail"] for answer in answers} == {"there is no such key"}
    assert (await developer.patch(f"/tenants/acme/keys/{mine}", {"disabled": True})).status_code == 200
    assert (await developer.post(f"/tenants/acme/keys/{mine}/rotate", {})).status_code == 201
    twin = Caller(app, kind="key", id="user_dev", role="developer", tenant="acme")
    assert await twin.all("/tenants/acme/keys") == [], "of the same id, and of another kind"


@pytest.mark.parametrize(("role", "may"), [("owner", True), ("developer", False)])
async def test_keys_have_at_most_the_role_of_who_makes_them(
    app: FastAPI, admin: Caller, role: str, may: bool
) -> None:
    somebody = Caller(app, kind="user", id="user_1", role=role, tenant="acme")
    for wanted in ("owner", "analyst", "read-only"):
        answer = await somebody.post("/tenants/acme/keys", {"name": "x", "role": wanted})
        assert answer.status_code == (201 if may else 403), wanted
        if not may:
            assert answer.json()["code"] == "more_than_yours"
    assert (await somebody.post("/tenants/acme/keys", {"name": "x", "role": "admin"})).status_code == 422


async def test_who_was_made_a_developer_can_not_go_on_by_its_own_owner_key(owner: Caller) -> None:
    key = (await owner.post("/tenants/acme/keys", {"name": "x", "role": "owner"})).json()["id"]
    owner.role = "developer"
    assert (await owner.post(f"/tenants/acme/keys/{key}/rotate", {})).status_code == 403
    assert (await owner.patch(f"/tenants/acme/keys/{key}", {"expires_at": None})).status_code == 403
    assert (await owner.delete(f"/tenants/acme/keys/{key}")).status_code == 204


async def test_a_scoped_key_makes_keys_of_its_scope(admin: Caller) -> None:
    scope: dict[str, Any] = {"endpoints": ["admin", "chat"], "models": ["chat"]}
    somebody = await maker(admin, role="owner", expires_at=SOON, **scope)
    made = (await somebody.post("/tenants/acme/keys", {"name": "x"})).json()
    assert {name: made[name] for name in scope} == scope, "what is not said is the maker's"
    assert made["expires_at"] == "2099-01-01T00:00:00.000Z"
    less = {"endpoints": ["chat"], "models": ["chat"], "limits": {"rpm": 9}, "expires_at": "2098-01-01T00:00:00Z"}
    assert (await somebody.post("/tenants/acme/keys", {"name": "x"} | less)).status_code == 201
    for more, at in (
        ({"endpoints": ["chat", "images"]}, "endpoints"),
        ({"models": ["chat", "big"]}, "models"),
        ({"expires_at": "2099-01-01T00:00:01Z"}, "expires_at"),
    ):
        assert_too_wide(await somebody.post("/tenants/acme/keys", {"name": "x"} | more), at)
    path = f"/tenants/acme/keys/{made['id']}"
    assert_too_wide(await somebody.patch(path, {"models": None, "expires_at": None}), "models", "expires_at")
    assert (await somebody.patch(path, {"name": "y"})).status_code == 200
    assert (await somebody.post(f"{path}/rotate", {})).json()["models"] == ["chat"]


@pytest.mark.parametrize(
    ("bound", "at"),
    [
        ({"endpoints": ["admin"]}, "endpoints"),
        ({"models": ["chat"]}, "models"),
        ({"limits": {"rpm": 10}}, "limits.rpm"),
        ({"expires_at": SOON}, "expires_at"),
    ],
)
async def test_a_scoped_owner_leaves_wider_keys_as_they_are(admin: Caller, bound: dict[str, Any], at: str) -> None:
    somebody = await maker(admin, role="owner", **bound)
    made = (await admin.post("/tenants/acme/keys", {"name": "wide"})).json()
    path = f"/tenants/acme/keys/{made['id']}"
    assert_too_wide(await somebody.patch(path, {"name": "other"}), at)
    assert_too_wide(await somebody.post(f"{path}/rotate", {}), at)
    found = (await admin.get(path)).json()
    assert found == {name: value for name, value in made.items() if name != "key"}, "nothing of it is another"
    assert (await somebody.patch(path, {"disabled": True})).json() == found | {"disabled": True}
    assert_too_wide(await somebody.patch(path, {"disabled": False}), at)
    assert (await admin.patch(path, {"disabled": False} | bound)).status_code == 200
    assert (await somebody.patch(path, {"name": "other"})).status_code == 200
    assert (await somebody.post(f"{path}/rotate", {})).status_code == 201


async def test_a_person_with_limits_makes_no_key_wider_than_these(admin: Caller) -> None:
    user = (await admin.post("/users", {"issuer": "https://id.example", "subject": "ada"})).json()["id"]
    await admin.put(f"/tenants/acme/members/{user}", {"role": "owner"})
    person = Caller(admin.app, kind="user", id=user, role="read-only", memberships={"acme": "owner"})
    mine = (await person.post("/tenants/acme/keys", {"name": "x", "limits": {"rpm": 20}})).json()["id"]
    other = (await admin.post("/tenants/acme/keys", {"name": "x"})).json()["id"]
    await admin.put(f"/tenants/acme/users/{user}/limits", {"limits": {"rpm": 10}})
    assert (await person.patch(f"/tenants/acme/keys/{mine}", {"name": "y"})).status_code == 200
    assert_too_wide(await person.patch(f"/tenants/acme/keys/{mine}", {"limits": {"rpm": 30}}), "limits.rpm")
    assert_too_wide(await person.post(f"/tenants/acme/keys/{other}/rotate", {}), "limits.rpm")


async def test_a_developer_takes_back_nothing_that_an_owner_has_set(admin: Caller, owner: Caller) -> None:
    developer = Caller(admin.app, kind="user", id="user_dev", role="developer", tenant="acme")
    path = f"/tenants/acme/keys/{(await developer.post('/tenants/acme/keys', {'name': 'x'})).json()['id']}"
    bound = {"endpoints": ["chat"], "models": ["chat"], "limits": {"rpm": 10}, "expires_at": SOON}
    assert (await owner.patch(path, bound)).status_code == 200
    for more, at in (
        ({"endpoints": None}, "endpoints"),
        ({"endpoints": ["chat", "images"]}, "endpoints"),
        ({"models": None}, "models"),
        ({"models": ["big"]}, "models"),
        ({"limits": None}, "limits.rpm"),
        ({"limits": {"rpm": 11}}, "limits.rpm"),
        ({"limits": {"tpm": 5}}, "limits.rpm"),
        ({"expires_at": None}, "expires_at"),
        ({"expires_at": "2099-01-01T00:00:01Z"}, "expires_at"),
    ):
        assert_too_wide(await developer.patch(path, more), at)
    less = {"limits": {"rpm": 9, "tpm": 5}, "expires_at": "2098-01-01T00:00:00Z", "disabled": True}
    assert (await developer.patch(path, less)).status_code == 200
    assert (await developer.post(f"{path}/rotate", {})).json()["disabled"] is True
    assert (await developer.patch(path, {"name": "y", "disabled": True})).status_code == 200
    assert_too_wide(await developer.patch(path, {"disabled": False}))
    assert (await owner.patch(path, {"disabled": False})).json()["disabled"] is False


async def test_a_key_with_limits_makes_no_keys_and_replaces_its_own(admin: Caller) -> None:
    """Each key has counters of its own: two keys of ten requests a minute are twenty."""
    somebody = await maker(admin, role="owner", limits={"rpm": 10})
    for said in ({"name": "x"}, {"name": "x", "limits": {"rpm": 1}}):
        answer = await somebody.post("/tenants/acme/keys", said)
        assert (answer.status_code, answer.json()["code"]) == (403, "more_than_yours")
        assert "you have limits of your own" in answer.json()["detail"]
    fresh = await somebody.post(f"/tenants/acme/keys/{somebody.id}/rotate", {})
    assert (fresh.status_code, fresh.json()["limits"]) == (201, {"rpm": 10})


async def test_a_person_with_limits_makes_no_keys_and_replaces_those_there_are(admin: Caller) -> None:
    user = (await admin.post("/users", {"issuer": "https://id.example", "subject": "ada"})).json()["id"]
    await admin.put(f"/tenants/acme/members/{user}", {"role": "owner"})
    person = Caller(admin.app, kind="user", id=user, role="read-only", memberships={"acme": "owner"})
    mine = (await person.post("/tenants/acme/keys", {"name": "x"})).json()["id"]
    assert (await admin.put(f"/tenants/acme/users/{user}/limits", {"limits": {"rpm": 10}})).status_code == 200
    answer = await person.post("/tenants/acme/keys", {"name": "x", "limits": {"rpm": 1}})
    assert (answer.status_code, answer.json()["code"]) == (403, "more_than_yours")
    assert (await person.post(f"/tenants/acme/keys/{mine}/rotate", {})).status_code == 201
    await admin.delete(f"/tenants/acme/users/{user}/limits")
    assert (await person.post("/tenants/acme/keys", {"name": "x"})).status_code == 201


async def test_an_owner_keeps_to_what_the_plan_gives_each_key(owner: Caller, admin: Caller) -> None:
    """starter: 1000 tokens a minute for each key; a key's own limit would take the place of that."""
    for caller, status in ((owner, 403), (admin, 201)):
        answer = await caller.post("/tenants/acme/keys", {"name": "x", "limits": {"tpm": 1001}})
        assert answer.status_code == status
    assert (
        await owner.post("/tenants/acme/keys", {"name": "x", "limits": {"tpm": 999, "rpm": 999}})
    ).status_code == 201
    await admin.put("/tenants/acme/limits", {"limits": {"per": [{"by": ["key"], "tpm": 2000}]}})
    assert (await owner.post("/tenants/acme/keys", {"name": "x", "limits": {"tpm": 1001}})).status_code == 201


async def test_a_yaml_key_with_limits_makes_no_keys(app: FastAPI, admin: Caller) -> None:
    limited = Caller(app, id="ci", role="developer", tenant="filed")
    answer = await limited.post("/tenants/filed/keys", {"name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "more_than_yours")
    gone = Caller(app, id="key_revoked", role="developer", tenant="filed")
    assert (await gone.post("/tenants/filed/keys", {"name": "x"})).status_code == 403


async def test_scopes_name_models_that_the_tenant_has(owner: Caller, admin: Caller) -> None:
    for caller, model, status in (
        (owner, "org/name:8b", 409),
        (owner, "none", 409),
        (admin, "org/name:8b", 201),
        (admin, "none", 409),
    ):
        answer = await caller.post("/tenants/acme/keys", {"name": "x", "models": [model]})
        assert answer.status_code == status
        if status == 409:
            whose = "you have" if caller is owner else "there is"
            assert answer.json()["detail"] == f"{whose} no model {model}"


async def test_the_platforms_keys(admin: Caller) -> None:
    made = await admin.post("/keys", {"name": "ops", "expires_at": SOON})
    assert made.status_code == 201
    key = made.json()
    assert (key["role"], key["managed_by"]) == ("admin", "database")
    assert (await admin.get(f"/tenants/acme/keys/{key['id']}")).status_code == 404
    assert (await admin.patch(f"/keys/{key['id']}", {"name": "other"})).json()["name"] == "other"
    assert (await admin.post("/keys", {"name": "x", "role": "owner"})).status_code == 422
    fresh = (await admin.post(f"/keys/{key['id']}/rotate", {})).json()
    assert [one["id"] for one in await admin.all("/keys", limit=1)] == [key["id"], fresh["id"]]
    assert (await admin.delete(f"/keys/{key['id']}")).status_code == 204


async def test_a_key_pasted_where_it_does_not_belong_is_refused_and_not_quoted(admin: Caller) -> None:
    key = (await admin.post("/tenants/acme/keys", {"name": "x"})).json()["key"]
    for path, said in (
        ("/tenants/acme/keys", {"name": key}),
        ("/tenants/acme/keys", {"name": "x", "metadata": {"note": f"it is {key}"}}),
        ("/tenants", {"id": "other", "display_name": key}),
        ("/tenants", {"id": key}),
        ("/tenants", {"id": "other", key: 1}),
        ("/plans", {"id": "p", "limits": {key: 1}}),
        ("/plans", {"id": "p", "limits": {"rpm": key}}),
    ):
        answer = await admin.post(path, said)
        assert answer.status_code == 422, said
        assert key[8:] not in answer.text, said


def test_the_declared_plan_is_the_one_these_tests_count_on() -> None:
    assert DECLARED.plans["starter"].limits["per"] == [{"by": ["key"], "tpm": 1000}]
