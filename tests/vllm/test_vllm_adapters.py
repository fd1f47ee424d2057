"""Two real replicas whose adapters change under streams: turns, a dead replica, a spoiled file, a store away."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import pytest
import yaml

from tests.supervise.gateway_process import HEADGATE, GatewayProcess
from tests.vllm.engine_under_test import WHO
from tests.vllm.managed_vllm import KEY, managed_vllm
from tests.vllm.vllm_replica import START_S

pytestmark = pytest.mark.vllm

CLIENTS, TURNS = 3, 20
REPLICAS = ("engine-llama-0", "engine-llama-1")
TURN_S = 60.0
AGREE = 8  # answers in a row by one version: both workers and both replicas have it


@dataclass(frozen=True, slots=True)
class Answered:
    """A stream: when it was asked and when it ended, which version it names, what it says, whether it is whole."""

    asked: float
    ended: float
    version: str
    text: str
    whole: bool


@dataclass
class Turns:
    """Which version was asked to be live from when, and when all answers were its own."""

    asked: list[tuple[float, str]] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)

    def may_answer(self, moment: float) -> set[str]:
        """The versions that may answer a request of this moment."""
        first = max((at for at, seen in enumerate(self.seen) if seen <= moment), default=0)
        return {
            name for at, (asked, name) in enumerate(self.asked) if at >= first and (asked <= moment or at == first)
        }


class Adapters:
    """The gateway, its admin API, and `acme/bot`."""

    def __init__(self, gateway: GatewayProcess, tiny: Path) -> None:
        self.gateway, self.tiny = gateway, tiny
        self.store = gateway.state / "objects"
        self.turns = Turns()
        self.admin_key = ""

    async def start(self, file: Path) -> None:
        await self.gateway.start("-c", str(file), quick=False)
        code, said = await self._run("keys", "admin", "--state", str(self.gateway.state))
        assert code == 0, said
        self.admin_key = said.split()[2]
        await self.until_ready()

    async def until_ready(self) -> None:
        async with asyncio.timeout(START_S):
            while not await self._are_ready():  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.5)

    async def _are_ready(self) -> bool:
        _, body = await self.gateway.readyz()
        return all(body["parts"].get(name, {}).get("ready") for name in REPLICAS)

    async def _run(self, *words: str) -> tuple[int, str]:
        address = {"HEADGATE_ADMIN_KEY": self.admin_key, "HEADGATE_URL": f"http://{self.gateway.http}"}
        process = await asyncio.create_subprocess_exec(
            *(HEADGATE, *words),
            env={**os.environ, **address},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, (output or errors).decode()

    async def push(self, adapter: str, *more: str) -> dict[str, Any]:
        words = ("push", str(self.tiny / adapter), "--tenant", "acme", "--name", "bot", "--base", "chat", "--json")
        code, said = await self._run("adapters", *words, *more)
        assert code == 0, said
        pushed: dict[str, Any] = json.loads(said)
        return pushed

    async def version(self, number: int) -> dict[str, Any]:
        async with aiohttp.ClientSession() as session, self._admin(session, "GET", "") as reply:
            versions = (await reply.json())["versions"]
        found: dict[str, Any] = next(one for one in versions if one["version"] == number)
        return found

    async def turn(self, way: str, body: dict[str, Any]) -> None:
        async with aiohttp.ClientSession() as session, self._admin(session, "POST", f"/{way}", body) as reply:
            assert reply.status == 200, await reply.text()

    def _admin(self, session: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
        url = f"http://{self.gateway.http}/admin/v1/tenants/acme/adapters/bot{path}"
        return session.request(method, url, json=body, headers={"authorization": f"Bearer {self.admin_key}"})

    async def is_known(self) -> None:
        """Wait until workers have heard of the adapter at all."""
        async with asyncio.timeout(TURN_S):
            while {await self.status() for _ in range(AGREE)} != {200}:  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)

    async def status(self) -> int:
        body = {"model": "acme/bot", "messages": WHO, "max_tokens": 1}
        headers = {"authorization": f"Bearer {KEY}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.gateway.url(), json=body, headers=headers) as reply,
        ):
            return reply.status

    async def has_turned_to(self, name: str) -> None:
        """Wait until all answers are by this version."""
        async with asyncio.timeout(TURN_S):
            while not all([(await self.ask()).version == name for _ in range(AGREE)]):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)
        self.turns.seen.append(monotonic())

    async def ask(self) -> Answered:
        """One stream; it has to be answered."""
        body = {
            "model": "acme/bot",
            "messages": WHO,
            "temperature": 0,
            "max_tokens": 40,
            "stream": True,
        }
        asked, events = monotonic(), list[str]()
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.gateway.url(), json=body, headers={"authorization": f"Bearer {KEY}"}) as reply,
        ):
            assert reply.status == 200, await reply.text()
            try:
                async for line in reply.content:
                    if line.startswith(b"data: "):
                        events.append(line[6:].decode().strip())
            except aiohttp.ClientPayloadError:
                pass  # cut: it has no end
        chunks = [json.loads(event) for event in events if event != "[DONE]"]
        (version,) = {chunk["model"] for chunk in chunks if "model" in chunk}
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk.get("choices")]
        text = "".join(delta.get("content") or "" for delta in deltas)
        return Answered(asked, monotonic(), version, text, events[-1:] == ["[DONE]"] and len(chunks[-1:]) == 1)

    async def keep_asking(self, done: asyncio.Event) -> list[Answered]:
        answers = []
        while not done.is_set():
            answers.append(await self.ask())
        return answers


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
    await adapters.turn("promote", {"version": made["version"]})
    await asyncio.sleep(3)  # long enough for some tries
    waiting = await adapters.version(made["version"])
    assert (waiting["state"], waiting["failure"]) == ("validated", None)
    elsewhere.rename(adapters.store)
    await adapters.has_turned_to(made["engine_name"])


async def test_versions_take_turns_under_streams_whatever_happens(adapters: Adapters) -> None:
    first = await pushed(adapters, "acme")
    done = asyncio.Event()
    clients = [asyncio.create_task(adapters.keep_asking(done)) for _ in range(CLIENTS)]
    second = await pushed(adapters, "globex")
    died = 0.0
    for number in range(TURNS):
        name = first if number % 2 == 0 else second
        adapters.turns.asked.append((monotonic(), name))
        if number % 4 < 2:
            await adapters.turn("rollback", {})
        else:
            await adapters.turn("promote", {"version": 1 if name == first else 2})
        await adapters.has_turned_to(name)
        if number == TURNS // 2:
            died = monotonic()
            os.killpg(adapters.gateway.pids(REPLICAS[0])[REPLICAS[0]], signal.SIGKILL)
    await adapters.until_ready()
    back = monotonic()
    await spoiled(adapters)
    await away(adapters)
    done.set()
    answers = [one for client in clients for one in await client]
    says: dict[str, set[str]] = {}
    for one in answers:
        assert one.version in adapters.turns.may_answer(one.asked), one
        if not one.asked < died < one.ended:  # then it may have been on the replica that was killed
            assert one.whole, one
            says.setdefault(one.version, set()).add(one.text)
    assert all(len(texts) == 1 for texts in says.values()), says
    assert says[first] != says[second]
    assert any(one.asked > back for one in answers)
    adapters.gateway.send(signal.SIGTERM)
    assert await adapters.gateway.wait(120) == 0
