"""An Envoy that is killed takes no request with it: each is charged what had passed, whatever limits there are."""

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from limited import Limited, limited, metric, until
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, chat
from upstreams import Engine

from ledger.spool.lines import RECOVERED

STREAMS, WAITING, CLIENTS = 6, 3, 8
ENDLESS = {"tokens": 100_000, "token_s": 0.004}


@pytest.fixture(scope="module")
def setup(engine: Engine) -> Limited:
    """`free` has no limit, and holds nothing."""
    return limited(engine, {"acme": {"tpm": 10_000_000, "concurrency": 100}})


@pytest.fixture(scope="module")
def gateway(setup: Limited, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    setup.config["providers"]["local"]["usage"] = "continuous"
    with running_gateway(tmp_path_factory.mktemp("inflight"), setup.config, {}) as running:
        yield running


@dataclass
class Cut:
    """A request that did not come to its end; `got` are the tokens that its client has."""

    id: str = ""
    got: int = 0


async def ask(gateway: RunningGateway, key: str, cut: Cut, **simulate: Any) -> None:
    body = chat("chat", stream=True, user="ünser\n", max_tokens=100_000, simulate={**ENDLESS, **simulate})
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    with suppress(httpx2.TransportError):
        async with (
            httpx2.AsyncClient(timeout=60) as client,
            client.stream("POST", gateway.url + CHAT, content=json.dumps(body), headers=headers) as reply,
        ):
            cut.id = reply.headers["x-request-id"]
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    cut.got += sum(bool(one["delta"].get("content")) for one in json.loads(line[6:])["choices"])


def used(gateway: RunningGateway) -> dict[str, list[int]]:
    """Requests, input and output tokens by tenant, as the ledger has counted them."""
    with closing(sqlite3.connect(f"file:{gateway.state}/ledger/usage.db?mode=ro", uri=True)) as database:
        found = database.execute("SELECT tenant, requests, input, output FROM usage_by_day").fetchall()
    return {tenant: counts for tenant, *counts in found}


async def kill_envoy(gateway: RunningGateway) -> None:
    (pid,) = gateway.pids("envoy").values()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: gateway.pids("envoy") and [*gateway.pids("envoy").values()] != [pid])
    await until(lambda: gateway.readyz()["parts"]["envoy"]["ready"])


def recovered(gateway: RunningGateway) -> list[dict[str, Any]]:
    return [line for line in gateway.spool.all() if line.get("flags") == RECOVERED]


async def test_what_streams_had_delivered_is_charged(gateway: RunningGateway, setup: Limited, engine: Engine) -> None:
    cuts = {tenant: [Cut() for _ in range(STREAMS)] for tenant in ("free", "acme")}
    tasks = [
        asyncio.create_task(ask(gateway, setup.keys[tenant], cut)) for tenant, some in cuts.items() for cut in some
    ]
    await until(lambda: all(cut.got > 50 for some in cuts.values() for cut in some))
    await kill_envoy(gateway)
    await asyncio.gather(*tasks)
    await until(lambda: len(recovered(gateway)) == 2 * STREAMS)
    await until(lambda: {name: one[0] for name, one in used(gateway).items()} == dict.fromkeys(cuts, STREAMS))
    lines = {line["request_id"]: line for line in recovered(gateway)}
    for tenant, some in cuts.items():
        for cut in some:
            line = lines[cut.id]
            made = engine.disconnect(cut.id)["chunks_sent"]
            assert cut.got <= line["completion_tokens"] <= made + 1
            assert (line["tenant"], line["key_id"], line["user"]) == (tenant, "ci", "ünser\n")
            assert (line["status"], line["target"], line["streamed"]) == (200, "local", True)
        charged = used(gateway)[tenant]
        assert charged[2] == sum(lines[cut.id]["completion_tokens"] for cut in some)
        assert charged[1] >= STREAMS
    assert metric(gateway, 'headgate_estimated_charges_total{reason="epoch"}') == 0
    assert len([*(gateway.state / "spool").glob("*.inflight")]) <= 2  # those of the one that runs


async def test_what_had_no_answer_yet_is_charged_its_prompt(gateway: RunningGateway, setup: Limited) -> None:
    before, lines = used(gateway).get("free", [0, 0, 0]), len(recovered(gateway))
    body, key = chat("chat", simulate={"tokens": 2, "ttft_s": 60}), setup.keys["free"]
    async with httpx2.AsyncClient(timeout=60, headers={"authorization": f"Bearer {key}"}) as client:
        tasks = [asyncio.create_task(client.post(gateway.url + CHAT, json=body)) for _ in range(WAITING)]
        # Those that have come so far are in the records; a client's connection alone would not say so.
        await until(lambda: metric(gateway, "headgate_provider_requests_in_flight") == WAITING)
        await kill_envoy(gateway)
        assert {type(one).__name__ for one in await asyncio.gather(*tasks, return_exceptions=True)} <= {
            "ReadError",
            "RemoteProtocolError",
        }
    await until(lambda: len(recovered(gateway)) == lines + WAITING)
    assert {line["status"] for line in recovered(gateway)[lines:]} == {0}
    await until(lambda: used(gateway)["free"][0] == before[0] + WAITING)
    charged = used(gateway)["free"]
    assert charged[1] - before[1] >= WAITING
    assert charged[2] == before[2]


async def test_what_was_answered_right_before_is_counted_once(gateway: RunningGateway, setup: Limited) -> None:
    """Envoy writes lines every 20 ms: those that it still had when it was killed are made of its records."""
    answered: list[str] = []
    before, key = used(gateway).get("free", [0]), setup.keys["free"]

    async def client() -> None:
        with suppress(httpx2.TransportError):
            async with httpx2.AsyncClient(timeout=60, headers={"authorization": f"Bearer {key}"}) as session:
                while True:
                    reply = await session.post(gateway.url + CHAT, json=chat("chat", simulate={"tokens": 3}))
                    assert reply.status_code == 200
                    answered.append(reply.headers["x-request-id"])

    tasks = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    await until(lambda: len(answered) > 50)
    await kill_envoy(gateway)
    await asyncio.gather(*tasks)
    await until(lambda: set(answered) <= ended(gateway))
    lines = [line for line in gateway.spool.all() if line["type"] == "end" and line["request_id"] in set(answered)]
    assert len(lines) == len(answered)
    assert {(line["status"], line["completion_tokens"]) for line in lines} == {(200, 3)}
    await until(lambda: used(gateway)["free"][0] >= before[0] + len(answered))
    assert used(gateway)["free"][0] <= before[0] + len(answered) + CLIENTS


def ended(gateway: RunningGateway) -> set[str]:
    return {line["request_id"] for line in gateway.spool.all() if line["type"] == "end"}
