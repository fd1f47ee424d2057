"""A gateway whose engine has few slots: clients that wait for one, and what the counters say of them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

import httpx2
from limited import counters_of, metric, until
from redis.exceptions import RedisError
from running_gateway import RunningGateway
from tenants import CHAT, UPSTREAM_MODEL, chat
from upstreams import Engine

from engines.simulator.options import DEFAULT_MODEL
from headgate.counters.queue import BEAT_MS
from headgate.counters.scripts import queue_keys

POOL = "llama"
PLANS: Mapping[str, Mapping[str, Any]] = {
    "acme": {},
    "globex": {"share": 2},
    "urgent": {"priority": "high"},
    "batch": {"priority": "low"},
    "counted": {"rpm": 1000, "tpm": 100_000, "concurrency": 50},
}


class Queued:
    """A running gateway, and the key of each of its tenants."""

    def __init__(self, gateway: RunningGateway, keys: Mapping[str, str], engine: Engine) -> None:
        self.gateway, self.keys, self.engine = gateway, keys, engine

    async def ask(
        self, tenant: str = "acme", model: str = "chat", headers: Mapping[str, str] | None = None, **simulate: Any
    ) -> httpx2.Response:
        """One request, whole."""
        body = chat(model, simulate={"tokens": 2, "token_s": 0, "ttft_s": 0.02, **simulate})
        said = {"authorization": f"Bearer {self.keys[tenant]}", "content-type": "application/json"}
        async with httpx2.AsyncClient(timeout=60) as client:
            return await client.post(
                self.gateway.url + CHAT, content=json.dumps(body), headers={**said, **(headers or {})}
            )

    def starts(self, *asked: Any, **differs: Any) -> "asyncio.Task[httpx2.Response]":
        return asyncio.create_task(self.ask(*asked, **differs))

    def waiting(self) -> int:
        """How many have a ticket."""
        with counters_of(self.gateway) as valkey:
            return int(valkey.zcard(queue_keys(POOL)[4]))

    async def all_asked_again(self, count: int) -> None:
        """So many wait, and a worker that is there now has asked for each of them."""
        beats, since = queue_keys(POOL)[4], None
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(RedisError), counters_of(self.gateway) as valkey:
                    seconds, micros = valkey.time()  # type: ignore[misc]
                    since = since or seconds * 1000 + micros // 1000
                    heard = [until_ms - BEAT_MS for _, until_ms in valkey.zrange(beats, 0, -1, withscores=True)]  # type: ignore[union-attr]
                    if len(heard) == count and min(heard) > since:
                        return
                await asyncio.sleep(0.02)

    def running(self) -> int:
        """How many have a slot."""
        with counters_of(self.gateway) as valkey:
            return int(valkey.zcard(queue_keys(POOL)[0]))

    async def fill(self, *tenants: str, model: str = "chat") -> "list[asyncio.Task[httpx2.Response]]":
        """One request of each, in this order; when all of them wait."""
        return [await self._waits(tenant, model) for tenant in tenants]

    async def _waits(self, tenant: str, model: str) -> "asyncio.Task[httpx2.Response]":
        """One that comes while the counters have no time for it goes on without: then another one."""
        async with asyncio.timeout(60):
            while True:
                before, alone = self.waiting(), self.let_through(model)
                task = self.starts(tenant, model)
                await until(lambda task=task, before=before: task.done() or self.waiting() > before)  # type: ignore[misc]
                if not task.done():
                    return task
                assert self.let_through(model) > alone, task.result()

    def let_through(self, model: str = "chat") -> float:
        """Requests that went on without a slot, since the counters were away."""
        series = f'headgate_engine_queue_requests_total{{model="{model}",outcome="emergency"'
        return metric(self.gateway, series)

    @contextlib.asynccontextmanager
    async def full(self, *, expects: bool = False) -> AsyncIterator["asyncio.Task[httpx2.Response]"]:
        """While the one slot is taken; it is given back at the end of the block, by a client that leaves.

        `expects`: when a turn comes is reckoned by what went before; otherwise nobody knows.
        """
        await until(lambda: not self.running() and not self.waiting())
        first = await self._holding()
        if not expects:
            with counters_of(self.gateway) as valkey:
                valkey.hdel(queue_keys(POOL)[2], "mean")
        try:
            yield first
        finally:
            first.cancel()

    async def _holding(self) -> "asyncio.Task[httpx2.Response]":
        """A request that has the slot: one that comes while the counters are away goes on without."""
        async with asyncio.timeout(60):
            while True:
                first = self.starts(ttft_s=60.0)
                with contextlib.suppress(TimeoutError):
                    await until(lambda: self.running() == 1, within_s=5)
                    return first
                first.cancel()

    async def order(self, tasks: "list[asyncio.Task[httpx2.Response]]") -> list[int]:
        """The tasks' numbers in the order in which the engine got their requests."""
        replies = await asyncio.gather(*tasks)
        assert [reply.status_code for reply in replies] == [200] * len(replies)
        seen = [line["id"] for line in self.engine.lines.all() if line["event"] == "request"]
        at = {reply.headers["x-request-id"]: number for number, reply in enumerate(replies)}
        return [number for one in seen for request_id, number in at.items() if one.endswith(request_id)]

    async def is_empty(self) -> None:
        """Nobody has a slot or waits for one."""
        await until(lambda: not self.running() and not self.waiting(), within_s=20)


def queued(engine: Engine, other: Engine) -> tuple[dict[str, Any], dict[str, str]]:
    """gateway.yaml, and the tenants' keys. The engine takes one request at once."""
    keys = {tenant: f"hg-{token_urlsafe(32)}" for tenant in PLANS}
    target = {"provider": POOL, "model": DEFAULT_MODEL}
    elsewhere = {"provider": "elsewhere", "model": UPSTREAM_MODEL}
    models: dict[str, Any] = {
        "chat": {"targets": [target], "queue": {"length": 30, "max_wait": "30s"}},
        "short": {"targets": [target], "queue": {"length": 2, "max_wait": "30s"}},
        "hasty": {"targets": [target], "queue": {"max_wait": "1100ms"}},
        "rude": {"targets": [target]},
        "either": {"targets": [target, elsewhere], "queue": {}},
    }
    config = {
        "engines": {
            POOL: {
                "kind": "simulator",
                "endpoints": [f"http://{engine.address}"],
                "served_name": DEFAULT_MODEL,
                "max_running": 1,
            }
        },
        "providers": {"elsewhere": {"api": "openai", "endpoints": [f"http://{other.address}"]}},
        "models": models,
        "plans": {name: dict(plan) for name, plan in PLANS.items()},
        "tenants": {
            name: {
                "plan": name,
                "models": list(models),
                "keys": [{"name": "ci", "sha256": sha256(key.encode()).hexdigest()}],
            }
            for name, key in keys.items()
        },
    }
    return config, keys
