"""Quotas hold under races, whichever worker or gateway decides, and add up to what the spool says afterwards."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from limited import counters_of, decided_alone, until, until_counted
from quotas import Quotas, Used, ask, asked, quotas, settled, shown, used
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, EMBEDDINGS, chat
from upstreams import Engine

from tests.counters.valkey_server import valkey_server

pytestmark = pytest.mark.alone

CLIENTS = 64
REQUESTS = int(os.environ.get("HEADGATE_QUOTA_REQUESTS", "4000"))  # that end in every way: more than the kills take
TPM, USD = 1000, 1
ROUNDS = 5  # one in which the counters got no CPU in time is another test's


async def push(gateways: list[RunningGateway], key: str, body: dict[str, Any], each: int) -> Counter[int]:
    """64 clients at once, in turn to all gateways: answers by status."""
    statuses: Counter[int] = Counter()
    raw = json.dumps(body)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    async def client(number: int) -> None:
        async with httpx2.AsyncClient(timeout=60) as session:
            for turn in range(each):
                url = gateways[(number + turn) % len(gateways)].url + CHAT
                statuses[(await session.post(url, content=raw, headers=headers)).status_code] += 1

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return statuses


@pytest.fixture
def gateways(engine: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Any, Quotas]]:
    """Two workers, four, or two gateways on one Valkey."""
    plans = {f"tokens-{number}": {"tpm": TPM} for number in range(ROUNDS)}
    plans |= {f"money-{number}": {"monthly_usd": USD} for number in range(ROUNDS)}
    for name in ("counters", "one", "two"):
        (tmp_path / name).mkdir()
    if request.param != "two gateways":
        setup = quotas(engine, plans)
        workers = 4 if request.param == "four workers" else 2
        with running_gateway(tmp_path / "one", setup.config, {}, workers) as gateway:
            yield [gateway], setup
        return
    with valkey_server(tmp_path / "counters") as valkey:
        setup = quotas(engine, plans, services={"counters": f"unix://{valkey.socket}"})
        with (
            running_gateway(tmp_path / "one", setup.config, {}) as one,
            running_gateway(tmp_path / "two", setup.config, {}) as two,
        ):
            yield [one, two], setup


@pytest.mark.parametrize("gateways", ["two workers", "four workers", "two gateways"], indirect=True)
async def test_64_clients_never_use_more_than_there_is(gateways: tuple[list[RunningGateway], Quotas]) -> None:
    """Not a unit above the limit, and nothing refused that there was room for once all had settled."""
    running, setup = gateways
    for plan, cap, spent in (("tokens", TPM, "tokens"), ("money", USD, "usd")):
        for number in range(ROUNDS):
            await until_counted(running)
            tenant, alone, began = f"{plan}-{number}", decided_alone(running), time.monotonic()
            statuses, rows = await _spend(running, tenant, setup.keys[tenant])
            if decided_alone(running) == alone and time.monotonic() - began < 55:
                break
        assert decided_alone(running) == alone
        assert time.monotonic() - began < 55, "a minute has passed: the window has moved"
        assert set(statuses) == {200, 429}
        found = used(running, tenant)
        (row,) = rows.values()
        assert getattr(found, spent) <= cap
        assert Decimal(row["used"]) == getattr(found, spent)
        least = Used(1, found.estimate, 16)  # what would have been reserved at the very least
        assert getattr(found, spent) + getattr(least, spent) > cap, (found, rows)


async def _spend(
    running: list[RunningGateway], tenant: str, key: str
) -> tuple[Counter[int], dict[str, dict[str, Any]]]:
    """Ask until nothing is left: the many clients' statuses, and what the limits show in the end."""
    body = asked(tokens=8, max_tokens=20)
    statuses = await push(running, key, body, each=4)
    rows = await settled(running[0], tenant)
    while ask(running[0], key, body).status_code == 200:
        rows = await settled(running[0], tenant)
    return statuses, rows


