"""vLLM that `headgate up` starts: it serves, asks for the gateway's key, and is killed as a whole."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.supervise.gateway_process import GatewayProcess, until
from tests.vllm.managed_vllm import KEY, managed_vllm
from tests.vllm.vllm_replica import MODEL, START_S

pytestmark = pytest.mark.vllm

REPLICA = "engine-llama-0"
ASKED_FOR_THE_KEY = (
    *(("GET", "/v1/models"), ("POST", "/v1/load_lora_adapter"), ("POST", "/v1/completions")),
    *(("POST", "/invocations"), ("POST", "/tokenize"), ("GET", "/version")),
)
QUESTION = {
    "model": "chat",
    "messages": [{"role": "user", "content": "hello"}],
    "temperature": 0,
    "max_tokens": 60,
}


@pytest.fixture
async def gateway(tiny: Path, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    """One whose engine is vLLM on the CPU."""
    gateway = GatewayProcess(tmp_path / "state")
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(managed_vllm(gateway, tiny / "model", max_loras=2)))
    try:
        await gateway.start("-c", str(file), quick=False)
        yield gateway
    finally:
        await gateway.clean_up()


async def chat(gateway: GatewayProcess) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(gateway.url(), json=QUESTION, headers={"authorization": f"Bearer {KEY}"}) as reply,
    ):
        return reply.status, await reply.json()


async def answer(gateway: GatewayProcess) -> dict[str, Any]:
    """The first one that the engine gives: until it is ready, requests are refused."""
    async with asyncio.timeout(START_S):
        while (answered := await chat(gateway))[0] != 200:
            assert "traceback" not in str(answered[1]).lower()
            await asyncio.sleep(0.5)
    return answered[1]


def group_of(leader: int) -> set[int]:
    """The processes that it leads, by their numbers."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] not in "ZX":
            found.add(int(stat.parent.name))
    return found


async def test_it_serves_asks_for_its_key_and_is_killed_as_a_whole(gateway: GatewayProcess) -> None:
    first = await answer(gateway)
    assert first["model"] == MODEL
    assert first["usage"]["completion_tokens"] > 0
    (replica,) = (record for name, record in gateway.records().items() if name == REPLICA)
    root = f"http://127.0.0.1:{replica['port']}"
    key = (gateway.state / "identity" / "engines-key").read_text().strip()
    async with aiohttp.ClientSession() as session:
        for method, path in ASKED_FOR_THE_KEY:
            async with session.request(method, f"{root}{path}", json={}) as refused:
                assert refused.status == 401, path
        async with session.get(f"{root}/v1/models", headers={"authorization": f"Bearer {key}"}) as models:
            assert [model["id"] for model in (await models.json())["data"]] == [MODEL]
    group = group_of(replica["pid"])
    assert len(group) > 1, "vLLM has processes of its own"
    os.kill(replica["pid"], signal.SIGKILL)
    await until(lambda: not group_of(replica["pid"]), 30)
    again = await answer(gateway)
    assert again["choices"][0]["message"] == first["choices"][0]["message"]
    gateway.send(signal.SIGTERM)
    assert await gateway.wait(120) == 0
