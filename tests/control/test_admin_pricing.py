"""What tenants and plans of the database pay of the models' prices: as in gateway.yaml, and set by admins alone."""

import json
from typing import Any

import pytest
from admin import Caller
from fastapi import FastAPI
from sqlalchemy import select

from control.directory_rows import changes_of
from control.store.audit_log import list_entries
from control.store.changes import whole_directory
from control.store.paging import Wish
from control.store.store import Store
from control.store.tables import PlanRow, TenantRow
from headgate.directory.rows import PlanEntry, TenantEntry, row_of
from headgate.roles import TENANT_ROLES

PRICING = {"discount": "10%", "models": {"big": {"markup": "2.5%"}}}
OTHER = {"markup": "1000%"}


def told(store: Store) -> dict[str, Any]:
    """What workers are told, by tenant or plan."""
    with store.read() as reader:
        rows = [row for some in whole_directory(reader) for row in some]
    entries = [row_of(change) for change in changes_of(tuple(rows))]
    return {one.id: one.pricing for one in entries if isinstance(one, TenantEntry | PlanEntry)}


def recorded(store: Store) -> list[tuple[Any, ...]]:
    """Each change, with the pricing before and after it."""
    with store.read() as reader:
        entries = list_entries(reader, Wish(100)).items
    return [
        (entry.action, *(json.loads(said)["pricing"] if said else None for said in (entry.before, entry.after)))
        for entry in reversed(entries)
        if entry.request_id == "req-1"
    ]


@pytest.mark.parametrize(("path", "kind"), [("/tenants", "tenant"), ("/plans", "plan")])
async def test_pricing_is_set_read_changed_and_taken_back(admin: Caller, store: Store, path: str, kind: str) -> None:
    made = await admin.post(path, {"id": "gold", "pricing": PRICING})
    assert (made.status_code, made.json()["pricing"]) == (201, PRICING), made.text
    assert (await admin.get(f"{path}/gold")).json() == made.json()
    assert told(store) == {"gold": PRICING}
    kept = await admin.patch(f"{path}/gold", {"display_name": "Gold", "pricing": PRICING})
    assert (kept.json()["pricing"], kept.json()["display_name"]) == (PRICING, "Gold")
    same = await admin.patch(f"{path}/gold", {"pricing": PRICING})
    assert same.headers["etag"] == kept.headers["etag"], "nothing has changed, so nothing was written"
    changed = await admin.patch(f"{path}/gold", {"pricing": OTHER})
    assert (changed.json()["pricing"], told(store)) == (OTHER, {"gold": OTHER}), "all of it, not member by member"
    taken = await admin.patch(f"{path}/gold", {"pricing": None})
    assert (taken.json()["pricing"], told(store)) == (None, {"gold": None})
    assert (await admin.post(path, {"id": "plain"})).json()["pricing"] is None
    assert recorded(store) == [
        (f"{kind}.create", None, PRICING),
        (f"{kind}.update", PRICING, PRICING),
        (f"{kind}.update", PRICING, OTHER),
        (f"{kind}.update", OTHER, None),
        (f"{kind}.create", None, None),
    ]


async def test_what_gateway_yaml_says_is_shown_and_changed_there(admin: Caller) -> None:
    assert (await admin.get("/tenants/filed")).json()["pricing"] == {"discount": "10%"}
    assert (await admin.get("/plans/starter")).json()["pricing"] is None
    for path in ("/tenants/filed", "/plans/starter"):
        refused = await admin.patch(path, {"pricing": PRICING})
        assert (refused.status_code, refused.json()["code"]) == (409, "managed_by_file")