@pytest.fixture(scope="module")
def calm(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningGateway, Quotas]]:
    """One gateway for many tests, each with a tenant of its own."""
    plans: dict[str, dict[str, Any]] = {
        "grant": {"monthly_tokens": 100},
        "stream": {"daily_tokens": 60},
        "plain": {"rpm": 100000},
        "flushed": {"monthly_tokens": 100000, "daily_usd": 1000, "daily_requests": 50},
        "reloaded": {"monthly_tokens": 500},
        "sums": {
            "rpm": 1000000,
            "tpm": 1000000000,
            "concurrency": 100000,
            "daily_requests": 1000000,
            "monthly_tokens": 1000000000,
            "monthly_usd": 1000000,
            "per": [{"by": ["key"], "daily_tokens": 1000000000}, {"by": ["user", "model"], "daily_usd": 1000000}],
        },
    }
    setup = quotas(engine, plans)
    with running_gateway(tmp_path_factory.mktemp("calm"), setup.config, {}) as gateway:
        yield gateway, setup


def end(gateway: RunningGateway, reply: httpx2.Response) -> dict[str, Any]:
    return gateway.end_line(reply.headers["x-request-id"])


async def test_what_is_left_is_granted_and_holds_in_the_stream(
    calm: tuple[RunningGateway, Quotas], engine: Engine
) -> None:
    """The provider is asked for no more than there is, the client is told, and then nothing is left."""
    gateway, setup = calm
    key = setup.keys["grant"]
    first = ask(gateway, key, asked(tokens=30, max_tokens=30))
    assert first.status_code == 200
    assert "x-headgate-max-tokens" not in first.headers
    await settled(gateway, "grant")
    second = ask(gateway, key, asked(tokens=500, max_tokens=500))
    granted = int(second.headers["x-headgate-max-tokens"])
    assert 16 <= granted < 70
    received = engine.request(second.headers["x-request-id"])
    assert json.loads(received["body"])["max_tokens"] == granted
    assert "x-headgate-max-tokens" not in engine.headers(second.headers["x-request-id"])
    assert end(gateway, second)["completion_tokens"] == granted
    rows = await settled(gateway, "grant")
    assert rows["monthly_tokens"]["used"] == used([gateway], "grant").tokens <= 100
    while (third := ask(gateway, key, asked(tokens=20, max_tokens=20))).status_code == 200:
        await settled(gateway, "grant")
    error = third.json()["error"]
    assert (third.status_code, error["code"]) == (429, "insufficient_quota")
    assert "monthly_tokens" in error["message"]
    assert third.headers["x-should-retry"] == "false"
    assert not engine.has_seen(third.headers["x-request-id"])


async def test_a_client_that_names_no_limit_gets_what_is_left(
    calm: tuple[RunningGateway, Quotas], engine: Engine
) -> None:
    gateway, setup = calm
    reply = ask(gateway, setup.keys["stream"], asked(None, tokens=500))
    granted = int(reply.headers["x-headgate-max-tokens"])
    body = json.loads(engine.request(reply.headers["x-request-id"])["body"])
    assert body["max_tokens"] == granted
    assert end(gateway, reply)["completion_tokens"] == granted < 60


async def test_without_such_limits_a_body_stays_as_it_is(calm: tuple[RunningGateway, Quotas], engine: Engine) -> None:
    gateway, setup = calm
    raw = json.dumps(chat(max_tokens=7), indent=3).encode()
    reply = gateway.post(CHAT, raw, setup.keys["plain"])
    sent = engine.request(reply.headers["x-request-id"])["body"]
    assert sent == raw.decode().replace('"chat"', '"engine-model"')


async def test_emptied_counters_are_filled_again(calm: tuple[RunningGateway, Quotas]) -> None:
    """Calendar limits go on where they were; what is open then is counted too."""
    gateway, setup = calm
    key = setup.keys["flushed"]
    for _ in range(20):
        assert ask(gateway, key).status_code == 200
    before = await settled(gateway, "flushed")
    with counters_of(gateway) as counters:
        counters.flushall()

        def is_back() -> bool:
            return shown(gateway, "flushed")["monthly_tokens"]["used"] == before["monthly_tokens"]["used"]

        await until(is_back)
    after = await settled(gateway, "flushed")
    assert {name: row["used"] for name, row in after.items()} == {name: row["used"] for name, row in before.items()}
    statuses = Counter(ask(gateway, key).status_code for _ in range(40))
    assert statuses == {200: 30, 429: 10}


