"""Providers' budgets on a gateway with two workers: held under races, refunded, and kept without counters."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import pytest
from limited import metric, until
from redis import Redis
from running_gateway import RunningGateway, headgate, running_gateway
from tenants import CHAT, chat
from upstreams import refused_address, simulator

from headgate.counters.calendar import window_of
from tests.counters.valkey_server import ValkeyServer, valkey_server

KEY = f"hg-{token_urlsafe(32)}"
NANO = 10**9
# USD per million tokens: a completion token costs 0.002 USD.
PRICE = {"input": "1000", "output": "2000"}
RPM, TPM, USD = 20, 2000, "0.50"
OF_KEY, OF_ALL = 5, 15
SECRETS = {"FIRST": "sk-first", "SECOND": "sk-second"}


@dataclass(frozen=True)
class Capped:
    gateway: RunningGateway
    valkey: ValkeyServer
    counters: "Redis[bytes]"


def configuration(engine: str, counters: str, dead: str) -> dict[str, Any]:
    budgets: dict[str, Any] = {
        "requests": {"rpm": RPM},
        "tokens": {"tpm": TPM},
        "money": {"monthly_usd": USD},
        "behind": {"rpm": RPM},
        "spare": None,
    }
    providers = {
        name: {"api": "openai", "endpoints": [f"http://{engine}"], **({"budget": budget} if budget else {})}
        for name, budget in budgets.items()
    }
    providers["dead"] = {"api": "openai", "endpoints": [f"http://{dead}"]}
    models: dict[str, Any] = {}
    for name in ("requests", "tokens", "money"):
        target = {"provider": name, "model": "m"}
        models[name] = {"targets": [target], "price": PRICE}
        models[f"{name}-or-spare"] = {"targets": [target, {"provider": "spare", "model": "m"}], "price": PRICE}
    keys: list[dict[str, Any]] = [{"key": f"env:{name}", "name": name} for name in SECRETS]
    # Keys are drawn by weight: with so much of it the first is drawn until it has no room.
    keys[0] |= {"budget": {"rpm": OF_KEY}, "weight": 100}
    providers["pool"] = {
        "api": "openai",
        "base_url": f"http://{engine}/v1",
        "api_keys": keys,
        "budget": {"rpm": OF_ALL},
    }
    models["pool"] = {"targets": [{"provider": "pool", "model": "m"}]}
    models["after-dead"] = {"targets": [{"provider": "dead", "model": "m"}, {"provider": "behind", "model": "m"}]}
    models["behind"] = {"targets": [{"provider": "behind", "model": "m"}]}
    models["spare"] = {"targets": [{"provider": "spare", "model": "m"}]}
    digest = sha256(KEY.encode()).hexdigest()
    return {
        "providers": providers,
        "models": models,
        "tenants": {"acme": {"models": list(models), "keys": [{"name": "only", "sha256": digest}]}},
        "services": {"counters": counters},
    }


@contextmanager
def running(folder: Path) -> Iterator[Capped]:
    (folder / "counters").mkdir()
    with (
        simulator(folder, "engine") as engine,
        refused_address() as dead,
        valkey_server(folder / "counters") as valkey,
        Redis(unix_socket_path=str(valkey.socket)) as counters,
        running_gateway(folder, configuration(engine.address, f"unix://{valkey.socket}", dead), SECRETS) as gateway,
    ):
        yield Capped(gateway, valkey, counters)


@pytest.fixture(scope="module")
def capped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capped]:
    with running(tmp_path_factory.mktemp("budgets")) as found:
        yield found


async def ask_all(gateway: RunningGateway, model: str, clients: int, each: int, **more: Any) -> "Counter[str]":
    """So many clients at once; who answered, or the error's code."""
    found: Counter[str] = Counter()
    headers = {"authorization": f"Bearer {KEY}"}
    body = chat(model, **{"simulate": {"tokens": 2}, **more})

    async def client() -> None:
        async with httpx2.AsyncClient(timeout=60) as session:
            for _ in range(each):
                reply = await session.post(gateway.url + CHAT, json=body, headers=headers)
                error = reply.json().get("error")
                found[error["code"] if error else reply.headers["x-headgate-target"]] += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return found


