"""A receiver of webhooks on loopback. It checks signatures by the lines that docs/alerts.md gives to its readers."""

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"


def verified(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """What the page says."""
    (code,) = re.findall(r"```python\n(.+?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own page
    return bool(names["verified"](secret, headers, body))


@dataclass
class Received:
    """One webhook as it came, and whether its signature was right."""

    id: str
    event: dict[str, Any]
    genuine: bool
    headers: dict[str, str]


@dataclass
class Receiver:
    """Answers with `answers`, one after the other, and then 204."""

    secret: str
    answers: list[int] = field(default_factory=list)
    port: int = 0
    received: list[Received] = field(default_factory=list)
    elsewhere: int = 0  # requests to where a redirect leads
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/hook":
            self.elsewhere += 1
            return web.Response(status=204)
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        genuine = verified(self.secret, headers, body)
        self.received.append(Received(headers["webhook-id"], json.loads(body), genuine, headers))
        status = self.answers.pop(0) if self.answers else 204
        if status == 0:
            await asyncio.sleep(60)
        return web.Response(status=status, headers={"location": "/elsewhere"} if status == 307 else {})


@asynccontextmanager
async def listening(receiver: Receiver, context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", receiver.port, ssl_context=context)
    await site.start()
    receiver.port = runner.addresses[0][1]
    receiver.scheme = "https" if context else "http"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], object], within_s: float = 30.0) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s
        await asyncio.sleep(0.005)
