"""Clients that send one request after the other are not refused for what their last one has just held."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator

import httpx2
import pytest
from quotas import Quotas, asked, quotas
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT
from upstreams import Engine

pytestmark = pytest.mark.alone

PLANS = {
    "one": {"concurrency": 1},
    "four": {"concurrency": 4},
    "day": {"daily_tokens": 6000},
    "minute": {"tpm": 6000},
}
EACH = 12
TRIES = 8  # a busy machine may be late with an end, now and then; without waiting a third is refused, every time


@pytest.fixture(scope="module")
def running(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningGateway, Quotas]]:
    setup = quotas(engine, PLANS)
    with running_gateway(tmp_path_factory.mktemp("serial"), setup.config, {}) as gateway:
        yield gateway, setup


async def statuses(gateway: RunningGateway, key: str, clients: int, max_tokens: int | None) -> Counter[int]:
    """Of so many clients, each with one connection and one request at a time."""
    found: Counter[int] = Counter()
    body = json.dumps(asked(max_tokens, tokens=5))

    async def client() -> None:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        async with httpx2.AsyncClient(timeout=60) as session:
            for _ in range(EACH):
                reply = await session.post(gateway.url + CHAT, content=body, headers=headers)
                found[reply.status_code] += 1
                if reply.status_code == 429:
                    await asyncio.sleep(0.2)

    await asyncio.gather(*(client() for _ in range(clients)))
    return found


@pytest.mark.parametrize(
    ("tenant", "clients", "max_tokens"),
    [
        ("one", 1, 20),
        ("four", 4, 20),
        ("day", 1, None),  # reserves all that is left
        ("minute", 1, None),
    ],
)
async def test_none_is_refused(
    running: tuple[RunningGateway, Quotas], tenant: str, clients: int, max_tokens: int | None
) -> None:
    gateway, setup = running
    refused = []
    for _ in range(TRIES):
        found = await statuses(gateway, setup.keys[tenant], clients, max_tokens)
        assert set(found) <= {200, 429}
        refused.append(found[429])
        if not found[429]:
            return
    pytest.fail(f"refused, of {clients * EACH}: {refused}")
