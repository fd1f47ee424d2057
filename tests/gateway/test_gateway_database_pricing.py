"""Pricing that is set while a gateway runs, by the admin API: what a tenant of the database is charged and held to.

A token of an answer costs 0.002 US dollars, one of a prompt 0.001.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from admin_gateway import AdminGateway, admin_gateway, until
from quotas import PRICE, ask, asked, settled
from tenants import CHAT, UPSTREAM_MODEL
from upstreams import Engine

TOKENS = 20
LIMIT = 10


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[AdminGateway]:
    provider = {"api": "openai", "endpoints": [f"http://{engine.address}"], "usage": "continuous"}
    more = {
        "providers": {"local": provider},
        "models": {"chat": {"targets": [{"provider": "local", "model": UPSTREAM_MODEL}], "price": PRICE}},
        "plans": {"filed": {"monthly_usd": LIMIT, "pricing": {"markup": "50%"}}},
    }
    with admin_gateway(tmp_path_factory.mktemp("pricing"), engine, **more) as running:
        yield running


def change(admin: AdminGateway, method: str, path: str, said: Any = None) -> Any:
    answer = admin.ask(method, f"/admin/v1{path}", said, key=admin.admin_key())
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def tenant(admin: AdminGateway, name: str, **said: Any) -> str:
    """A new one that may use the model, and its key."""
    change(admin, "POST", "/tenants", {"id": name, **said})
    change(admin, "PUT", f"/tenants/{name}/grants/chat")
    key: str = change(admin, "POST", f"/tenants/{name}/keys", {"name": "ci"})["key"]
    return key


def factor_of(admin: AdminGateway, reply: httpx2.Response) -> Decimal:
    """Of a request that has ended."""
    assert reply.status_code == 200
    return Decimal(admin.gateway.end_line(reply.headers["x-request-id"])["price_factor"] or 1)


def listed(admin: AdminGateway, reply: httpx2.Response) -> Decimal:
    """What it costs without terms, in US dollars."""
    line = admin.gateway.end_line(reply.headers["x-request-id"])
    return Decimal(line["prompt_tokens"] * 1000 + line["completion_tokens"] * 2000) / 10**6


async def used(admin: AdminGateway, name: str) -> Decimal:
    return Decimal((await settled(admin.gateway, name))["monthly_usd"]["used"])


async def test_each_request_is_charged_by_the_terms_that_it_began_with(admin: AdminGateway) -> None:
    """Its plan's, of the file and of the database, its own, and none; each for what begins after the change."""
    change(admin, "POST", "/plans", {"id": "gold", "limits": {"monthly_usd": LIMIT}, "pricing": {"discount": "20%"}})
    key, paid = tenant(admin, "changing", plan="gold"), Decimal(0)
    steps: list[tuple[str, Any, str]] = [
        ("/tenants/changing", {}, "0.8"),
        ("/plans/gold", {"pricing": {"models": {"chat": {"discount": "66.6667%"}}}}, "0.333333"),
        ("/tenants/changing", {"pricing": {"discount": "10%"}}, "0.9"),
        ("/plans/gold", {"pricing": {"markup": "1000%"}}, "0.9"),
        ("/tenants/changing", {"pricing": None, "plan": "filed"}, "1.5"),
        ("/tenants/changing", {"plan": "gold"}, "11"),
        ("/plans/gold", {"pricing": None}, "1"),
    ]
    before = Decimal("0.8")
    for path, said, text in steps:
        change(admin, "PATCH", path, said)
        factor, found = Decimal(text), list[Decimal]()
        while found[-4:] != [factor] * 4:  # of both workers, which have it milliseconds after the answer
            reply = ask(admin.gateway, key, asked(tokens=2))
            found.append(factor_of(admin, reply))
            assert found[-1] in (before, factor), said
            paid += listed(admin, reply) * found[-1]
        before = factor
    assert await used(admin, "changing") == paid


async def test_a_change_leaves_what_runs_alone(admin: AdminGateway) -> None:
    """A stream that began at a discount is charged at it, though it is gone when the line comes."""
    key = tenant(admin, "running", plan="filed", pricing={"discount": "90%"})
    body, headers = asked(tokens=TOKENS, token_s=0.1), {"authorization": f"Bearer {key}"}
    with httpx2.stream("POST", admin.gateway.url + CHAT, json=body, headers=headers, timeout=60) as reply:
        events = reply.iter_lines()
        next(events)
        change(admin, "PATCH", "/tenants/running", {"pricing": {"markup": "1000%"}})
        list(events)
    assert factor_of(admin, reply) == Decimal("0.1")
    assert await used(admin, "running") == listed(admin, reply) / 10


async def test_a_limit_of_money_goes_by_the_same_terms(admin: AdminGateway) -> None:
    """4,200 tokens are 8.40 at the price and 9.24 with a tenth on top; with a half, they are more than the limit."""
    body = {**asked(TOKENS), "n": 1, "max_tokens": 4200}
    terms: dict[str, Any] = {"listed": {"markup": "0%"}, "tenth": {"markup": "10%"}, "half": None}
    for name, pricing in terms.items():
        reply = ask(admin.gateway, tenant(admin, name, plan="filed", pricing=pricing), body)
        assert reply.status_code == 200, reply.text
        assert ("x-headgate-max-tokens" in reply.headers) is (name == "half"), name
    assert 3_200 < int(reply.headers["x-headgate-max-tokens"]) < 3_334


def test_who_owns_a_tenant_does_not_change_what_it_pays(admin: AdminGateway) -> None:
    tenant(admin, "owned")
    owner = change(admin, "POST", "/tenants/owned/keys", {"name": "owner", "role": "owner"})["key"]
    refused = admin.ask("PATCH", "/admin/v1/tenants/owned", {"pricing": {"discount": "100%"}}, key=owner)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_not_allowed")
    assert admin.ask("GET", "/admin/v1/tenants/owned", key=owner).json()["pricing"] is None


async def test_terms_outlive_an_envoy_that_is_killed(admin: AdminGateway) -> None:
    """Its line is made of its record, after its tenant's terms were changed."""
    key = tenant(admin, "killed", plan="filed", pricing={"discount": "90%"})
    body, headers = asked(100_000, tokens=100_000, token_s=0.01), {"authorization": f"Bearer {key}"}
    with httpx2.stream("POST", admin.gateway.url + CHAT, json=body, headers=headers, timeout=60) as reply:
        events = reply.iter_lines()
        for _ in range(20):
            next(events)
        change(admin, "PATCH", "/tenants/killed", {"pricing": None})
        (pid,) = admin.gateway.pids("envoy").values()
        os.kill(pid, signal.SIGKILL)
        with suppress(httpx2.TransportError):
            list(events)
    assert factor_of(admin, reply) == Decimal("0.1")
    until(lambda: [*admin.gateway.pids("envoy").values()] not in ([], [pid]))
    assert await used(admin, "killed") == listed(admin, reply) / 10 > 0
