"""A gateway with two managed replicas of vLLM and an adapter, `acme/bot`, whose versions take turns."""

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.supervise.gateway_process import HEADGATE, GatewayProcess
from tests.vllm.engine_under_test import WHO
from tests.vllm.managed_vllm import KEY
from tests.vllm.vllm_replica import START_S

REPLICAS = ("engine-llama-0", "engine-llama-1")
TURN_S = 120.0
AGREE = 8  # answers in a row by one version: both workers and both replicas have it


@dataclass(frozen=True, slots=True)
class Answered:
    """A stream: when it was asked and when it ended, which version it names ("": none), what it says, and whether it
    is whole.
    """

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


async def metric_at(address: str, name: str, *, key: str | None = None, **labels: str) -> float:
    """The sum of the series of this name that have these labels."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"http://{address}/metrics") as reply:
        families = list(text_string_to_metric_families(await reply.text()))
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


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

    async def metric(self, name: str, **labels: str) -> float:
        """The gateway's own, as `metric_at` has it."""
        return await metric_at(self.gateway.admin, name, **labels)

    async def until_metric(self, at_least: float, name: str, **labels: str) -> None:
        """Wait until such a sum is so large."""
        async with asyncio.timeout(TURN_S):
            while await self.metric(name, **labels) < at_least:  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)

    async def complete(self, model: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """The status and body of an answer that is no stream, and in it its `request_id`."""
        body = {"model": model, "messages": WHO, "temperature": 0, "max_tokens": 40, **fields}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TURN_S)) as session,
            session.post(self.gateway.url(), json=body, headers={"authorization": f"Bearer {KEY}"}) as reply,
        ):
            return reply.status, {**await reply.json(), "request_id": reply.headers["x-request-id"]}

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
        assert "Traceback" not in str(chunks)
        version = next((chunk["model"] for chunk in chunks if "model" in chunk), "")
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk.get("choices")]
        text = "".join(delta.get("content") or "" for delta in deltas)
        whole = events[-1:] == ["[DONE]"] and not any("error" in chunk for chunk in chunks)
        return Answered(asked, monotonic(), version, text, whole)

    async def keep_asking(self, done: asyncio.Event) -> list[Answered]:
        answers = []
        while not done.is_set():
            answers.append(await self.ask())
        return answers
