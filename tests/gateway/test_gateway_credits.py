"""Credits through a whole gateway: booked by the admin API, used up by many clients, and never below the floor."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import pytest
from admin_gateway import AdminGateway, admin_gateway
from limited import counters_of, until
from quotas import PRICE, asked, settled, shown
from tenants import CHAT
from upstreams import Engine

pytestmark = pytest.mark.alone

CLIENTS, EACH = 32, 8
KEY = f"hg-{token_urlsafe(32)}"
FREE = {"input": 0, "output": 0}


@pytest.fixture
def admin(tmp_path: Path, engine: Engine) -> Iterator[AdminGateway]:
    """acme has credits and one key; `free` costs nothing."""
    provider = {"api": "openai", "endpoints": [f"http://{engine.address}"], "usage": "continuous"}
    target = {"provider": "local", "model": "up"}
    more = {
        "providers": {"local": provider},
        "models": {"chat": {"targets": [target], "price": PRICE}, "free": {"targets": [target], "price": FREE}},
        "plans": {"prepaid": {"credits": {"floor": 0, "low": "0.2"}}},
        "tenants": {
            "acme": {
                "plan": "prepaid",
                "models": ["chat", "free"],
                "keys": [{"name": "ci", "sha256": sha256(KEY.encode()).hexdigest()}],
            }
        },
    }
    with admin_gateway(tmp_path, engine, **more) as running:
        yield running


def book(admin: AdminGateway, amount: str) -> None:
    body = {"kind": "prepaid", "amount": amount}
    answer = admin.ask("POST", "/admin/v1/tenants/acme/credits", body, key=admin.admin_key())
    assert answer.status_code == 201, answer.text


def ask(admin: AdminGateway, model: str = "chat") -> httpx2.Response:
    return admin.gateway.post(CHAT, asked(tokens=8, max_tokens=20, model=model), KEY)


def spent(admin: AdminGateway) -> Decimal:
    """By the lines of the spool alone, of what is not free."""
    lines = [line for line in admin.gateway.spool.all() if line["type"] == "end" and line["status"] == 200]
    paid = [line for line in lines if line["model"] == "chat"]
    return sum(
        (Decimal(line["prompt_tokens"] * 1000 + line["completion_tokens"] * 2000) / 10**6 for line in paid),
        Decimal(0),
    )


async def push(admin: AdminGateway) -> Counter[int]:
    """32 clients at once, each with one request after the other: answers by status."""
    statuses: Counter[int] = Counter()
    raw, headers = json.dumps(asked(tokens=8, max_tokens=20)), {"authorization": f"Bearer {KEY}"}

    async def client() -> None:
        async with httpx2.AsyncClient(timeout=60, headers={"content-type": "application/json"}) as session:
            for _ in range(EACH):
                reply = await session.post(admin.gateway.url + CHAT, content=raw, headers=headers)
                statuses[reply.status_code] += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return statuses


async def account(admin: AdminGateway) -> dict[str, Any]:
    """What the ledger says once nothing is reserved any more."""
    row = (await settled(admin.gateway, "acme"))["credits"]
    assert Decimal(row["account"]["balance"]) == Decimal(row["cap"]) - Decimal(row["used"])
    return row


def used_up(answer: httpx2.Response) -> bool:
    """Refused for its price: each worker learns by itself how dear a request is, so one more may fit first."""
    return answer.status_code == 429 and answer.json()["error"]["code"] == "insufficient_quota"


async def test_many_clients_use_up_what_is_booked_and_never_more(admin: AdminGateway) -> None:
    refused = ask(admin)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert "Not enough credits for tenant 'acme': balance 0 US dollars, floor 0" in refused.json()["error"]["message"]
    assert ask(admin, "free").status_code == 200
    book(admin, "1.5")
    await until(lambda: ask(admin).status_code == 200)
    pushing = asyncio.create_task(push(admin))
    await asyncio.to_thread(book, admin, "0.7")  # while they run
    statuses = await pushing
    assert set(statuses) == {200, 429}
    row = await account(admin)
    assert row["cap"] == "2.2"
    assert Decimal(row["used"]) == spent(admin) <= Decimal("2.2")
    refused_in_turn = 0
    while refused_in_turn < 3:  # one alone may be because the counters have not answered within 20 ms
        last = ask(admin)
        row = await account(admin)
        refused_in_turn = 0 if last.status_code == 200 else refused_in_turn + 1
        if last.status_code == 200:
            assert last.headers["x-headgate-warning"].startswith("credits; balance=")
    assert Decimal(row["used"]) == spent(admin) <= Decimal("2.2")
    assert spent(admin) + Decimal("0.1") > Decimal("2.2")  # a request takes 0.02, and reserves what it may take
    assert ask(admin, "free").status_code == 200

    with counters_of(admin.gateway) as counters:
        counters.flushall()
        await until(lambda: shown(admin.gateway, "acme")["credits"]["used"] == row["used"])
    await until(lambda: used_up(ask(admin)))
    row = await account(admin)
    assert Decimal(row["used"]) == spent(admin) <= Decimal("2.2")
    usage = admin.ask("GET", "/v1/usage", key=KEY).json()
    (limit,) = usage["limits"]
    assert (limit["limit"], limit["account"]["floor"], limit["account"]["low"]) == ("credits", "0", "0.2")
    of_admin = admin.ask("GET", "/admin/v1/tenants/acme/usage", key=admin.admin_key()).json()
    assert of_admin["limits"][0]["account"] == limit["account"]
    book(admin, "1")
    await until(lambda: ask(admin).status_code == 200)
    assert Decimal((await account(admin))["used"]) == spent(admin)