async def test_a_changed_limit_holds_at_once_and_forgets_nothing(calm: tuple[RunningGateway, Quotas]) -> None:
    gateway, setup = calm
    key, path = setup.keys["reloaded"], gateway.folder / "gateway.yaml"
    assert ask(gateway, key).status_code == 200
    before = await settled(gateway, "reloaded")
    usual = path.read_text()
    for cap, status in ((before["monthly_tokens"]["used"], 429), (1000, 200)):
        document = json.loads(usual)
        document["plans"]["reloaded"]["monthly_tokens"] = cap
        path.write_text(json.dumps(document))
        await until(lambda cap=cap: shown(gateway, "reloaded")["monthly_tokens"]["cap"] == cap)
        await until(lambda status=status: ask(gateway, key).status_code == status)
    assert (await settled(gateway, "reloaded"))["monthly_tokens"]["used"] == used([gateway], "reloaded").tokens


ENDINGS: tuple[dict[str, Any], ...] = (
    {"tokens": 3},
    {"tokens": 12},
    {"tokens": 5, "token_s": 0.002},
    {"status": 500},
    {"status": 429},
    {"status": 400},
    {"cut_after": "before_headers"},
    {"cut_after": "after_headers"},
    {"cut_after": 3},
    {"silence": "after_headers"},
    {"silence": 2},
    {"malformed_after": 2},
    {"silence": "before_headers", "model": "hasty"},
    {"silence": 3, "model": "hasty"},
)
LEAVES_AFTER_S = {9: 0.05, 10: 0.05, 2: 0.008}  # whose client hangs up, by their place in ENDINGS


async def _end(session: httpx2.AsyncClient, url: str, key: str, number: int) -> int:
    """One request of every kind in turn; its status, 0 where the client left or the connection broke."""
    place = number % len(ENDINGS)
    wish = {"token_s": 0, "ttft_s": 0, **ENDINGS[place]}
    body = chat(wish.pop("model", "chat"), stream=number % 3 != 0, simulate=wish, max_tokens=20)
    body["user"] = f"user-{number % 5}"
    headers = {"authorization": f"Bearer {key}"}
    try:
        async with asyncio.timeout(LEAVES_AFTER_S.get(place, 20)):
            reply = await session.post(url, json=body, headers=headers)
    except (TimeoutError, httpx2.HTTPError):
        return 0
    return reply.status_code


@pytest.mark.timeout(240 + REQUESTS // 10)
async def test_whatever_happens_what_is_used_is_what_the_spool_says(calm: tuple[RunningGateway, Quotas]) -> None:
    """All endings, while workers and the ledger are killed: sums agree to the unit, nothing stays reserved."""
    gateway, setup = calm
    statuses: Counter[int] = Counter()
    numbers = iter(range(REQUESTS))

    async def client() -> None:
        async with httpx2.AsyncClient(timeout=30) as session:
            for number in numbers:
                statuses[await _end(session, gateway.url + CHAT, setup.keys["sums"], number)] += 1

    async def killer() -> None:
        for part in ("filters-0", "ledger", "filters-1", "ledger"):
            await asyncio.sleep(4)
            for pid in gateway.pids(part).values():
                os.kill(pid, signal.SIGKILL)

    killing = asyncio.create_task(killer())
    await asyncio.gather(*(client() for _ in range(32)))
    await killing
    assert statuses[200] > REQUESTS // 5
    assert sum(statuses.values()) == REQUESTS
    rows = await settled(gateway, "sums", within_s=60)
    found = used([gateway], "sums")
    assert rows["daily_requests"]["used"] == found.requests
    assert rows["monthly_tokens"]["used"] == found.tokens
    assert rows["daily_tokens:key=ci"]["used"] == found.tokens
    assert Decimal(rows["monthly_usd"]["used"]) == found.usd
    with counters_of(gateway) as counters:
        assert counters.zcard("hg:{sums}:open") == 0
        assert [key for key in counters.scan_iter("hg:{sums}:r:*") if counters.get(key)] == []


async def test_embeddings_are_counted_too(calm: tuple[RunningGateway, Quotas]) -> None:
    gateway, setup = calm
    before = (await settled(gateway, "sums"))["monthly_tokens"]["used"]
    reply = gateway.post(EMBEDDINGS, {"model": "chat", "input": ["one two three", "four"]}, setup.keys["sums"])
    assert reply.status_code == 200
    assert end(gateway, reply)["prompt_tokens"] == 4
    assert (await settled(gateway, "sums"))["monthly_tokens"]["used"] == before + 4
