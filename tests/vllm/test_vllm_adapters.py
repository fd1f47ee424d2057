"""Two real replicas whose adapters change under streams: turns, shares, deaths, a spoiled file, a store away."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import yaml

from headgate.contract import ENGINES_KEY
from tests.supervise.gateway_process import GatewayProcess, until
from tests.vllm.adapter_gateway import REPLICAS, TURN_S, Adapters, metric_at
from tests.vllm.managed_vllm import managed_vllm
from tests.vllm.test_managed_vllm import group_of

pytestmark = pytest.mark.vllm

CLIENTS, TURNS = 3, 20
BURST = 28  # both replicas run 8 each
USERS = 12


@pytest.fixture
async def adapters(tiny: Path, tmp_path: Path) -> AsyncIterator[Adapters]:
    gateway = GatewayProcess(tmp_path / "state")
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(managed_vllm(gateway, tiny / "model", replicas=2, max_loras=4)))
    try:
        made = Adapters(gateway, tiny)
        await made.start(file)
        yield made
    finally:
        await gateway.clean_up()


async def pushed(adapters: Adapters, adapter: str) -> str:
    """A new version that all answers are by; prints how long that took from the command on."""
    began = monotonic()
    made = await adapters.push(adapter, "--promote")
    name: str = made["engine_name"]
    adapters.turns.asked.append((began, name))
    async with asyncio.timeout(TURN_S):
        while (await adapters.version(made["version"]))["state"] != "live":  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.05)
    live_s = monotonic() - began
    if made["version"] == 1:
        await adapters.is_known()
    await adapters.has_turned_to(name)
    seconds = f"{live_s:.1f} s until it was live, {monotonic() - began:.1f} s until all answers were by it"
    print(f"{name}: {seconds}")  # noqa: T201 - for whoever wants to know
    return name


async def spoiled(adapters: Adapters) -> None:
    """A version whose weights were changed in the store is loaded nowhere, and says why."""
    made = await adapters.push("acme")
    weights = adapters.store / f"adapters/acme/bot/{made['version']}/adapter.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    await adapters.turn("promote", {"version": made["version"]})
    async with asyncio.timeout(TURN_S):
        while not (failed := await adapters.version(made["version"]))["failure"]:  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.1)
    assert (failed["state"], failed["wanted_weight"]) == ("validated", None)


async def away(adapters: Adapters) -> None:
    """While the store is away a promotion waits; it comes when the store does."""
    made = await adapters.push("globex")
    elsewhere = adapters.store.with_name("elsewhere")
    adapters.store.rename(elsewhere)
    adapters.turns.asked.append((monotonic(), made["engine_name"]))
    failed = "headgate_adapter_failures_total"
    before = await adapters.metric(failed, reason="store")
    await adapters.turn("promote", {"version": made["version"]})
    await adapters.until_metric(before + 2, failed, reason="store")
    waiting = await adapters.version(made["version"])
    assert (waiting["state"], waiting["failure"]) == ("validated", None)
    elsewhere.rename(adapters.store)
    await adapters.has_turned_to(made["engine_name"])


async def shared(adapters: Adapters, first: str, second: str) -> None:
    """The first version shares the requests with the second, each user stays with one; then the second has all."""

    async def answering() -> list[str]:
        answers = await asyncio.gather(*(adapters.complete("acme/bot", user=f"user-{at}") for at in range(USERS)))
        assert {status for status, _ in answers} == {200}
        return [said["model"] for _, said in answers]

    adapters.turns.asked.append((monotonic(), first))
    await adapters.turn("promote", {"version": 1, "weight": 50})
    before, now = list[str](), await answering()
    async with asyncio.timeout(TURN_S):
        while set(now) != {first, second} or now != before:  # until both workers have heard of it
            before, now = now, await answering()
    adapters.turns.asked.append((monotonic(), second))
    await adapters.turn("promote", {"version": 2})
    await adapters.has_turned_to(second)
    adapters.turns.seen.append(adapters.turns.seen[-1])  # the first one never had all


async def counted(adapters: Adapters) -> None:
    """The gateway's metrics have a replica's tokens as it says itself, and an adapter's as its answers do."""
    labels = {"engine": "llama", "type": "output"}
    key = (adapters.gateway.state / ENGINES_KEY).read_text().strip()
    address = f"127.0.0.1:{adapters.gateway.records()[REPLICAS[0]]['port']}"
    said = await metric_at(address, "vllm:generation_tokens_total", key=key)
    await adapters.until_metric(said, "headgate_engine_tokens_total", replica=address, **labels)
    assert await adapters.metric("headgate_engine_tokens_total", replica=address, **labels) == said > 0
    status, answer = await adapters.complete("acme/bot")
    assert status == 200
    await until(lambda: answer["request_id"] in ended(adapters), TURN_S)
    lines = ended(adapters)  # this one is the last
    assert lines[answer["request_id"]]["completion_tokens"] == answer["usage"]["completion_tokens"]
    used = sum(line["completion_tokens"] or 0 for line in lines.values() if line["model"] == "acme/bot")
    await adapters.until_metric(used, "headgate_adapter_tokens_total", adapter="acme/bot", **labels)
    assert await adapters.metric("headgate_adapter_tokens_total", adapter="acme/bot", **labels) == used


