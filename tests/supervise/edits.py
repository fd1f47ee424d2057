"""A `headgate up` on a gateway.yaml that a test edits, with simulators as its providers."""

import asyncio
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from gateway_process import HEADGATE, GatewayProcess


def new_key() -> str:
    return f"hg-{secrets.token_urlsafe(32)}"


def key_line(key: str, name: str = "k") -> dict[str, str]:
    return {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest()}


def model(provider: str, **more: Any) -> dict[str, Any]:
    return {"targets": [{"provider": provider, "model": "m"}], **more}


class Engine:
    """A simulator process; `seen` are the requests that it received."""

    def __init__(self, address: str, record: Path) -> None:
        self.address = address
        self._record = record

    def seen(self) -> list[dict[str, str]]:
        """The headers of each request."""
        lines = [json.loads(line) for line in self._record.read_text().splitlines()]
        return [dict(line["headers"]) for line in lines if line["event"] == "request"]


@asynccontextmanager
async def engine(folder: Path, name: str) -> AsyncIterator[Engine]:
    record = folder / f"{name}.jsonl"
    record.touch()
    command = (HEADGATE, "serve", "simulator", "--port", "0", "--ttft", "2ms", "--token-time", "1ms")
    with (folder / f"{name}.stderr").open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, "--record", str(record), stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    try:
        assert process.stdout
        line = (await process.stdout.readline()).decode()
        yield Engine(line.partition("http://")[2].partition("/")[0].strip(), record)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


class Edited:
    """A running gateway, its document and its file. `save` writes the document as an editor does."""

    def __init__(self, gateway: GatewayProcess, folder: Path, local: Engine) -> None:
        self.gateway, self.folder, self.local = gateway, folder, local
        self.key = new_key()
        self.file = folder / "gateway.yaml"
        self.document: dict[str, Any] = {
            "listen": {"http": gateway.http, "admin": gateway.admin},
            "providers": {
                "local": {"api": "openai", "endpoints": [f"http://{local.address}"], "usage": "continuous"},
            },
            "models": {"chat": model("local")},
            "tenants": {"acme": {"models": ["chat"], "keys": [key_line(self.key)]}},
        }

    def text(self) -> str:
        return json.dumps(self.document, indent=1)

    def save(self) -> None:
        draft = self.file.with_name(".gateway.yaml.swp")
        draft.write_text(self.text())
        draft.replace(self.file)

    async def start(self, *options: str, **env: str) -> None:
        self.save()
        await self.gateway.start("-c", str(self.file), *options, env=env, quick=False)

    async def config(self) -> dict[str, Any]:
        _status, body = await self.gateway.readyz()
        config: dict[str, Any] = body["config"]
        return config

    async def saved(self, within_s: float = 60) -> float:
        """Save, and wait until it is what runs; seconds that it took. One edit is one generation."""
        before = (await self.config())["generation"]
        began = time.monotonic()
        self.save()
        await self.reaches(before + 1, within_s)
        return time.monotonic() - began

    async def reaches(self, generation: int, within_s: float = 60) -> None:
        async with asyncio.timeout(within_s):
            while (found := await self.config())["generation"] < generation:
                assert not found["error"], found
                await asyncio.sleep(0.02)

    async def fails(self, within_s: float = 60) -> str:
        """Wait for the error of the edit that was saved."""
        async with asyncio.timeout(within_s):
            while True:
                error: str | None = (await self.config())["error"]
                if error:
                    return error
                await asyncio.sleep(0.02)

    async def mends(self, within_s: float = 60) -> None:
        """Wait until the file is right again."""
        async with asyncio.timeout(within_s):
            while True:
                if (await self.config())["error"] is None:
                    return
                await asyncio.sleep(0.02)

    async def ask(self, name: str = "chat", key: str | None = None, **body: Any) -> tuple[int, Any]:
        """One small request: its status and what it was answered."""
        headers = {"authorization": f"Bearer {key or self.key}"}
        content = {"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2, **body}
        async with (
            aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(30)) as session,
            session.post(self.gateway.url(), json=content) as reply,
        ):
            return reply.status, await reply.json()

    async def status_of(self, name: str = "chat", key: str | None = None) -> int:
        return (await self.ask(name, key))[0]

    def file_of(self, path: str) -> Any:
        return json.loads((self.gateway.state / path).read_bytes())

    def clusters(self) -> list[str]:
        """The providers whose clusters Envoy's file holds; one that was changed is there twice for a while."""
        return sorted(one["alt_stat_name"] for one in self.file_of("envoy/cds.json")["resources"])


@asynccontextmanager
async def edited(folder: Path) -> AsyncIterator[Edited]:
    """Nothing is started yet but the engine."""
    gateway = GatewayProcess(folder / "state")
    async with engine(folder, "local") as local:
        try:
            yield Edited(gateway, folder, local)
        finally:
            await gateway.clean_up()
