"""Adapters over the admin API and by engines' reports: who may, what follows what, and that nobody sees another's."""

import datetime as dt
from dataclasses import replace as replaced
from typing import Any

import pytest
from adapter_rows import HERE, add_version, report, told
from admin import Caller, api
from httpx2 import Response
from msgspec.structs import replace
from rows import ADMIN, write_tenant

from control.adapters.promotions import HOST_IS_AWAY, Promotions
from control.adapters.reports import answer_to
from control.adapters.states import PROMOTED_WITHIN
from control.store.adapters import update_versions, versions_of
from control.store.audit_log import entries, verify_log
from control.store.hosts import note_engines
from control.store.store import Store
from control.store.tenants import insert_grant
from control.store.values import Grant, Host
from headgate.declared import DeclaredTarget

PATH, BOT = "/tenants/acme/adapters", {"name": "bot", "base_model": "chat"}


@pytest.fixture
def admin(store: Store) -> Caller:
    for name in ("acme", "other"):
        write_tenant(store, name)
        with store.write(ADMIN) as unit:
            insert_grant(unit, Grant(tenant_id=name, model="chat", created_by=ADMIN.id))
            insert_grant(unit, Grant(tenant_id=name, model="big", created_by=ADMIN.id))
            unit.record("grant.create", "grant", "chat", tenant_id=name)
    return Caller(api(store, HERE))


def of(admin: Caller, role: str, tenant: str = "acme") -> Caller:
    return Caller(admin.app, id=f"key_{role}", tenant=tenant, role=role)


def states(answer: Response) -> dict[int, tuple[str, int | None, int | None]]:
    assert answer.status_code == 200, answer.text
    versions = answer.json()["versions"]
    return {one["version"]: (one["state"], one["weight"], one["wanted_weight"]) for one in versions}


def waits_for(answer: Response, number: int = 1) -> list[tuple[str, str | None]]:
    return [(host["id"], host["name"]) for host in answer.json()["versions"][number - 1]["waits_for"]]