def ended(adapters: Adapters) -> dict[str, dict[str, Any]]:
    """The spool's `end` lines, by their requests."""
    files = sorted((adapters.gateway.state / "spool").glob("*.ndjson"))
    whole = [text for file in files for text in file.read_text().splitlines(keepends=True) if text.endswith("\n")]
    return {line["request_id"]: line for line in map(json.loads, whole) if line["type"] == "end"}


async def killed_for_memory(adapters: Adapters) -> tuple[float, float]:
    """vLLM's engine process is killed while its server has requests and others wait: all are answered.

    From when to when its server may have taken requests still.
    """
    running = [asyncio.create_task(adapters.complete("chat", max_tokens=600, ignore_eos=True)) for _ in range(BURST)]
    await adapters.until_metric(2.0, "headgate_engine_queue_waiting", model="chat")
    await adapters.until_metric(9.0, "headgate_engine_requests_running", engine="llama")  # so both have some
    leader = adapters.gateway.pids(REPLICAS[1])[REPLICAS[1]]
    (engine,) = (pid for pid in group_of(leader) if b"EngineCore" in command_of(pid))
    killed = monotonic()
    os.kill(engine, signal.SIGKILL)
    answers = await asyncio.gather(*running)
    done = monotonic()
    assert [said for status, said in answers if status != 200] == []
    assert {said["usage"]["completion_tokens"] for _, said in answers} == {600}
    await until(lambda: adapters.gateway.pids(REPLICAS[1]).get(REPLICAS[1], leader) != leader, TURN_S)
    return killed, done


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_versions_take_turns_under_streams_whatever_happens(adapters: Adapters) -> None:
    first = await pushed(adapters, "acme")
    done = asyncio.Event()
    clients = [asyncio.create_task(adapters.keep_asking(done)) for _ in range(CLIENTS)]
    second = await pushed(adapters, "globex")
    died: list[tuple[float, float]] = []
    for number in range(TURNS):
        name = first if number % 2 == 0 else second
        adapters.turns.asked.append((monotonic(), name))
        if name == first:
            await adapters.turn("rollback", {})
        else:
            await adapters.turn("promote", {"version": 2})
        await adapters.has_turned_to(name)
        if number == TURNS // 2:
            died.append((monotonic(), monotonic()))
            os.killpg(adapters.gateway.pids(REPLICAS[0])[REPLICAS[0]], signal.SIGKILL)
    await adapters.until_ready()
    back = monotonic()
    await shared(adapters, first, second)
    await spoiled(adapters)
    await away(adapters)
    died.append(await killed_for_memory(adapters))
    done.set()
    answers = [one for client in clients for one in await client]
    says: dict[str, set[str]] = {}
    for one in answers:
        assert one.version in {"", *adapters.turns.may_answer(one.asked)}, one
        if not any(one.asked < to and since < one.ended for since, to in died):  # it may have been on that replica
            assert one.whole, one
            says.setdefault(one.version, set()).add(one.text)
    assert all(len(texts) == 1 for texts in says.values()), says
    assert says[first] != says[second]
    assert any(one.asked > back for one in answers)
    await counted(adapters)
    adapters.gateway.send(signal.SIGTERM)
    assert await adapters.gateway.wait(120) == 0
