"""Tenants, plans, grants, limits, members and people through the admin API: made, changed, removed, recorded."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from admin import DECLARED, Caller, api
from databases import Database
from fastapi import FastAPI

from control.credentials import Credentials
from control.directory_rows import changes_of
from control.store.audit_log import list_entries
from control.store.changes import whole_directory
from control.store.paging import Wish
from control.store.store import Store
from control.store.values import Tenant
from control.wrapping import LocalKeys
from headgate.declared import DeclaredProvider
from headgate.directory.rows import TenantEntry, row_of


def actions(store: Store) -> list[tuple[str, str | None, str | None]]:
    with store.read() as reader:
        page = list_entries(reader, Wish(100))
    return [(entry.action, entry.tenant_id, entry.request_id) for entry in reversed(page.items)]


async def test_a_tenant_from_its_making_to_its_deletion(app: FastAPI, admin: Caller, store: Store) -> None:
    made = await admin.post("/tenants", {"id": "acme", "plan": "starter", "zones": ["eu"], "metadata": {"ort": "ü"}})
    assert made.status_code == 201
    assert made.headers["location"] == "/admin/v1/tenants/acme"
    assert made.json()["managed_by"] == "database"
    assert (made.json()["store_prompts"], made.json()["usage_retention"]) == (False, None)
    read = await admin.get("/tenants/acme")
    assert read.json() == made.json()
    assert read.headers["etag"] == made.headers["etag"]
    change = {"store_prompts": True, "plan": None, "display_name": "Acme & Söhne", "usage_retention": "400d"}
    changed = await admin.patch("/tenants/acme", change, if_match=read.headers["etag"])
    assert changed.status_code == 200, changed.text
    assert changed.json() | {"updated_at": ""} == read.json() | change | {"updated_at": ""}
    assert changed.headers["etag"] != read.headers["etag"]
    same = await admin.patch("/tenants/acme", change)
    assert same.headers["etag"] == changed.headers["etag"], "nothing has changed, so nothing was written"
    stale = await admin.patch("/tenants/acme", {"disabled": True}, if_match=read.headers["etag"])
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert (await admin.delete("/tenants/acme", if_match=read.headers["etag"])).status_code == 412
    assert (await admin.post("/tenants", {"id": "acme"})).json()["code"] == "exists"
    gone = await admin.delete("/tenants/acme")
    assert gone.status_code == 202
    deletion = gone.json()["id"]
    assert gone.headers["location"] == f"/admin/v1/deletions/{deletion}"
    assert (await admin.get("/tenants/acme")).json()["deleting_at"] is not None
    for path, said in (("/tenants/acme/keys", {"name": "x"}), ("/tenants", {"id": "acme"})):
        refused = await admin.post(path, said)
        assert (refused.status_code, refused.json()["code"]) == (409, "tenant_deleting")
    assert (await admin.delete("/tenants/acme")).json()["id"] == deletion, "asked for twice, done once"
    assert app.state.service.deletions.work() == 0
    done = (await admin.get(f"/deletions/{deletion}")).json()
    assert (done["tenant"], done["done"], done["finished_at"] is None) == (None, ["database"], False)
    assert (await admin.get("/tenants/acme")).status_code == 404
    assert (await admin.delete("/tenants/acme")).status_code == 404
    told = [action for action, _, request in actions(store) if request == "req-1"]
    assert told == ["tenant.create", "tenant.update", "tenant.delete"]
    assert (await admin.get("/audit/verify")).json()["bad"] is None


async def test_a_tenant_that_gateway_yaml_had_once_can_be_deleted_for_what_it_left(
    app: FastAPI, admin: Caller
) -> None:
    assert (await admin.post("/tenants/filed/keys", {"name": "left"})).status_code == 201
    assert (await admin.delete("/tenants/filed")).json()["code"] == "managed_by_file"
    later = Caller(api(app.state.service.store, type(DECLARED)(8)))
    assert (await later.get("/tenants/filed")).status_code == 404
    assert (await later.delete("/tenants/filed")).status_code == 202
    assert (await later.delete("/tenants/never-there")).status_code == 404


@pytest.mark.parametrize("said", ["0d", "3651d", "24h", "01d", 400, "", " 1d", "1d\n"])
async def test_a_retention_is_whole_days_within_ten_years(admin: Caller, said: Any) -> None:
    made = await admin.post("/tenants", {"id": "acme", "usage_retention": said})
    assert made.status_code == 422
    assert made.json()["errors"][0]["at"] == "usage_retention"
    assert made.json()["errors"][0]["expected"] == "whole days such as 400d, from 1d to 3650d"


async def test_a_retention_is_in_the_directory_and_can_be_taken_back(admin: Caller, store: Store) -> None:
    async def told() -> int | None:
        with store.read() as reader:
            (row,) = [row for some in whole_directory(reader) for row in some if isinstance(row, Tenant)]
        (change,) = changes_of((row,))
        entry = row_of(change)
        assert isinstance(entry, TenantEntry)
        return entry.usage_retention_days

    await admin.post("/tenants", {"id": "acme", "usage_retention": "3650d"})
    assert await told() == 3650
    taken = await admin.patch("/tenants/acme", {"usage_retention": None})
    assert (taken.status_code, taken.json()["usage_retention"], await told()) == (200, None, None)


async def test_what_gateway_yaml_declares_is_shown_and_read_only(admin: Caller) -> None:
    tenant = (await admin.get("/tenants/filed")).json()
    assert (tenant["managed_by"], tenant["plan"], tenant["created_at"]) == ("file", "starter", None)
    assert (tenant["store_prompts"], tenant["usage_retention"]) == (True, "30d")
    assert (await admin.get("/tenants/filed/limits")).json()["limits"] == {"rpm": 90}
    assert [one["model"] for one in await admin.all("/tenants/filed/grants")] == ["chat"]
    keys = await admin.all("/tenants/filed/keys")
    assert [(key["id"], key["managed_by"], key["role"], key["disabled"]) for key in keys] == [
        ("ci", "file", "developer", False),
        ("old", "file", "developer", True),
    ]
    assert keys[1]["expires_at"] == "2027-01-15T08:00:00.000Z"
    assert (await admin.get("/tenants/filed/keys/ci")).json() == keys[0]
    assert (await admin.get("/plans/starter")).json()["managed_by"] == "file"
    refused: dict[str, Any] = {
        "tenants.filed": await admin.patch("/tenants/filed", {"disabled": True}),
        "tenants.filed.models": await admin.put("/tenants/filed/grants/big"),
        "tenants.filed.limits": await admin.put("/tenants/filed/limits", {"limits": {"rpm": 1}}),
        "tenants.filed.keys": await admin.delete("/tenants/filed/keys/ci"),
        "plans.starter": await admin.patch("/plans/starter", {"limits": {}}),
    }
    refused["tenants.filed "] = await admin.post("/tenants", {"id": "filed"})
    for place, answer in refused.items():
        assert (answer.status_code, answer.json()["code"]) == (409, "managed_by_file"), place
        assert answer.json()["detail"] == f"this is declared in gateway.yaml: edit {place.strip()} there"
    made = await admin.post("/tenants/filed/keys", {"name": "more", "models": ["chat"]})
    assert made.status_code == 201, "keys of such a tenant may be made here"
    assert [key["managed_by"] for key in await admin.all("/tenants/filed/keys", limit=1)] == [
        "file",
        "file",
        "database",
    ]


async def test_a_row_in_the_shadow_of_gateway_yaml_is_not_shown(store: Store) -> None:
    before = Caller(api(store, type(DECLARED)(6)))
    assert (await before.post("/tenants", {"id": "filed", "disabled": True})).status_code == 201
    after = Caller(api(store))
    assert [(one["id"], one["managed_by"]) for one in await after.all("/tenants", limit=1)] == [("filed", "file")]
    assert (await after.get("/tenants?disabled=true")).json()["data"] == []
    assert (await after.get("/tenants/filed")).json()["disabled"] is False


async def test_plans_are_made_used_and_removed_when_nobody_has_them(admin: Caller) -> None:
    limits = {
        "rpm": 60,
        "monthly_usd": 12.5,
        "tpm": {"limit": 5000, "soft": 4000},
        "per": [{"by": ["key"], "rpm": 6}],
    }
    made = await admin.post("/plans", {"id": "gold", "limits": limits, "zones": ["eu"]})
    assert made.status_code == 201, made.text
    assert made.json()["limits"] == limits | {"monthly_usd": "12.5"}
    assert (await admin.post("/tenants", {"id": "acme", "plan": "gold"})).status_code == 201
    assert (await admin.get("/tenants/acme/limits")).json()["plan_limits"] == made.json()["limits"]
    changed = await admin.patch("/plans/gold", {"limits": {"rpm": 61}}, if_match=made.headers["etag"])
    assert (changed.json()["limits"], changed.json()["zones"]) == ({"rpm": 61}, ["eu"])
    assert (await admin.patch("/plans/gold", {"limits": {}}, if_match=made.headers["etag"])).status_code == 412
    assert (await admin.delete("/plans/gold")).json()["code"] == "in_use"
    assert (await admin.patch("/tenants/acme", {"plan": None})).status_code == 200
    assert (await admin.delete("/plans/gold")).status_code == 204
    unknown = await admin.patch("/tenants/acme", {"plan": "gold"})
    assert (unknown.status_code, unknown.json()["code"]) == (409, "unknown_plan")


@pytest.mark.parametrize(
    ("limits", "at", "expected", "found"),
    [
        ({"rpm": 0}, "limits.rpm", "a whole number of at least 1", "0"),
        (
            {"rpm": "many"},
            "limits.rpm",
            "a whole number, a mapping or, in tenants.<name>.limits, unlimited",
            '"many"',
        ),
        ({"rpn": 1}, "limits", 'a known key (did you mean "rps"?)', '"rpn"'),
        ({"tpm": {"limit": 5, "soft": 9}}, "limits.tpm.soft", "less than the limit of 5", "9"),
        ({"per": [{"by": ["model"]}]}, "limits.per[0]", None, None),
        ({"rpm": None}, "limits.rpm", "a value, or no such member", "nothing"),
        ({"rpm": "unlimited"}, "limits.rpm", None, None),
    ],
)
async def test_limits_are_checked_as_in_gateway_yaml(
    admin: Caller, limits: dict[str, Any], at: str, expected: str | None, found: str | None
) -> None:
    answer = await admin.post("/plans", {"id": "gold", "limits": limits})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["at"] == at
    if expected:
        assert (error["expected"], error["found"]) == (expected, found)


async def test_limits_of_a_tenant_and_of_a_member(admin: Caller) -> None:
    await admin.post("/tenants", {"id": "acme"})
    assert (await admin.get("/tenants/acme/limits")).json()["limits"] == {}
    one = await admin.put("/tenants/acme/limits", {"limits": {"rpm": 5, "tpm": "unlimited"}})
    assert (one.status_code, one.json()["limits"]) == (200, {"rpm": 5, "tpm": "unlimited"})
    two = await admin.put("/tenants/acme/limits", {"limits": {"rpm": 6}}, if_match=one.headers["etag"])
    assert two.json()["limits"] == {"rpm": 6}
    assert (await admin.put("/tenants/acme/limits", {"limits": {}}, if_match=one.headers["etag"])).status_code == 412
    assert (await admin.delete("/tenants/acme/limits")).status_code == 204
    assert (await admin.delete("/tenants/acme/limits")).status_code == 404
    user = (await admin.post("/users", {"issuer": "https://id.example", "subject": "ada"})).json()["id"]
    path = f"/tenants/acme/users/{user}/limits"
    assert (await admin.put(path, {"limits": {"rpm": 1}})).status_code == 404, "no member"
    await admin.put(f"/tenants/acme/members/{user}", {"role": "developer"})
    assert (await admin.get(path)).json()["limits"] == {}
    assert (await admin.put(path, {"limits": {"rpm": 1}})).json()["limits"] == {"rpm": 1}
    assert (await admin.put(path, {"limits": {"per": []}})).status_code == 422
    assert (await admin.delete(path)).status_code == 204


async def test_grants_name_models_that_there_are(admin: Caller) -> None:
    await admin.post("/tenants", {"id": "acme"})
    path = "/tenants/acme/grants/org/name:8b"
    assert [(await admin.put(path)).status_code for _ in range(2)] == [201, 200]
    assert (await admin.put("/tenants/acme/grants/none")).status_code == 404
    assert [one["model"] for one in await admin.all("/tenants/acme/grants")] == ["org/name:8b"]
    assert [(await admin.delete(path)).status_code for _ in range(2)] == [204, 404]


async def test_people_and_their_roles(admin: Caller, app: FastAPI) -> None:
    await admin.post("/tenants", {"id": "acme"})
    said = {"issuer": "https://id.example", "subject": "ada", "email": "ada@example.org"}
    made = await admin.post("/users", said)
    user = made.json()["id"]
    assert (await admin.post("/users", said)).json()["code"] == "exists"
    assert (await admin.patch(f"/users/{user}", {"email": None, "disabled": True})).json()["disabled"] is True
    owner = Caller(app, kind="user", id="user_o", role="owner", tenant="acme")
    refused = [await owner.put(f"/tenants/acme/members/{one}", {"role": "analyst"}) for one in (user, "user_none")]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(403, "role_not_allowed")] * 2
    assert len({answer.json()["detail"] for answer in refused}) == 1, "it says nothing of who is a person here"
    assert (await admin.put(f"/tenants/acme/members/{user}", {"role": "analyst"})).status_code == 201
    assert (await admin.put("/tenants/acme/members/user_none", {"role": "owner"})).status_code == 404
    assert (await owner.put(f"/tenants/acme/members/{user}", {"role": "owner"})).json()["role"] == "owner"
    assert (await owner.put(f"/tenants/acme/members/{user}", {"role": "admin"})).status_code == 422
    assert [one["user"] for one in await owner.all("/tenants/acme/members")] == [user]
    assert (await admin.get(f"/users/{user}")).json()["memberships"] == {"acme": "owner"}
    assert [one["id"] for one in await admin.all("/users?tenant=acme")] == [user]
    assert (await owner.delete(f"/tenants/acme/members/{user}")).status_code == 204
    assert (await admin.delete(f"/users/{user}")).status_code == 204
    assert (await admin.get(f"/users/{user}")).status_code == 404
    entries = (await admin.get("/audit?object=" + user)).json()["data"]
    assert all(entry["before"] is None for entry in entries), "what the log had of the person went along"


@pytest.mark.parametrize(
    ("bound", "status"),
    [
        ({}, 200),
        ({"endpoints": ["admin"]}, 403),
        ({"models": ["chat"]}, 403),
        ({"limits": {"rpm": 5}}, 403),
        ({"expires_at": "2099-01-01T00:00:00Z"}, 403),
    ],
)
async def test_a_key_with_bounds_makes_nobody_an_owner(admin: Caller, bound: dict[str, Any], status: int) -> None:
    await admin.post("/tenants", {"id": "acme"})
    user = (await admin.post("/users", {"issuer": "https://id.example", "subject": "ada"})).json()["id"]
    path = f"/tenants/acme/members/{user}"
    await admin.put(path, {"role": "developer"})
    key = (await admin.post("/tenants/acme/keys", {"name": "x", "role": "owner"} | bound)).json()["id"]
    somebody = Caller(admin.app, id=key, tenant="acme", role="owner")
    answer = await somebody.put(path, {"role": "owner"})
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "more_than_yours"
    assert (await somebody.delete(path)).status_code == (403 if status == 403 else 204)


async def test_members_see_the_tenants_that_they_are_of(admin: Caller, app: FastAPI) -> None:
    for name in ("a", "b", "c"):
        await admin.post("/tenants", {"id": name, "disabled": name == "c"})
    person = Caller(app, kind="user", id="user_1", role="analyst", memberships={"c": "owner", "a": "analyst"})
    assert [one["id"] for one in await person.all("/tenants", limit=1)] == ["a", "c"]
    assert [one["id"] for one in await person.all("/tenants?disabled=false")] == ["a"]
    assert [one["id"] for one in await admin.all("/tenants")] == ["a", "b", "c", "filed"]


async def test_usage_is_what_the_ledger_says(store: Store) -> None:
    asked: list[Any] = []
    answer = {"tenant": "filed", "limits": [], "complete": True, "cut": False, "by_user": True}

    def ask(question: Any) -> Any:
        asked.append(question)
        return answer if question["key"] is None else {"unknown": "key", "name": "x", "known": []}

    somebody = Caller(api(store, ask_ledger=ask), tenant="filed", role="analyst")
    said = (await somebody.get("/tenants/filed/usage?user=ada")).json()
    assert said["by_user"] is True
    assert said["links"]["limits"] == "/admin/v1/tenants/filed/limits"
    assert asked == [{"tenant": "filed", "key": None, "model": None, "user": "ada"}]
    assert (await somebody.get("/tenants/filed/usage?key=x")).status_code == 404
    away = await Caller(api(store)).get("/tenants/filed/usage")
    assert (away.status_code, away.json()["code"]) == (503, "ledger_away")


async def test_models_and_providers_say_nothing_secret(admin: Caller) -> None:
    models = await admin.all("/models", limit=1)
    assert [model["id"] for model in models] == ["big", "chat", "org/name:8b"]
    assert models[0]["targets"] == [{"provider": "local", "model": "llama", "zone": "internal"}]
    (provider,) = await admin.all("/providers")
    assert [(one["field"], one["source"]) for one in provider["credentials"]] == [("api_key", "env")]
    assert (await admin.get("/providers/local")).json() == provider
    refused = await admin.put("/providers/local/credentials/api_key", {"secret": "s3cret-of-mine"})
    assert (refused.status_code, "s3cret-of-mine" in refused.text) == (409, False)
    wrong = await admin.put("/providers/local/credentials/api_key", {"secret": 8817263544})
    assert (wrong.status_code, "8817263544" in wrong.text) == (422, False)


async def test_a_credential_is_stored_and_never_shown(store: Store, migrated: Database, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    vault = Credentials(store, [LocalKeys(tmp_path / "identity" / "local-key")], tmp_path / "secrets")
    fields = {"api_key": "stored", "api_keys/b": "stored", "token": "file"}
    provider = DeclaredProvider("openai", "external", ["https://api.example"], credentials=fields)
    admin = Caller(api(store, msgspec.structs.replace(DECLARED, providers={"openai": provider}), vault=vault))
    path = "/providers/openai/credentials"
    early = await admin.put(f"{path}/api_key", {"secret": "sk-first"})
    assert (early.status_code, early.json()["code"]) == (503, "data_key_away")
    vault.prepare()
    made = await admin.put(f"{path}/api_key", {"secret": "sk-first"})
    assert made.json()["source"] == "stored"
    assert (await admin.put(f"{path}/api_keys/b", {"secret": "sk-b"})).status_code == 200
    again = await admin.put(f"{path}/api_key", {"secret": "sk-second"}, if_match=made.headers["etag"])
    assert again.status_code == 200
    assert (await admin.put(f"{path}/api_key", {"secret": "x"}, if_match=made.headers["etag"])).status_code == 412
    assert (await admin.put(f"{path}/token", {"secret": "sk-x"})).json()["code"] == "managed_by_file"
    assert (await admin.put(f"{path}/other", {"secret": "sk-x"})).status_code == 404
    assert (await admin.put("/providers/none/credentials/api_key", {"secret": "sk-x"})).status_code == 404
    read = await admin.get("/providers/openai")
    assert [(one["field"], one["updated_at"] is None) for one in read.json()["credentials"]] == [
        ("api_key", False),
        ("api_keys/b", False),
        ("token", True),
    ]
    vault.write()
    assert (tmp_path / "secrets" / "stored+openai+api_key").read_text() == "sk-second"
    bad = await admin.put(f"{path}/api_key", {"secret": "sk-line\nbreak"})
    assert (bad.status_code, "sk-line" in bad.text) == (422, False)
    assert (await admin.delete(f"{path}/api_key")).status_code == 204
    assert (await admin.delete(f"{path}/api_key")).status_code == 404
    told = [read.text, (await admin.get("/audit")).text, (await admin.get("/audit/export")).text]
    tables = [str(migrated.execute(f"SELECT * FROM {name}")) for name in ("provider_credentials", "audit")]  # noqa: S608
    assert not [text for text in told + tables for secret in ("sk-first", "sk-second", "sk-b") if secret in text]
