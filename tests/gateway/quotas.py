"""Gateways with quotas: what the spool says was used, what `headgate limits show` says, and requests to compare."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

import httpx2
from running_gateway import RunningGateway, headgate
from tenants import CHAT, UPSTREAM_MODEL, chat
from upstreams import Engine

# USD per million tokens: a completion token costs 0.002 USD, so that a dollar is soon spent.
PRICE = {"input": "1000", "output": "2000"}


@dataclass(frozen=True)
class Quotas:
    """A configuration and the key of each tenant: one for each plan, by the plan's name."""

    config: dict[str, Any]
    keys: dict[str, str]


def quotas(engine: Engine, plans: Mapping[str, Mapping[str, Any]], **more: Any) -> Quotas:
    """gateway.yaml with a tenant for each plan; `more` are further sections."""
    keys = {tenant: f"hg-{token_urlsafe(32)}" for tenant in plans}
    target = {"provider": "local", "model": UPSTREAM_MODEL}
    provider = {"api": "openai", "endpoints": [f"http://{engine.address}"], "zone": "internal", "usage": "continuous"}
    models: dict[str, Any] = {name: {"targets": [target], "price": PRICE} for name in ("chat", "big", "hasty")}
    models["hasty"]["timeouts"] = {"headers": "300ms", "idle": "300ms", "total": "1s"}
    config = {
        "providers": {"local": provider},
        "models": models,
        "plans": dict(plans),
        "tenants": {
            name: {
                "plan": name,
                "models": list(models),
                "keys": [{"name": "ci", "sha256": sha256(key.encode()).hexdigest()}],
            }
            for name, key in keys.items()
        },
        **more,
    }
    return Quotas(config, keys)


def asked(max_tokens: int | None = 20, *, tokens: int = 20, model: str = "chat", **simulate: Any) -> dict[str, Any]:
    """A streamed chat that generates `tokens`, and may generate `max_tokens`."""
    limit = {} if max_tokens is None else {"max_tokens": max_tokens}
    return chat(model, stream=True, simulate={"tokens": tokens, "token_s": 0, "ttft_s": 0, **simulate}, **limit)


def ask(gateway: RunningGateway, key: str, body: dict[str, Any] | None = None) -> httpx2.Response:
    """One request; by default twenty tokens long."""
    return gateway.post(CHAT, body or asked(), key)


def shown(gateway: RunningGateway, tenant: str, *options: str) -> dict[str, dict[str, Any]]:
    """What `headgate limits show` says, by the limit's name."""
    command = ("limits", "show", tenant, "--state", str(gateway.state), "--json", *options)
    said = headgate(*command)
    assert said.returncode == 0, said.stderr
    return {row["name"]: row for row in json.loads(said.stdout)["limits"]}


async def settled(gateway: RunningGateway, tenant: str, within_s: float = 60.0) -> dict[str, dict[str, Any]]:
    """The same once nothing is reserved any more."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        rows = await asyncio.to_thread(shown, gateway, tenant)
        if not any(Decimal(row["reserved"]) for row in rows.values()):
            return rows
        assert asyncio.get_running_loop().time() < deadline, rows
        await asyncio.sleep(0.1)


@dataclass
class Used:
    """What the end lines of the spool add up to, of requests that the limiter let through."""

    requests: int = 0
    input: int = 0
    output: int = 0
    estimate: int = 0  # of a prompt, the last one

    @property
    def tokens(self) -> int:
        return self.input + self.output

    @property
    def usd(self) -> Decimal:
        """By PRICE."""
        return Decimal(self.input * 1000 + self.output * 2000) / 10**6


def used(gateways: list[RunningGateway], tenant: str) -> Used:
    """By the lines alone."""
    total = Used()
    for gateway in gateways:
        for line in gateway.spool.all():
            if line["type"] == "end" and line["tenant"] == tenant and (line["reserved"] or line["attempts"]):
                total.requests += 1
                prompt, answer = line["prompt_tokens"], line["completion_tokens"]
                left = line["attempts"] and {"DC", "DR"} & set(line["flags"].split(","))
                if 200 <= line["status"] < 300 or left:  # as docs/settlement.md says, of answers without their counts
                    guess = max(line["content_events"] or 0, -(-(line["content_bytes"] or 0) // 4))
                    prompt = line["estimated_tokens"] if prompt is None else prompt
                    answer = guess if answer is None else answer
                total.input += prompt or 0
                total.output += answer or 0
                total.estimate = line["estimated_tokens"] or 0
    return total
