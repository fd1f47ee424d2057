"""A price that is edited under a running gateway: each request costs what it cost when it began."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from edits import Edited, edited
from prometheus_client.parser import text_string_to_metric_families


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Edited]:
    async with edited(tmp_path) as found:
        yield found


def price(usd: str) -> dict[str, Any]:
    """The same for every token, per token."""
    return {"price": {"input": str(Decimal(usd) * 1_000_000), "output": str(Decimal(usd) * 1_000_000)}}


async def sample(gateway: Edited, name: str) -> float:
    """The sum of a metric's samples."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{gateway.gateway.admin}/metrics") as reply:
        families = text_string_to_metric_families(await reply.text())
    return sum(one.value for family in families for one in family.samples if one.name == name)


async def costs(gateway: Edited, usd: float) -> None:
    async with asyncio.timeout(60):
        while (found := await sample(gateway, "headgate_cost_usd_total")) != usd:
            assert found < usd
            await asyncio.sleep(0.05)


async def slow(gateway: Edited, go_on: asyncio.Event) -> int:
    """A stream of 40 tokens that begins now and ends seconds later; its prompt and completion tokens."""
    events: list[str] = []
    body = {"messages": [{"role": "user", "content": "one two three"}], "stream": True, "model": "chat",
            "stream_options": {"include_usage": True}, "simulate": {"tokens": 40, "token_s": 0.1}}  # fmt: skip
    headers = {"authorization": f"Bearer {gateway.key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(gateway.gateway.url(), json=body) as reply,
    ):
        assert reply.status == 200
        async for line in reply.content:
            events.append(line.decode())
            go_on.set()
    used = next(event for event in events if '"total_tokens"' in event)
    return int(used.partition('"total_tokens":')[2].partition("}")[0].partition(",")[0])


@pytest.mark.parametrize("ledger", ["stays", "is killed"])
async def test_a_request_costs_what_it_cost_when_it_began(gateway: Edited, ledger: str) -> None:
    """Powers of two, so that a float adds up exactly."""
    gateway.document["models"]["chat"] |= price("0.25")
    await gateway.start()
    began = asyncio.Event()
    running = asyncio.create_task(slow(gateway, began))
    await asyncio.wait_for(began.wait(), 20)
    if ledger == "is killed":
        os.kill(gateway.gateway.pids()["ledger"], signal.SIGKILL)
    gateway.document["models"]["chat"] |= price("16")
    await gateway.saved()
    status, answer = await gateway.ask()
    assert status == 200
    assert not running.done(), "the price changed while it ran"
    old, new = await running, answer["usage"]["total_tokens"]
    assert min(old, new) > 0
    await costs(gateway, 0.25 * old + 16 * new)
    assert await sample(gateway, "headgate_unpriced_requests_total") == 0
    assert gateway.file_of("prices/1.json")["models"]["chat"]["output"] == "250000.00"
    assert gateway.file_of("prices/2.json")["models"]["chat"]["cache_write"] == "16000000"


async def test_generations_are_not_used_twice_when_their_count_is_lost(gateway: Edited) -> None:
    gateway.document["models"]["chat"] |= price("1")
    await gateway.start()
    gateway.gateway.send(signal.SIGTERM)
    assert await gateway.gateway.wait() == 0
    (gateway.gateway.state / "generation.json").unlink()
    gateway.document["models"]["chat"] |= price("2")
    await gateway.start()
    assert (await gateway.config())["generation"] == 2
    assert gateway.file_of("prices/1.json")["models"]["chat"]["input"] == "1000000"
    assert gateway.file_of("prices/2.json")["models"]["chat"]["input"] == "2000000"
