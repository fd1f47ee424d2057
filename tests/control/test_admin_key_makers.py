"""Keys that go with who has made them, and the last platform admin, whom nobody takes away."""

from typing import Any

import pytest
from admin import Caller, api
from fastapi import FastAPI

from control.store.audit_log import list_entries
from control.store.keys import platform_keys
from control.store.paging import Wish
from control.store.store import Store

SOON = "2099-01-01T00:00:00Z"


@pytest.fixture
def app(store: Store) -> FastAPI:
    return api(store)


@pytest.fixture
async def admin(app: FastAPI) -> Caller:
    caller = Caller(app)
    await caller.post("/tenants", {"id": "acme"})
    return caller


async def test_a_key_is_revoked_with_what_it_has_made(admin: Caller, app: FastAPI, store: Store) -> None:
    async def make(by: Caller, name: str) -> Caller:
        made = await by.post("/tenants/acme/keys", {"name": name, "role": "owner"})
        assert made.status_code == 201, made.text
        return Caller(app, id=made.json()["id"], tenant="acme", role="owner")

    first = await make(admin, "first")
    child = await make(first, "child")
    grandchild = await make(child, "grandchild")
    other = await make(admin, "other")
    listed = await admin.all(f"/tenants/acme/keys?created_by=key:{first.id}")
    assert [one["id"] for one in listed] == [child.id]
    rotated = (await admin.post(f"/tenants/acme/keys/{first.id}/rotate", {"overlap": "1h"})).json()["id"]
    gone = await admin.delete(f"/tenants/acme/keys/{rotated}?cascade=true")
    assert gone.status_code == 204
    left = [one["id"] for one in await admin.all("/tenants/acme/keys")]
    assert left == [first.id, other.id], "the one before ends by itself; what both have made is gone"
    with store.read() as reader:
        page = list_entries(reader, Wish(100), action="key.revoke")
    assert {entry.object_id for entry in page.items} == {rotated, child.id, grandchild.id}
    assert {entry.actor_id for entry in page.items} == {admin.id}
    alone = await make(other, "alone")
    assert (await admin.delete(f"/tenants/acme/keys/{other.id}")).status_code == 204
    assert (await admin.get(f"/tenants/acme/keys/{alone.id}")).status_code == 200, "without it they go on"


async def test_a_member_is_removed_with_the_keys_that_it_has_made(admin: Caller, app: FastAPI) -> None:
    person = (await admin.post("/users", {"issuer": "https://id.example", "subject": "ann"})).json()["id"]
    ann = Caller(app, kind="user", id=person, tenant=None, role="developer", memberships={"acme": "developer"})
    for cascade, left in (("", 1), ("?cascade=false", 2), ("?cascade=true", 0)):
        await admin.put(f"/tenants/acme/members/{person}", {"role": "developer"})
        assert (await ann.post("/tenants/acme/keys", {"name": "hers"})).status_code == 201
        assert (await admin.delete(f"/tenants/acme/members/{person}{cascade}")).status_code == 204
        assert len(await admin.all(f"/tenants/acme/keys?created_by=user:{person}")) == left
    assert (await ann.get("/tenants/acme/keys?created_by=key:somebody")).json()["data"] == []


async def test_nobody_takes_the_last_platform_admin_away(app: FastAPI, store: Store) -> None:
    first = Caller(app, id="none_of_the_database")
    own = (await first.post("/keys", {"name": "own"})).json()["id"]
    me = Caller(app, id=own)
    ways = [
        ("DELETE", f"/keys/{own}", None),
        ("DELETE", f"/keys/{own}?cascade=true", None),
        ("PATCH", f"/keys/{own}", {"disabled": True}),
        ("PATCH", f"/keys/{own}", {"expires_at": SOON}),
    ]

    async def all_refused(ways: list[Any], caller: Caller) -> None:
        for method, path, body in ways:
            answer = await caller.ask(method, path, body)
            assert (answer.status_code, answer.json()["code"]) == (409, "last_admin"), (method, path)
            assert "headgate keys admin" in answer.json()["detail"]

    await all_refused(ways, me)
    assert (await me.patch(f"/keys/{own}", {"name": "renamed"})).status_code == 200
    off = (await me.post("/keys", {"name": "off"})).json()["id"]
    assert (await me.patch(f"/keys/{off}", {"disabled": True})).status_code == 200
    await all_refused(ways, me)
    who = {"issuer": "https://id.example", "subject": "ann", "platform_role": "admin"}
    person = (await me.post("/users", who)).json()["id"]
    assert (await me.delete(f"/keys/{own}")).status_code == 204, "a person is left"
    ann = Caller(app, kind="user", id=person)
    ways = [
        ("DELETE", f"/users/{person}", None),
        ("PATCH", f"/users/{person}", {"disabled": True}),
        ("PATCH", f"/users/{person}", {"platform_role": None}),
    ]
    await all_refused(ways, ann)
    assert (await ann.patch(f"/users/{person}", {"email": "ann@example.org"})).status_code == 200
    child = (await ann.post("/keys", {"name": "child"})).json()["id"]
    assert (await Caller(app, id=child).delete(f"/users/{person}")).status_code == 204
    await all_refused([("DELETE", f"/keys/{child}", None)], Caller(app, id=child))
    with store.read() as reader:
        assert {key.id for key in platform_keys(reader)} == {off, child}
