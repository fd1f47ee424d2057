"""Gateways with limits: their file, clients that push against it, and what the engine says came through."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
from redis import Redis
from running_gateway import RunningGateway
from tenants import CHAT, UPSTREAM_MODEL, chat
from upstreams import Engine

TENANTS = ("acme", "globex", "free")


@dataclass(frozen=True)
class Limited:
    """A configuration and the key of each tenant; `free` has no plan."""

    config: dict[str, Any]
    keys: dict[str, str]


def limited(engine: Engine, plans: Mapping[str, Mapping[str, Any]], **more: Any) -> Limited:
    """gateway.yaml with a plan per tenant; `more` are further sections."""
    keys = {tenant: f"hg-{token_urlsafe(32)}" for tenant in dict.fromkeys((*TENANTS, *plans))}
    tenants = {
        name: {"models": ["chat"], "keys": [{"name": "ci", "sha256": sha256(key.encode()).hexdigest()}]}
        for name, key in keys.items()
    }
    for name in plans:
        tenants[name]["plan"] = name
    config = {
        "providers": {"local": {"api": "openai", "endpoints": [f"http://{engine.address}"], "zone": "internal"}},
        "models": {"chat": {"targets": [{"provider": "local", "model": UPSTREAM_MODEL}]}},
        "plans": dict(plans),
        "tenants": tenants,
        **more,
    }
    return Limited(config, keys)


def ask(gateway: RunningGateway, key: str, **simulate: Any) -> httpx2.Response:
    """One small request."""
    return gateway.post(CHAT, chat(simulate={"tokens": 2, **simulate}), key)


async def push(
    gateways: list[RunningGateway], key: str, clients: int, each: int, *, insist: bool = False, **simulate: Any
) -> Counter[int]:
    """So many clients at once, `each` requests per client, in turn to all gateways: answers by status.

    `insist`: whoever is refused asks again until it is let in.
    """
    statuses: Counter[int] = Counter()
    body = json.dumps(chat(stream=True, simulate={"tokens": 2, **simulate}))
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    async def client(number: int) -> None:
        async with httpx2.AsyncClient(timeout=60) as session:
            for turn in range(each):
                url = gateways[(number + turn) % len(gateways)].url + CHAT
                while True:
                    reply = await session.post(url, content=body, headers=headers)
                    statuses[reply.status_code] += 1
                    if reply.status_code != 429:
                        break
                    assert int(reply.headers["retry-after"]) >= 1
                    if not insist:
                        break
                    await asyncio.sleep(0.02)

    await asyncio.gather(*(client(number) for number in range(clients)))
    return statuses


@dataclass
class Seen:
    """What the engine itself recorded of the requests since `since`: how many, and how many at once."""

    requests: int
    at_once: int


def size_of(record: Path) -> int:
    """Bytes of the engine's record so far."""
    return record.stat().st_size


def seen(record: Path, since: int) -> Seen:
    """Read from byte `since` of the engine's record."""
    now = most = total = 0
    for text in record.read_bytes()[since:].splitlines():
        line = json.loads(text)
        if line["event"] == "request":
            total, now = total + 1, now + 1
            most = max(most, now)
        else:
            now -= 1
    return Seen(total, most)


@contextlib.contextmanager
def counters_of(gateway: RunningGateway) -> Iterator[Redis]:
    """A client of a gateway's embedded counters."""
    with Redis(
        unix_socket_path=str(gateway.state / "run/counters.sock"), decode_responses=True, socket_timeout=60
    ) as client:
        yield client


def metric(gateway: RunningGateway, start: str) -> float:
    """The sum of the samples whose line begins so."""
    text = httpx2.get(f"http://{gateway.admin_address}/metrics", timeout=60).text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(start))


def decided_alone(gateways: list[RunningGateway]) -> float:
    """Requests that workers decided without the counters: on a busy machine these get no CPU for long enough."""
    return sum(metric(gateway, 'headgate_limiter_decisions_total{by="emergency"') for gateway in gateways)


async def until_counted(gateways: list[RunningGateway]) -> None:
    """Wait until no worker decides without the counters any more."""
    await until(lambda: sum(metric(gateway, "headgate_limiter_emergency") for gateway in gateways) == 0)


async def until(condition: Any, within_s: float = 60.0) -> float:
    """Wait until it holds; the seconds that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            # Many conditions ask the gateway: asked without a pause it would have no time for what is waited for.
            await asyncio.sleep(min(0.005 + (loop.time() - began) / 10, 0.2))
    return loop.time() - began
