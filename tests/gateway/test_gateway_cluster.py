"""The whole gateway on a cluster: limits hold, and a node that is lost costs its own tenants, and no others."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from limited import decided_alone, metric, until, until_counted
from quotas import Quotas, Used, ask, asked, quotas, settled, shown, used
from running_gateway import RunningGateway, headgate, running_gateway
from tenants import CHAT
from upstreams import Engine

from headgate.counters.scripts import open_key
from tests.counters.valkey_cluster import ValkeyCluster, valkey_cluster, wait

CLIENTS = 32
TOKENS, HOURLY = 1000, 40
AWAY = "a node of the counters is away: this worker limits its tenants by itself"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    with valkey_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def setup(engine: Engine, cluster: ValkeyCluster) -> Quotas:
    """A tenant with limited tokens on each node, and two with a day's requests."""
    tokens = {"tpm": 100 * TOKENS, "daily_tokens": TOKENS, "concurrency": CLIENTS}
    plans: dict[str, dict[str, Any]] = {cluster.tenant(node, "tokens"): dict(tokens) for node in range(3)}
    plans |= {cluster.tenant(node, "day"): {"daily_requests": 24 * cap} for node, cap in enumerate((10**6, HOURLY))}
    return quotas(engine, plans, services={"counters": cluster.url})


@pytest.fixture(scope="module")
def gateway(setup: Quotas, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), setup.config, {}) as running:
        yield running


async def push(gateway: RunningGateway, keys: list[str], body: dict[str, Any], each: int) -> list[Counter[int]]:
    """Many clients at once with each key: answers by status, in the keys' order."""
    statuses: dict[str, Counter[int]] = {key: Counter() for key in keys}

    async def client(key: str) -> None:
        async with httpx2.AsyncClient(timeout=60) as session:
            for _ in range(each):
                headers = {"authorization": f"Bearer {key}"}
                reply = await session.post(gateway.url + CHAT, json=body, headers=headers)
                statuses[key][reply.status_code] += 1

    await asyncio.gather(*(client(key) for key in keys for _ in range(CLIENTS)))
    return [statuses[key] for key in keys]


def logged(gateway: RunningGateway, event: str) -> list[dict[str, Any]]:
    paths: list[Path] = sorted(gateway.state.glob("log/filters-*.log"))
    lines = [json.loads(text) for path in paths for text in path.read_text().splitlines() if event in text]
    return [line for line in lines if line["event"] == event]


async def test_limits_hold_on_every_node(gateway: RunningGateway, setup: Quotas, cluster: ValkeyCluster) -> None:
    """Not a unit above, and nothing refused that there was room for once all had settled."""
    tenants = [cluster.tenant(node, "tokens") for node in range(3)]
    body = asked(tokens=8, max_tokens=20)
    for statuses in await push(gateway, [setup.keys[tenant] for tenant in tenants], body, each=3):
        assert set(statuses) == {200, 429}
    for tenant, node in zip(tenants, cluster.nodes, strict=False):
        alone, status = -1.0, 200
        while status == 200 or decided_alone([gateway]) != alone:  # alone a worker has a part of the limit
            await until_counted([gateway])
            await until(lambda tenant=tenant, node=node: not node.ask("ZCARD", open_key(tenant)))
            alone = decided_alone([gateway])
            status = (await asyncio.to_thread(ask, gateway, setup.keys[tenant], body)).status_code
        assert status == 429
        rows = await settled(gateway, tenant)
        found = used([gateway], tenant)
        assert found.tokens <= TOKENS
        assert rows["daily_tokens"]["used"] == found.tokens
        assert found.tokens + Used(1, found.estimate, 16).tokens > TOKENS


async def test_a_node_that_is_killed(gateway: RunningGateway, setup: Quotas, cluster: ValkeyCluster) -> None:
    """Its tenants are on the emergency limit, and what passes is added once it is back; others notice nothing."""
    well, gone = (cluster.tenant(node, "day") for node in range(2))
    for tenant in (well, gone):
        assert ask(gateway, setup.keys[tenant]).status_code == 200
        await settled(gateway, tenant)
    node = cluster.nodes[1]
    node.server.kill()
    try:
        await until(lambda: len([line for line in logged(gateway, AWAY) if line["node"] == node.name]) >= 2)
        of_well, of_gone = await push(gateway, [setup.keys[well], setup.keys[gone]], asked(), each=2)
        assert of_well == {200: 2 * CLIENTS}
        assert set(of_gone) == {200, 429}
        assert HOURLY // 2 <= of_gone[200] <= HOURLY  # a 24th of the day's, and half of that in each of two workers
        rows = await settled(gateway, well)
        assert rows["daily_requests"]["used"] == 1 + 2 * CLIENTS
        shows = headgate("limits", "show", gone, "--state", str(gateway.state))
        assert (shows.returncode, "away" in shows.stderr) == (1, True)
    finally:
        node.server.start()
    wait(cluster.is_well)
    await until(lambda: not metric(gateway, "headgate_limiter_emergency"))
    passed = 1 + of_gone[200]
    await until(lambda: shown(gateway, gone)["daily_requests"]["used"] == passed)
    assert ask(gateway, setup.keys[gone]).status_code == 200