def code(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_version_is_wanted_until_engines_have_it_and_then_live(admin: Caller, store: Store) -> None:
    developer = of(admin, "developer")
    made = await developer.post(PATH, BOT)
    assert made.status_code == 201
    assert (made.json()["model"], made.json()["versions"]) == ("acme/bot", [])
    number = add_version(store)
    assert states(await developer.post(f"{PATH}/bot/promote", {"version": number})) == {1: ("validated", None, 100)}
    assert report(store, number) is None
    assert states(await developer.get(f"{PATH}/bot")) == {1: ("live", 100, None)}
    second = add_version(store)
    await developer.post(f"{PATH}/bot/promote", {"version": second, "weight": 25})
    assert report(store, second) is None
    assert states(await developer.get(f"{PATH}/bot")) == {1: ("live", 75, None), 2: ("live", 25, None)}
    assert states(await developer.post(f"{PATH}/bot/rollback")) == {1: ("live", 100, None), 2: ("staged", None, None)}
    (listed,) = (await developer.get(PATH)).json()["data"]
    assert [one["engine_name"] for one in listed["versions"]] == ["acme/bot@1-abababab", "acme/bot@2-abababab"]
    with store.read() as reader:
        assert verify_log(reader).bad is None
    done = [one["action"] for one in await admin.all("/audit?tenant=acme&object=acme/bot@2")]
    assert done == ["adapter_version.staged", "adapter_version.live", "adapter_version.wanted"]


async def test_what_engines_can_not_load_stays_where_it_is(admin: Caller, store: Store) -> None:
    await admin.post(PATH, BOT)
    first, second = add_version(store), add_version(store)
    await admin.post(f"{PATH}/bot/promote", {"version": first})
    report(store, first)
    await admin.post(f"{PATH}/bot/promote", {"version": second})
    assert report(store, second, reason="rank 64 is above 16") is None
    answer = await admin.get(f"{PATH}/bot")
    assert states(answer) == {1: ("live", 100, None), 2: ("validated", None, None)}
    assert answer.json()["versions"][1]["failure"] == "rank 64 is above 16"


async def test_a_report_that_changes_nothing_writes_nothing_and_a_wrong_one_is_refused(
    admin: Caller, store: Store
) -> None:
    await admin.post(PATH, BOT)
    number = add_version(store)
    report(store, number)
    with store.read() as reader:
        before = reader.version()
    assert report(store, number) is None
    with store.read() as reader:
        assert reader.version() == before
    assert report(store, number, sha256="cd" * 32) == "version 1 has other weights"
    assert "no such version" in (report(store, 9) or "")
    assert "no such adapter" in (report(store, number, tenant="other") or "")
    assert answer_to(store, Host(id="host_1", name="one"), b"{")[0] == 400


async def test_a_promotion_waits_for_hosts_with_engines_of_its_base_model_and_for_no_other(
    admin: Caller, store: Store
) -> None:
    await admin.post(PATH, BOT)
    number = add_version(store, manifest_sha256="cd" * 32)
    promoted = await admin.post(f"{PATH}/bot/promote", {"version": number})
    assert waits_for(promoted) == []  # nobody has said that it has an engine of the model
    told(store, "host_1")
    told(store, "host_2")
    told(store, "without_engines", bases=())
    told(store, "of_another_model", bases=("big",))
    told(store, "of_other_tenants", elsewhere=("cd" * 32,))
    assert waits_for(await admin.get(f"{PATH}/bot")) == [("host_1", "name of host_1"), ("host_2", "name of host_2")]
    tenants = await of(admin, "owner").get(f"{PATH}/bot")
    assert waits_for(tenants) == [(None, None), (None, None)]  # which ones they are is the operators' to know
    report(store, number)
    assert waits_for(await admin.get(f"{PATH}/bot")) == [("host_2", "name of host_2")]
    assert states(await admin.get(f"{PATH}/bot")) == {1: ("validated", None, 100)}
    report(store, number, host="host_2")
    assert states(await admin.get(f"{PATH}/bot")) == {1: ("live", 100, None)}


async def test_a_live_version_that_nobody_serves_says_so_and_hosts_are_shown_to_operators_alone(
    admin: Caller, store: Store
) -> None:
    async def shown(caller: Caller) -> tuple[str | None, list[str]]:
        found = (await caller.get(f"{PATH}/bot")).json()["versions"][0]
        return found["unserved"], found["staged_on"]

    await admin.post(PATH, BOT)
    number = add_version(store, manifest_sha256="cd" * 32)
    await admin.post(f"{PATH}/bot/promote", {"version": number})
    report(store, number)
    assert await shown(admin) == (None, ["host_1"])
    assert await shown(of(admin, "owner")) == (None, [])
    told(store, "host_1", unserved={"cd" * 32: "no such folder"})
    assert await shown(of(admin, "owner")) == ("no replica has it: no such folder", [])
    told(store, "host_2")
    assert (await shown(admin))[0] == "no replica of 1 of 2 hosts has it: no such folder"
    told(store, "host_1")
    assert (await shown(admin))[0] is None
    for host in ("host_1", "host_2"):
        told(store, host, bases=())
    assert (await shown(admin))[0] == "no engine that loads adapters of its base model is there"
    with store.read() as reader:
        said = [str(entry.after) for entry in entries(reader)]
    assert not [text for text in said if "host_1" in text]


async def test_a_host_that_says_nothing_any_more_is_not_waited_for_until_it_is_back(
    admin: Caller, store: Store
) -> None:
    await admin.post(PATH, BOT)
    first, second = add_version(store), add_version(store)
    promotions = Promotions(store)
    for number in (first, second):
        with store.write_aside() as writer:
            writer.now -= HOST_IS_AWAY
            note_engines(writer, Host(id="host_2", name="two"), ("chat",), (), {})
        await admin.post(f"{PATH}/bot/promote", {"version": number})
        if number == second:
            told(store, "host_2")
        report(store, number)
        promotions.settle()
    assert states(await admin.get(f"{PATH}/bot")) == {1: ("live", 100, None), 2: ("validated", None, 100)}
    assert waits_for(await admin.get(f"{PATH}/bot"), second) == [("host_2", "name of host_2")]
    with store.write_aside() as writer:
        writer.now -= HOST_IS_AWAY
        note_engines(writer, Host(id="host_2", name="two"), ("chat",), (), {})
    promotions.settle()  # what host_1 has said is known, and need not be said again
    assert states(await admin.get(f"{PATH}/bot")) == {1: ("staged", None, None), 2: ("live", 100, None)}


@pytest.mark.parametrize(
    ("there", "why"),
    [(("host_1", "host_2"), "engines of 1 of 2 hosts did not have it within 15 minutes"), ((), "no engine")],
)
async def test_a_promotion_has_failed_when_its_time_is_over_and_what_was_live_stays(
    admin: Caller, store: Store, there: tuple[str, ...], why: str
) -> None:
    await admin.post(PATH, BOT)
    first, second = add_version(store), add_version(store)
    await admin.post(f"{PATH}/bot/promote", {"version": first})
    report(store, first, host="gone")
    with store.write_aside() as writer:
        writer.now -= HOST_IS_AWAY
        note_engines(writer, Host(id="gone", name="gone"), ("chat",), (), {})
    promoted = await admin.post(f"{PATH}/bot/promote", {"version": second})
    until = dt.datetime.fromisoformat(promoted.json()["versions"][1]["wanted_until"])
    assert dt.timedelta(0) < until - dt.datetime.now(dt.UTC) <= PROMOTED_WITHIN
    for host in there:
        told(store, host)
    if there:
        report(store, second)
    promotions = Promotions(store)
    promotions.settle()
    assert states(await admin.get(f"{PATH}/bot"))[second] == ("validated", None, 100)
    with store.write(ADMIN) as unit:
        unit.now -= PROMOTED_WITHIN
        version = versions_of(unit, "acme", "bot")[1]
        update_versions(unit, (replaced(version, wanted_at=unit.now),))
        unit.record("test.time", "adapter", None)
    promotions.settle()
    answer = await admin.get(f"{PATH}/bot")
    assert states(answer) == {first: ("live", 100, None), second: ("validated", None, None)}
    assert answer.json()["versions"][1]["failure"].startswith(why)
    again = await admin.post(f"{PATH}/bot/promote", {"version": second})
    assert states(again)[second] == ("validated", None, 100)


async def test_states_refuse_what_does_not_follow(admin: Caller, store: Store) -> None:
    await admin.post(PATH, BOT)
    bad, good = add_version(store, valid=False), add_version(store)
    refused = await admin.post(f"{PATH}/bot/promote", {"version": bad})
    assert code(refused) == (409, "wrong_state")
    assert "a pickle" in refused.json()["detail"]
    assert code(await admin.post(f"{PATH}/bot/promote", {"version": 9})) == (404, "not_found")
    assert code(await admin.post(f"{PATH}/bot/promote", {"version": good, "weight": 5})) == (
        409,
        "nothing_to_share_with",
    )
    assert code(await admin.post(f"{PATH}/bot/promote", {"version": good, "weight": 0})) == (422, "invalid_request")
    assert code(await admin.post(f"{PATH}/bot/rollback")) == (409, "nothing_to_roll_back")
    assert code(await admin.delete(f"{PATH}/bot")) == (409, "in_use")
    assert states(await admin.post(f"{PATH}/bot/versions/{good}/retire"))[good] == ("retired", None, None)
    assert code(await admin.post(f"{PATH}/bot/versions/{good}/retire")) == (409, "wrong_state")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (BOT | {"base_model": "big"}, (409, "no_engine")),
        (BOT | {"base_model": "org/name:8b"}, (409, "unknown_model")),
        (BOT | {"base_model": "nothing"}, (409, "unknown_model")),
        ({"name": "taken", "base_model": "chat"}, (409, "exists")),
        (BOT | {"name": "a/b"}, (422, "invalid_request")),
        (BOT | {"name": "x" * 64}, (422, "invalid_request")),
        (BOT | {"version": 1}, (422, "invalid_request")),
    ],
)
async def test_an_adapter_has_a_name_and_a_base_model_of_its_tenants(
    admin: Caller, said: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert code(await admin.post(PATH, said)) == expected


async def test_an_adapter_needs_an_engine_that_its_tenants_requests_may_come_to(store: Store) -> None:
    own = {"chat": [DeclaredTarget("elsewhere", "llama", "internal")]}
    filed = {"filed": replace(HERE.tenants["filed"], targets=own)}
    write_tenant(store, "acme")
    admin = Caller(api(store, replace(HERE, tenants=filed)))
    await admin.put("/tenants/acme/grants/chat")
    assert code(await admin.post("/tenants/filed/adapters", BOT)) == (409, "no_engine")
    assert (await admin.post(PATH, BOT)).status_code == 201
    number = add_version(store)
    assert (await admin.patch("/tenants/acme", {"zones": ["eu"]})).status_code == 200
    refused = await admin.post(f"{PATH}/bot/promote", {"version": number})
    assert code(refused) == (409, "no_engine")
    assert "acme reaches" in refused.json()["detail"]
    assert code(await admin.post(PATH, BOT | {"name": "other"})) == (409, "no_engine")


async def test_roles(admin: Caller) -> None:
    for role, may in (("owner", 201), ("developer", 201), ("analyst", 403), ("read-only", 403)):
        assert (await of(admin, role).post(PATH, BOT | {"name": role})).status_code == may
        assert (await of(admin, role).get(PATH)).status_code == 200
    assert code(await of(admin, "owner").post("/tenants/shared/adapters", BOT)) == (403, "role_not_allowed")
    assert code(await of(admin, "owner").get("/tenants/shared/adapters")) == (403, "role_not_allowed")


async def test_nobody_sees_or_changes_another_tenants(admin: Caller, store: Store) -> None:
    await admin.post(PATH, BOT)
    add_version(store)
    stranger = of(admin, "owner", "other")
    for answer in (await stranger.get(PATH), await stranger.post(f"{PATH}/bot/promote", {"version": 1})):
        assert code(answer) == (403, "role_not_allowed")
    assert (await stranger.get("/tenants/other/adapters")).json()["data"] == []
    assert code(await stranger.get("/tenants/other/adapters/bot")) == (404, "not_found")
    assert code(await stranger.post("/tenants/other/adapters/bot/rollback")) == (404, "not_found")


async def test_shared_ones_are_granted_by_the_platform(admin: Caller) -> None:
    grant = "/tenants/acme/grants/shared/writer"
    assert code(await admin.put(grant)) == (404, "not_found")
    made = await admin.post("/tenants/shared/adapters", {"name": "writer", "base_model": "chat"})
    assert (made.status_code, made.json()["model"]) == (201, "shared/writer")
    assert (await admin.put(grant)).status_code == 201
    assert code(await admin.post("/tenants", {"id": "shared"})) == (409, "exists")


async def test_a_keys_models_may_name_the_tenants_adapters(admin: Caller) -> None:
    await admin.post(PATH, BOT)
    keys = "/tenants/acme/keys"
    made = await admin.post(keys, {"name": "bot", "models": ["acme/bot"]})
    assert (made.status_code, made.json().get("models")) == (201, ["acme/bot"]), made.text
    for model in ("acme/none", "other/bot"):
        assert code(await admin.post(keys, {"name": "no", "models": [model]})) == (409, "unknown_model")


async def test_it_is_done_once_and_seen_as_it_was(admin: Caller, store: Store) -> None:
    once = {"idempotency_key": "a"}
    first = await admin.post(PATH, BOT, **once)
    again = await admin.post(PATH, BOT, **once)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert code(await admin.post(PATH, BOT)) == (409, "exists")
    add_version(store)
    etag = (await admin.get(f"{PATH}/bot")).headers["etag"]
    assert etag != first.headers["etag"]
    promoted = await admin.post(f"{PATH}/bot/promote", {"version": 1})
    assert promoted.headers["etag"] != etag
    with store.read() as reader:
        assert versions_of(reader, "acme", "bot")[0].wanted_weight == 100
