"""An engine of a test's own: health, models and metrics are what the test says, in whatever bytes and whenever."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

METRICS = (Path(__file__).parent / "vllm_texts" / "metrics.txt").read_text()
STARTED = "process_start_time_seconds 1.79535391544e+09"


class ScriptedEngine:
    """What it answers may be changed at any time. `asked` has the headers of requests, by path."""

    def __init__(self) -> None:
        self.health = 200
        self.models: list[dict[str, Any]] | bytes = [{"id": "llama", "parent": None}]
        self.metrics: str | bytes | None = METRICS  # None: there are none
        self.hangs: set[str] = set()
        self.headers: dict[str, str] = {}
        self.asked: dict[str, list[dict[str, str]]] = {}
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def say(self, name: str, before: str, after: str) -> None:
        """Another value in the metrics."""
        assert isinstance(self.metrics, str)
        self.metrics = self.metrics.replace(f'{name}{{engine="0",model_name="tiny"}} {before}', f"{name} {after}")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.setdefault(request.path, []).append({**request.headers})
        if request.path in self.hangs:
            await asyncio.sleep(600)
        answers: dict[str, Callable[[], web.StreamResponse]] = {
            "/health": lambda: web.Response(status=self.health),
            "/v1/models": self._models,
            "/metrics": self._metrics,
        }
        if request.path not in answers:
            return web.Response(status=404)
        return answers[request.path]()

    def _models(self) -> web.Response:
        if isinstance(self.models, bytes):
            return web.Response(body=self.models)
        return web.json_response({"object": "list", "data": self.models})

    def _metrics(self) -> web.Response:
        if self.metrics is None:
            return web.Response(status=404)
        body = self.metrics if isinstance(self.metrics, bytes) else self.metrics.encode()
        return web.Response(body=body, headers=self.headers)


@asynccontextmanager
async def scripted_engine(port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", engine.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls, reuse_address=True)
    await site.start()
    engine.port = runner.addresses[0][1]
    try:
        yield engine
    finally:
        await runner.cleanup()
