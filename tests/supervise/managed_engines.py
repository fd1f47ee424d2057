"""A gateway whose file has engines, and can be edited."""

import asyncio
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.supervise.gateway_process import HEADGATE, GatewayProcess

KEY = f"hg-{'e' * 43}"
SLOW = {"simulate": {"tokens": 120, "token_s": 0.02, "ttft_s": 0.02}}


class Engines:
    """A gateway whose file has an engine of simulators, and can be edited."""

    def __init__(self, gateway: GatewayProcess, file: Path) -> None:
        self.gateway, self.file = gateway, file
        self.document: dict[str, Any] = {
            "listen": {"http": gateway.http, "admin": gateway.admin},
            "engines": {"llama": {"kind": "simulator", "replicas": 2, "drain_timeout": "20s"}},
            "models": {"chat": {"targets": [{"provider": "llama", "model": "llama"}]}},
            "tenants": {
                "t": {
                    "models": ["chat"],
                    "keys": [{"name": "k", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
                }
            },
        }
        self.write()

    def write(self) -> None:
        draft = self.file.with_suffix(".new")
        draft.write_text(yaml.safe_dump(self.document))
        draft.replace(self.file)

    async def start(self) -> None:
        await self.gateway.start("-c", str(self.file), quick=False)

    def pids(self) -> dict[str, int]:
        return self.gateway.pids("engine-")

    def records(self) -> dict[str, dict[str, Any]]:
        return {name: record for name, record in self.gateway.records().items() if name.startswith("engine-")}

    async def ready(self, *names: str) -> None:
        """Wait until just these replicas are there, and work."""
        async with asyncio.timeout(60):
            while not await self._are_ready(set(names)):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)

    async def part(self, name: str) -> dict[str, Any]:
        """What /readyz says of it."""
        entry: dict[str, Any] = (await self.gateway.readyz())[1]["parts"][name]
        return entry

    async def _are_ready(self, names: set[str]) -> bool:
        _, body = await self.gateway.readyz()
        found = {name: part["ready"] for name, part in body["parts"].items() if name.startswith("engine-")}
        return set(found) == names and all(found.values())

    async def ask(self, **more: Any) -> tuple[int, str]:
        body = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}], **more}
        headers = {"authorization": f"Bearer {KEY}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.gateway.url(), json=body, headers=headers) as reply,
        ):
            return reply.status, await reply.text()

    async def keep_asking(self, done: asyncio.Event) -> list[tuple[int, str]]:
        """One stream after the other, until `done`."""
        answers = []
        while not done.is_set():
            answers.append(await self.ask(stream=True, **SLOW))
        return answers

    async def answered(self) -> None:
        """Wait until Envoy has seen that the replicas are well."""
        async with asyncio.timeout(60):
            while (await self.ask())[0] != 200:  # noqa: ASYNC110 - another process looks at them
                await asyncio.sleep(0.1)

    async def command(self, *words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(HEADGATE, "engines", *words, "--state", str(self.gateway.state)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def listed(self, engine: str) -> dict[str, Any]:
        """What `headgate engines list` says of an engine's first replica."""
        shown = {one["name"]: one["replicas"][0] for one in json.loads((await self.command("list", "--json"))[1])}
        return dict(shown[engine])

    async def running(self, part: str) -> int:
        """How many requests a replica works on, as it says itself."""
        url = f"http://127.0.0.1:{self.records()[part]['port']}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            lines = (await reply.text()).splitlines()
        (running,) = [line.split()[-1] for line in lines if line.startswith("vllm:num_requests_running{")]
        return int(float(running))


def command_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