def ask(gateway: RunningGateway, model: str, **more: Any) -> httpx2.Response:
    return gateway.post(CHAT, chat(model, **{"simulate": {"tokens": 2}, **more}), KEY)


def decided_alone(capped: Capped) -> float:
    """How often a worker has gone by its part of a budget."""
    return metric(capped.gateway, 'headgate_provider_budget_decisions_total{by="emergency"')


async def by_the_counters(
    capped: Capped, provider: str, model: str, clients: int, each: int, **more: Any
) -> "Counter[str]":
    """Who answered in a round in which the counters got their CPU within 20 ms: all others are another test's."""
    for _ in range(30):
        for key in list(capped.counters.scan_iter(f"hg:{{provider/{provider}}}:[rt]pm*")):
            capped.counters.delete(key)
        alone = decided_alone(capped)
        found = await ask_all(capped.gateway, model, clients, each, **more)
        if decided_alone(capped) == alone:
            return found
        await settled(capped, provider)
    raise AssertionError("the counters are too slow")


async def settled(capped: Capped, provider: str) -> None:
    """Until nothing of it is held any more."""
    await until(lambda: not capped.counters.zcard(f"hg:{{provider/{provider}}}:open"))


async def test_64_clients_never_get_more_requests_than_the_budget_and_fall_back(capped: Capped) -> None:
    found = await by_the_counters(capped, "requests", "requests-or-spare", clients=64, each=3)
    assert found == {"requests": RPM, "spare": 64 * 3 - RPM}
    refused = ask(capped.gateway, "requests")
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "provider_budget_exhausted"
    assert refused.json()["error"]["type"] == "requests"
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert refused.headers["x-headgate-error-source"] == "gateway"
    assert "requests'" in refused.json()["error"]["message"]  # the model's name, and not a word of the provider
    assert metric(capped.gateway, 'headgate_provider_budget_refusals_total{limit="rpm",provider="requests"}') >= 172


async def test_tokens_are_reserved_whole_and_what_was_not_used_comes_back(capped: Capped) -> None:
    """Each may make 200 tokens, and makes 10."""
    body = {"max_tokens": 200, "simulate": {"tokens": 10}}
    held = {**body, "simulate": {"tokens": 10, "ttft_s": 6}}  # until the last of the 64 has asked
    found = await by_the_counters(capped, "tokens", "tokens-or-spare", clients=64, each=1, **held)
    assert 0 < found["tokens"] < 10  # prompts count too
    assert found["tokens"] + found["spare"] == 64
    await settled(capped, "tokens")
    assert await ask_all(capped.gateway, "tokens", clients=1, each=5, **body) == {"tokens": 5}
    alone = ask(capped.gateway, "tokens", max_tokens=TPM + 1)
    assert alone.status_code == 429
    assert "larger than the budget" in alone.json()["error"]["message"]
    assert alone.headers["x-should-retry"] == "false"
    assert "retry-after" not in alone.headers


async def test_money_is_not_passed_and_resets_with_the_month(capped: Capped) -> None:
    found = await ask_all(capped.gateway, "money-or-spare", 64, 3, max_tokens=10, simulate={"tokens": 10})
    assert found["money"] > 0
    assert found["money"] + found["spare"] == 64 * 3
    await settled(capped, "money")
    lines = [line for line in capped.gateway.spool.all() if line["type"] == "end" and line["target"] == "money"]
    cost = sum(line["prompt_tokens"] * 1_000_000 + line["completion_tokens"] * 2_000_000 for line in lines)
    key = "hg:{provider/money}:monthly_usd"
    await until(lambda: int(capped.counters.hget(key, "u") or 0) == cost)
    assert cost <= Decimal(USD) * NANO
    # All at once, requests reserve more than they then cost: 16 of them have room at least, for 0.024 each.
    assert cost > Decimal(USD) * NANO * Decimal("0.7")

    refused = ask(capped.gateway, "money", max_tokens=100)
    now = round(time.time() * 1000)
    start, end = window_of("month", 1, now)
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "insufficient_quota"
    assert time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end / 1000)) in refused.json()["error"]["message"]
    assert abs(int(refused.headers["retry-after"]) - (end - now) / 1000) < 5
    assert refused.headers["x-should-retry"] == "false"
    assert "providers" in refused.json()["error"]["message"]
    # As it stood at the end of last month, it is a new one.
    assert int(capped.counters.hget(key, "at") or 0) == start
    capped.counters.hset(key, "at", window_of("month", 1, start - 1)[0])
    assert ask(capped.gateway, "money", max_tokens=100).status_code == 200


