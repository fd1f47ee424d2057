"""Tokens that nobody reports are charged as the engine made them, within 5 %, once others were reported."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx2
import pytest
from limited import Limited, limited, until
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, chat
from upstreams import Engine

PER_EVENT = 3
LESSONS, LEFT = 30, 16


@pytest.fixture(scope="module")
def setup(engine: Engine) -> Limited:
    """A provider that reports at the end; no limit by tokens, so that no prompt is counted either."""
    return limited(engine, {"acme": {"rpm": 1_000_000}})


@pytest.fixture(scope="module")
def gateway(setup: Limited, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("estimates"), setup.config, {}) as running:
        yield running


def body(number: int, **simulate: Any) -> dict[str, Any]:
    """A stream of several tokens in each event; its prompt has some words more than the one before."""
    shape = {"tokens": 200 + 7 * number % 50, "token_s": 0.001, "tokens_per_event": PER_EVENT, **simulate}
    prompt = [{"role": "user", "content": "word " * (50 + number)}]
    return chat("chat", stream=True, messages=prompt, simulate=shape)


def used(gateway: RunningGateway, tenant: str) -> tuple[int, int, int]:
    """Requests, input and output tokens of a tenant, as the ledger has counted them."""
    with closing(sqlite3.connect(f"file:{gateway.state}/ledger/usage.db?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT total(requests), total(input), total(output) FROM usage_by_day WHERE tenant = ?", (tenant,)
        ).fetchone()
    return int(rows[0]), int(rows[1]), int(rows[2])


async def leave(gateway: RunningGateway, key: str, number: int, events: int) -> str:
    """Hang up after so many events; the request's id."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    raw = json.dumps(body(number, tokens=3000, token_s=0.003))
    async with (
        httpx2.AsyncClient(timeout=60) as client,
        client.stream("POST", gateway.url + CHAT, content=raw, headers=headers) as reply,
    ):
        assert reply.status_code == 200
        seen = 0
        async for data in reply.aiter_bytes():
            seen += data.count(b"\n\n")
            if seen > events:
                break
        return str(reply.headers["x-request-id"])


def near(charged: int, made: int) -> bool:
    return abs(charged - made) <= 0.05 * made


async def test_what_clients_leave_is_charged_within_5_percent(
    gateway: RunningGateway, setup: Limited, engine: Engine
) -> None:
    for number in range(LESSONS):
        assert gateway.post(CHAT, body(number), setup.keys["free"]).status_code == 200
    await until(lambda: used(gateway, "free")[0] == LESSONS)
    leaving = (leave(gateway, setup.keys["acme"], number, 60 + 5 * number) for number in range(LEFT))
    ids = await asyncio.gather(*leaving)
    sent = [engine.disconnect(request_id)["chunks_sent"] * PER_EVENT for request_id in ids]
    words = [len(json.loads(engine.request(one)["body"])["messages"][-1]["content"].split()) for one in ids]
    await until(lambda: used(gateway, "acme")[0] == LEFT)
    _, prompts, answers = used(gateway, "acme")
    assert near(answers, sum(sent)), (answers, sum(sent))
    assert near(prompts, sum(words)), (prompts, sum(words))


async def test_what_a_provider_does_not_report_is_charged_within_5_percent(
    gateway: RunningGateway, setup: Limited
) -> None:
    """After the lessons of the test before; whole streams, so that all that was made has passed."""
    before = used(gateway, "globex")
    bodies = [body(number, tokens=100 + number, no_usage=True) for number in range(LEFT)]
    for one in bodies:
        assert gateway.post(CHAT, one, setup.keys["globex"]).status_code == 200
    await until(lambda: used(gateway, "globex")[0] == before[0] + LEFT)
    made = sum(100 + number for number in range(LEFT))
    assert near(used(gateway, "globex")[2] - before[2], made)