@pytest.mark.parametrize(
    ("pricing", "at", "expected", "found"),
    [
        ({}, "pricing", "markup, discount or models", "none"),
        ({"models": {}}, "pricing", "markup, discount or models", "none"),
        ({"markup": "1%", "discount": "1%"}, "pricing", "either markup or discount", "both"),
        ({"discount": 10}, "pricing.discount", "a percentage such as 10% or 2.5%", "10"),
        ({"discount": 2.5}, "pricing.discount", "a percentage such as 10% or 2.5%", "2.5"),
        ({"discount": "101%"}, "pricing.discount", "a percentage of at most 100%", '"101%"'),
        ({"markup": "1000.5%"}, "pricing.markup", "a percentage of at most 1000%", '"1000.5%"'),
        ({"markup": "-3%"}, "pricing.markup", "a percentage such as 10% or 2.5%", '"-3%"'),
        ({"markup": "1.00001%"}, "pricing.markup", "a percentage such as 10% or 2.5%", '"1.00001%"'),
        ({"markup": None}, "pricing.markup", "a value, or no such member", "nothing"),
        ({"rebate": "3%"}, "pricing", "a known key (allowed: markup, discount, models)", '"rebate"'),
        ({"models": {"chat": {}}}, "pricing.models.chat", "markup or discount", "neither"),
        (
            {"models": {"chta": {"markup": "3%"}}},
            "pricing.models.chta",
            'a known model (did you mean "chat"?)',
            '"chta"',
        ),
        (
            {"models": {"org/name:8b": {"markup": "3%"}}},
            'pricing.models["org/name:8b"]',
            'another value (model "org/name:8b" has no price that this could change)',
            None,
        ),
        ("10%", "pricing", "an object", None),
    ],
)
@pytest.mark.parametrize("path", ["/tenants", "/plans"])
async def test_pricing_is_checked_as_in_gateway_yaml(
    admin: Caller, store: Store, path: str, pricing: Any, at: str, expected: str, found: str | None
) -> None:
    assert (await admin.post(path, {"id": "there"})).status_code == 201
    created = await admin.post(path, {"id": "gold", "pricing": pricing})
    changed = await admin.patch(f"{path}/there", {"pricing": pricing})
    for answer in (created, changed):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        (error,) = answer.json()["errors"]
        assert (error["at"], error["expected"], error["found"]) == (at, expected, found)
    assert told(store) == {"there": None}


async def test_a_document_has_an_end(admin: Caller) -> None:
    models = {f"m{number}": {"markup": "3%"} for number in range(2000)}
    answer = await admin.post("/plans", {"id": "gold", "pricing": {"models": models}})
    assert (answer.status_code, answer.json()["detail"]) == (422, "pricing: expected at most 32768 bytes of JSON")


async def test_nobody_of_a_tenant_changes_what_it_pays(app: FastAPI, admin: Caller, store: Store) -> None:
    """Its own may see it; an owner of one tenant is nobody in another."""
    assert (await admin.post("/plans", {"id": "gold", "pricing": OTHER})).status_code == 201
    assert (await admin.post("/tenants", {"id": "acme", "plan": "gold", "pricing": PRICING})).status_code == 201
    for role in TENANT_ROLES:
        of_it = (
            Caller(app, tenant="acme", role=role),
            Caller(app, kind="user", id="user_1", role="read-only", memberships={"acme": role}),
            Caller(app, kind="client", id="spiffe://x", tenant="acme", role=role),
        )
        for caller in of_it:
            assert (await caller.get("/tenants/acme")).json()["pricing"] == PRICING
            asked = (
                await caller.patch("/tenants/acme", {"pricing": {"discount": "100%"}}),
                await caller.patch("/tenants/acme", {"pricing": None}),
                await caller.patch("/plans/gold", {"pricing": None}),
                await caller.post("/plans", {"id": "free", "pricing": {"discount": "100%"}}),
                await caller.post("/tenants", {"id": "more", "pricing": {"discount": "100%"}}),
                await caller.get("/plans/gold"),
            )
            assert [answer.json()["code"] for answer in asked] == ["role_not_allowed"] * len(asked)
        assert (await Caller(app, tenant="other", role=role).get("/tenants/acme")).status_code == 403
    assert told(store) == {"gold": OTHER, "acme": PRICING}


async def test_what_is_deleted_leaves_no_pricing_behind(app: FastAPI, admin: Caller, store: Store) -> None:
    await admin.post("/plans", {"id": "gold", "pricing": OTHER})
    await admin.post("/tenants", {"id": "acme", "pricing": PRICING})
    assert (await admin.delete("/plans/gold")).status_code == 204
    assert (await admin.delete("/tenants/acme")).status_code == 202
    app.state.service.deletions.work()
    with store.read() as reader:
        assert [tuple(row) for row in reader.rows(select(PlanRow.id, PlanRow.pricing))] == [("gold", None)]
        assert [tuple(row) for row in reader.rows(select(TenantRow.id, TenantRow.pricing))] == [("acme", None)]