async def test_a_key_has_a_budget_beside_that_of_its_provider(capped: Capped) -> None:
    """Another key goes on where one has no room, until all of the provider's is used."""
    found = await by_the_counters(capped, "pool", "pool", clients=4, each=10)
    assert found == {"pool": OF_ALL, "provider_budget_exhausted": 40 - OF_ALL}
    await settled(capped, "pool")
    lines = [line for line in capped.gateway.spool.all() if line["type"] == "end" and line["target"] == "pool"]
    keys = Counter(line["provider_key"] for line in lines[-OF_ALL:])
    assert keys == {"FIRST": OF_KEY, "SECOND": OF_ALL - OF_KEY}


async def test_what_answers_in_another_ones_place_is_counted_and_left_out_once_it_is_used_up(capped: Capped) -> None:
    """A fallback takes nothing in advance, and is known to be used up within a quarter of a second."""
    async with asyncio.timeout(60):
        while "behind" in await ask_all(capped.gateway, "after-dead", clients=4, each=5):
            pass
    used = sum(line["target"] == "behind" for line in capped.gateway.spool.all() if line["type"] == "end")
    assert used >= RPM
    assert ask(capped.gateway, "behind").status_code == 429


def test_other_requests_cost_the_counters_nothing(capped: Capped) -> None:
    def calls() -> int:
        found = capped.counters.info("commandstats")
        return sum(found.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))

    def ask_some(model: str) -> int:
        before, began = calls(), time.monotonic()
        for _ in range(20):
            assert ask(capped.gateway, model, max_tokens=2).status_code == 200
        return calls() - before - round(3 * (time.monotonic() - began))  # the ledger's own

    capped.counters.delete("hg:{provider/tokens}:tpm")
    assert ask_some("spare") < 10
    assert ask_some("tokens") >= 20


async def test_usage_of_lost_counters_is_written_again(capped: Capped) -> None:
    key = "hg:{provider/money}:monthly_usd"
    used = int(capped.counters.hget(key, "u") or 0)
    capped.counters.flushall()
    await until(lambda: int(capped.counters.hget(key, "u") or 0) >= used > 0)


async def test_limits_are_shown(capped: Capped) -> None:
    assert ask(capped.gateway, "money").status_code in (200, 429)  # a test before may have used it up
    await settled(capped, "money")
    said = headgate("limits", "show", "--provider", "money", "--state", str(capped.gateway.state), "--json")
    assert said.returncode == 0, said.stderr
    (row,) = json.loads(said.stdout)["limits"]
    assert row["limit"] == "monthly_usd"
    assert Decimal(row["cap"]) == Decimal(USD)
    assert Decimal(row["used"]) > 0
    text = headgate("limits", "show", "--provider", "requests", "--state", str(capped.gateway.state)).stdout
    assert "rpm" in text
    unknown = headgate("limits", "show", "--provider", "spare", "--state", str(capped.gateway.state))
    assert unknown.returncode == 0
    assert "no limits" in unknown.stdout
    gauge = 'headgate_provider_budget_limit{limit="monthly_usd",provider="money",provider_key=""}'
    assert metric(capped.gateway, gauge) == float(USD)


async def test_without_counters_each_worker_gives_out_its_part(tmp_path: Path) -> None:
    """Two workers have half of the budget each, and what passes is counted when the counters are back."""
    with running(tmp_path) as capped:
        assert ask(capped.gateway, "requests").status_code == 200
        await settled(capped, "requests")
        capped.valkey.kill()
        found = await ask_all(capped.gateway, "requests-or-spare", clients=32, each=3)
        assert 0 < found["requests"] <= RPM
        assert found["requests"] + found["spare"] == 96
        capped.valkey.start()
        key, all_of_them = "hg:{provider/requests}:rpm", found["requests"] + 1
        await until(lambda: int(capped.counters.hget(key, "sum") or 0) == all_of_them)
        assert "keeps its part of providers' budgets" in "".join(path.read_text() for path in capped.gateway.texts())
