"""Two real replicas whose adapters change under streams: turns, a dead replica, a spoiled file, a store away."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest
import yaml

from tests.supervise.gateway_process import GatewayProcess
from tests.vllm.adapter_gateway import REPLICAS, TURN_S, Adapters, metric_at
from tests.vllm.managed_vllm import managed_vllm
from tests.vllm.test_managed_vllm import group_of

pytestmark = pytest.mark.vllm

CLIENTS, TURNS = 3, 20
BURST = 28  # both replicas run 8 each


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


async def counted(adapters: Adapters, version: str) -> None:
    """The gateway's metrics have the tokens of each replica as it says itself, and those of an adapter as answers do.

    A rollback leads to `version`, whose last answer is long ago.
    """
    labels = {"engine": "llama", "type": "output"}
    for part in REPLICAS:
        address = f"127.0.0.1:{adapters.gateway.records()[part]['port']}"
        said = await metric_at(address, "vllm:generation_tokens_total")
        await adapters.until_metric(said, "headgate_engine_tokens_total", replica=address, **labels)
        assert await adapters.metric("headgate_engine_tokens_total", replica=address, **labels) == said > 0
    labels |= {"adapter": version}
    before = used = await adapters.metric("headgate_adapter_tokens_total", **labels)
    await adapters.turn("rollback", {})
    while used == before:
        status, answer = await adapters.complete("acme/bot")
        assert status == 200
        used += answer["usage"]["completion_tokens"] if answer["model"] == version else 0
    await adapters.until_metric(used, "headgate_adapter_tokens_total", **labels)
    assert await adapters.metric("headgate_adapter_tokens_total", **labels) == used


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
    await adapters.until_ready()
    assert adapters.gateway.pids(REPLICAS[1])[REPLICAS[1]] != leader
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
        if number % 4 < 2:
            await adapters.turn("rollback", {})
        else:
            await adapters.turn("promote", {"version": 1 if name == first else 2})
        await adapters.has_turned_to(name)
        if number == TURNS // 2:
            died.append((monotonic(), monotonic()))
            os.killpg(adapters.gateway.pids(REPLICAS[0])[REPLICAS[0]], signal.SIGKILL)
    await adapters.until_ready()
    back = monotonic()
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
    await counted(adapters, second)
    adapters.gateway.send(signal.SIGTERM)
    assert await adapters.gateway.wait(120) == 0
