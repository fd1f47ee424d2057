"""Every route of the admin API, asked by every role: in its own tenant, in another one, of the platform, none."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin import Caller, api, client
from fastapi import FastAPI

from control.authentication import OPENAPI
from control.roles import ACTIONS, ALL, OWN, Reach, may_give
from control.routing import ACTION, GuardedRoute, Routes
from control.store.engine import open_engine, sqlite_url
from control.store.store import Store
from headgate.roles import ROLES, TENANT_ROLES, Role

# Who may, besides the platform's admins: o(wner), d(eveloper), a(nalyst), r(ead-only).
MAY = {
    "GET /me": "odar",
    "GET /roles": "odar",
    "GET /tenants": "odar",
    "POST /tenants": "",
    "GET /tenants/{tenant}": "odar",
    "PATCH /tenants/{tenant}": "",
    "DELETE /tenants/{tenant}": "",
    "GET /tenants/{tenant}/grants": "odar",
    "PUT /tenants/{tenant}/grants/{model:path}": "",
    "DELETE /tenants/{tenant}/grants/{model:path}": "",
    "GET /tenants/{tenant}/limits": "odar",
    "PUT /tenants/{tenant}/limits": "",
    "DELETE /tenants/{tenant}/limits": "",
    "GET /tenants/{tenant}/users/{user}/limits": "odar",
    "PUT /tenants/{tenant}/users/{user}/limits": "",
    "DELETE /tenants/{tenant}/users/{user}/limits": "",
    "GET /tenants/{tenant}/keys": "odr",
    "POST /tenants/{tenant}/keys": "od",
    "GET /tenants/{tenant}/keys/{key}": "odr",
    "PATCH /tenants/{tenant}/keys/{key}": "od",
    "DELETE /tenants/{tenant}/keys/{key}": "od",
    "POST /tenants/{tenant}/keys/{key}/rotate": "od",
    "GET /tenants/{tenant}/members": "or",
    "PUT /tenants/{tenant}/members/{user}": "o",
    "DELETE /tenants/{tenant}/members/{user}": "o",
    "GET /tenants/{tenant}/usage": "odar",
    "GET /tenants/{tenant}/audit": "oa",
    "GET /tenants/{tenant}/invoices": "oa",
    "GET /tenants/{tenant}/invoices/{number}": "oa",
    "GET /tenants/{tenant}/invoices/{number}.html": "oa",
    "GET /tenants/{tenant}/credits": "oa",
    "POST /tenants/{tenant}/credits": "",
    "GET /tenants/{tenant}/credits/entries": "oa",
    "GET /tenants/{tenant}/adapters": "odar",
    "POST /tenants/{tenant}/adapters": "od",
    "GET /tenants/{tenant}/adapters/{adapter}": "odar",
    "DELETE /tenants/{tenant}/adapters/{adapter}": "od",
    "POST /tenants/{tenant}/adapters/{adapter}/versions": "od",
    "DELETE /tenants/{tenant}/adapters/{adapter}/versions/{version}": "od",
    "POST /tenants/{tenant}/adapters/{adapter}/versions/{version}/retire": "od",
    "POST /tenants/{tenant}/adapters/{adapter}/promote": "od",
    "POST /tenants/{tenant}/adapters/{adapter}/rollback": "od",
    "GET /keys": "",
    "POST /keys": "",
    "GET /keys/{key}": "",
    "PATCH /keys/{key}": "",
    "DELETE /keys/{key}": "",
    "POST /keys/{key}/rotate": "",
    "GET /users": "",
    "POST /users": "",
    "GET /users/{user}": "",
    "PATCH /users/{user}": "",
    "DELETE /users/{user}": "",
    "GET /plans": "",
    "POST /plans": "",
    "GET /plans/{plan}": "",
    "PATCH /plans/{plan}": "",
    "DELETE /plans/{plan}": "",
    "GET /models": "",
    "GET /providers": "",
    "GET /providers/{provider}": "",
    "POST /data-keys/rotate": "",
    "PUT /providers/{provider}/credentials/{field:path}": "",
    "DELETE /providers/{provider}/credentials/{field:path}": "",
    "GET /audit": "",
    "GET /audit/export": "",
    "GET /audit/verify": "",
    "GET /hosts": "",
    "DELETE /hosts/{host}": "",
    "GET /usage-gateways": "",
    "POST /usage-gateways/{gateway}/accept": "",
    "POST /lost-invoices": "",
    "POST /invoices": "",
    "GET /invoices": "",
    "GET /invoices/{number}": "",
    "GET /invoices/{number}.html": "",
    "POST /invoices/{number}/credit-note": "",
    "GET /credits": "",
    "GET /deletions": "",
    "GET /deletions/{deletion}": "",
}


OF_ANYBODY = ("GET /me", "GET /roles", "GET /tenants")


@pytest.fixture(scope="module")
def app(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    path = tmp_path_factory.mktemp("roles") / "control.db"
    shutil.copyfile(template, path)
    engine = open_engine(sqlite_url(path))
    yield api(Store(engine))
    engine.dispose()


def routes_of(app: FastAPI) -> list[GuardedRoute]:
    return [route for route in app.routes if isinstance(route, GuardedRoute)]


def name_of(route: GuardedRoute) -> str:
    (method,) = route.methods
    return f"{method} {route.path.removeprefix('/admin/v1')}"


async def is_admitted(caller: Caller, route: str, tenant: str = "ghost") -> bool:
    """Of a tenant, and of things, that there are not: so an answer never shows what exists."""
    method, path = route.split(" ")
    path = re.sub(r"\{\w+(:path)?\}", "nothing", path.replace("{tenant}", tenant))
    answer = await caller.ask(method, path, b"" if method in ("GET", "DELETE") else b"{not json")
    assert answer.status_code != 401, answer.text
    if answer.status_code == 403:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "role_not_allowed"
    return bool(answer.status_code != 403)


def test_the_table_here_has_every_route(app: FastAPI) -> None:
    assert {name_of(route) for route in routes_of(app)} == MAY.keys()
    others = [route.path for route in app.routes if not isinstance(route, GuardedRoute)]  # type: ignore[attr-defined]
    assert others == [OPENAPI]


@pytest.mark.parametrize("route", MAY)
async def test_each_role_may_what_the_table_says(app: FastAPI, route: str) -> None:
    assert await is_admitted(Caller(app, role="admin"), route)
    for role in TENANT_ROLES:
        may = role[0] in MAY[route]
        of_tenant = "{tenant}" in route
        assert await is_admitted(Caller(app, tenant="ghost", role=role), route) is may, role
        person = Caller(app, kind="user", id="user_1", role="read-only", memberships={"ghost": role})
        assert await is_admitted(person, route) is may, f"{role} as a member"
        client_ = Caller(app, kind="client", id="spiffe://x", tenant="ghost", role=role)
        assert await is_admitted(client_, route) is may, f"{role} by certificate"
        if of_tenant:
            for somewhere in (Caller(app, tenant="other", role=role), Caller(app, memberships={"other": role})):
                somewhere.role = role
                assert not await is_admitted(somewhere, route), f"{role} of another tenant"
    nobody = Caller(app, kind="user", id="user_2", role="read-only")
    assert await is_admitted(nobody, route) is (route in OF_ANYBODY), "a person without any role"


@pytest.mark.parametrize("route", MAY)
async def test_without_an_identity_every_route_is_401_whatever_else_is_wrong(app: FastAPI, route: str) -> None:
    method, path = route.split(" ")
    path = "/admin/v1" + re.sub(r"\{\w+(:path)?\}", "%00", path)
    async with client(app) as http:
        answer = await http.request(method, f"{path}?limit=x", content=b"{", headers={"content-type": "text/plain"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="headgate"'
    assert answer.json()["code"] == "unauthenticated"


async def test_an_admin_with_a_tenant_is_no_platform_admin(app: FastAPI) -> None:
    """authz never says so; if it did, it would be nobody."""
    odd = Caller(app, tenant="ghost", role="admin")
    for route in ("GET /tenants/{tenant}", "GET /users", "POST /keys"):
        assert not await is_admitted(odd, route)


async def test_roles_are_answered_as_they_are(app: FastAPI) -> None:
    answer = (await Caller(app, tenant="ghost", role="read-only").get("/roles")).json()
    assert [row["action"] for row in answer["data"]] == list(ACTIONS)
    keys = {row["action"]: row["roles"] for row in answer["data"]}
    assert keys["keys.create"] == {"admin": "all", "owner": "all", "developer": "own"}


async def test_the_openapi_is_for_everybody_and_names_each_action(app: FastAPI) -> None:
    async with client(app) as http:
        answer = await http.get(OPENAPI)
        assert (await http.post(OPENAPI)).status_code == 401
    assert answer.status_code == 200
    paths = answer.json()["paths"]
    assert all(path.startswith("/admin/v1/") for path in paths)
    named = {one[ACTION] for path in paths.values() for one in path.values() if ACTION in one}
    assert named == ACTIONS.keys() - {"platform.usage.read"}  # of /v1/usage and /v1/organization
    assert paths[OPENAPI]["get"]["security"] == []
    assert "identity" not in json.dumps(answer.json()).lower()


def test_a_route_without_an_action_can_not_be_registered(app: FastAPI) -> None:
    with pytest.raises(TypeError, match="has to name one of the actions"):
        app.add_api_route("/admin/v1/more", lambda: None)
    with pytest.raises(TypeError, match="has to name one of the actions"):
        Routes("more").serve("GET", "/more", "more.read", None)(lambda: None)
    with pytest.raises(TypeError, match="both or neither"):
        Routes("more").serve("GET", "/more", "keys.read", None)(lambda: None)
    with pytest.raises(TypeError, match="both or neither"):
        Routes("more").serve("GET", "/tenants/{tenant}/more", "me.read", None)(lambda: None)


@pytest.mark.parametrize("giver", ROLES)
@pytest.mark.parametrize("role", ROLES)
def test_nobody_makes_a_principal_with_more_than_they_have(giver: Role, role: Role) -> None:
    def has(who: Role, action: str, reach: Reach) -> bool:
        given = ACTIONS[action].reach.get(who)
        return given == ALL or (given == OWN and reach == OWN)

    more = [name for name, action in ACTIONS.items() if role in action.reach]
    fits = all(has(giver, name, ACTIONS[name].reach[role]) for name in more)
    assert may_give(giver, role) == fits
    assert may_give("owner", role) == (role != "admin")
    assert may_give("developer", role) == (role == "developer")
