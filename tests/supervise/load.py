"""Clients that never pause: what has to go on while processes are replaced under it."""

import asyncio
import json
from collections import Counter
from typing import Any, Self

import aiohttp
from gateway_process import CHAT, GatewayProcess


class Load:
    """Short requests, 100 a second, half of them on new connections, and streams; counts what comes of them."""

    def __init__(self, gateway: GatewayProcess, streams: int) -> None:
        self.gateway = gateway
        self.outcomes: Counter[str] = Counter()
        self._streams = streams
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._kept = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._new = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        self._start(self._pace())
        for _ in range(self._streams):
            self._start(self._stream_after_stream())
        async with asyncio.timeout(60):
            while self.outcomes["stream begun"] < self._streams:  # noqa: ASYNC110 - what is counted is what is awaited
                await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._over.set()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._kept.close()
        await self._new.close()

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pace(self) -> None:
        while not self._over.is_set():
            self._start(self._short(self._new, "new"))
            self._start(self._short(self._kept, "kept"))
            await asyncio.sleep(0.02)

    async def _short(self, session: aiohttp.ClientSession, kind: str) -> None:
        body = CHAT | {"simulate": {"tokens": 2, "token_s": 0.005, "ttft_s": 0.01}}
        try:
            async with session.post(self.gateway.url(), json=body, headers=self.gateway.headers()) as reply:
                text = await reply.text()
                self.outcomes[kind if reply.status == 200 else f"{kind}: {reply.status} {text}"] += 1
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.outcomes[f"{kind}: {error!r}"] += 1

    async def _stream_after_stream(self) -> None:
        body = CHAT | {"stream": True, "simulate": {"tokens": 60, "token_s": 0.1, "ttft_s": 0.05}}
        while not self._over.is_set():
            lines: list[bytes] = []
            try:
                async with self._kept.post(self.gateway.url(), json=body, headers=self.gateway.headers()) as reply:
                    self.outcomes["stream begun"] += 1
                    lines.extend([line async for line in reply.content if line.startswith(b"data: {")])
                    last = lines[-1] if lines else b""
                whole = reply.status == 200 and json.loads(last[6:])["choices"][0]["finish_reason"]
                self.outcomes["stream" if whole else f"stream cut after {len(lines)}"] += 1
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self.outcomes[f"stream: {error!r} after {len(lines)}"] += 1
