"""Real vLLM with fewer places than live adapters: each is loaded when it is asked for, and nobody is refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.supervise.gateway_process import GatewayProcess
from tests.vllm.adapter_gateway import TURN_S, Adapters
from tests.vllm.managed_vllm import managed_vllm

pytestmark = pytest.mark.vllm

PLACES = 2
WEIGHTS = {"one": "acme", "two": "globex", "three": "acme", "four": "globex"}


@pytest.fixture
async def adapters(tiny: Path, tmp_path: Path) -> AsyncIterator[Adapters]:
    gateway = GatewayProcess(tmp_path / "state")
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(managed_vllm(gateway, tiny / "model", replicas=2, max_loras=PLACES)))
    try:
        made = Adapters(gateway, tiny)
        await made.start(file)
        yield made
    finally:
        await gateway.clean_up()


async def ask(adapters: Adapters, name: str) -> tuple[int, dict[str, Any]]:
    return await adapters.complete(f"acme/{name}", max_tokens=20)


async def test_more_live_adapters_than_places_all_answer(adapters: Adapters) -> None:
    for name, weights in WEIGHTS.items():
        await adapters.push(weights, "--name", name, "--promote")
        async with asyncio.timeout(TURN_S):
            while (await ask(adapters, name))[0] == 404:  # noqa: ASYNC110 - other processes make it live
                await asyncio.sleep(0.2)
    for _ in range(2):
        replies = dict(zip(WEIGHTS, await asyncio.gather(*(ask(adapters, name) for name in WEIGHTS)), strict=True))
        assert {name: status for name, (status, _) in replies.items()} == dict.fromkeys(WEIGHTS, 200), replies
        said = {name: body["choices"][0]["message"]["content"] for name, (_, body) in replies.items()}
        assert said["one"] == said["three"] != said["two"] == said["four"]
        assert all(body["model"].startswith(f"acme/{name}@1-") for name, (_, body) in replies.items())
    assert await adapters.metric("headgate_adapter_waits_total", outcome="loaded") >= PLACES
    assert await adapters.metric("headgate_adapter_waits_total", outcome="timeout") == 0
    assert await adapters.metric("headgate_adapter_evictions_total", why="demand") >= PLACES
