"""A gateway for WebSockets, on a plain and a TLS listener, and connections below and by the SDK."""

import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import openai
import pytest
from json_lines import Line
from running_gateway import RunningGateway, free_address, running_gateway
from tls_client import trusting
from upstreams import Engine
from websockets.asyncio.client import ClientConnection, connect

from tests.certificates import Authority

PATH = "/v1/responses"
TENANTS = ("acme", "globex", "small")
MAX_BODY = 4 * 2**20


@dataclass(frozen=True)
class Sockets:
    gateway: RunningGateway
    keys: dict[str, str]
    engine: Engine
    https: str
    trust: ssl.SSLContext
    config: dict[str, Any]

    def sdk(self, tenant: str = "acme") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.gateway.url}/v1", api_key=self.keys[tenant], max_retries=0, timeout=20)

    @contextlib.asynccontextmanager
    async def open(self, tenant: str = "acme", path: str = PATH, **headers: str) -> AsyncIterator[ClientConnection]:
        fields = {"authorization": f"Bearer {self.keys[tenant]}"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"ws://{self.gateway.http}{path}"
        async with connect(url, additional_headers=fields, max_size=None, compression=None) as socket:
            yield socket

    def lines(self, *surfaces: str, **fields: object) -> list[Line]:
        found = [line for line in self.gateway.spool.all() if line["type"] == "end" and line["surface"] in surfaces]
        return [line for line in found if all(line[name] == value for name, value in fields.items())]


def create(**body: Any) -> str:
    return json.dumps({"type": "response.create", "model": "chat", "input": "Hi", **body})


async def until_end(socket: ClientConnection, lane: str | None = None) -> list[dict[str, Any]]:
    """The events of one response, to its last."""
    events = []
    while True:
        event = json.loads(await socket.recv())
        assert event.get("stream_id") == lane, event
        events.append(event)
        if event["type"] in ("response.completed", "response.failed", "response.incomplete", "error"):
            return events


async def ask(socket: ClientConnection, **body: Any) -> dict[str, Any]:
    """One response; its last event."""
    await socket.send(create(**body))
    return (await until_end(socket, body.get("stream_id")))[-1]


@contextlib.contextmanager
def websocket_gateway(folder: Path, engine: Engine) -> Iterator[Sockets]:
    keys = {tenant: f"hg-{token_urlsafe(32)}" for tenant in TENANTS}
    authority = Authority("servers")
    authority.issue("127.0.0.1").write(folder, "server")
    address = free_address()
    root = f"http://{engine.address}"
    targets = {
        "chat": {"provider": "local", "model": "up-1"},
        "claude": {"provider": "claude", "model": "up-2"},
        "vendor/plain": {"provider": "plain", "model": "up-3"},
    }
    config: dict[str, Any] = {
        "listen": {
            "https": {"address": address, "cert": "server.pem", "key": "server-key.pem"},
            "max_body": f"{MAX_BODY // 2**20}MiB",
        },
        "providers": {
            "local": {"api": "openai", "endpoints": [root], "usage": "continuous"},
            "claude": {"api": "anthropic", "base_url": root},
            "plain": {"api": "openai", "base_url": f"{root}/v1", "responses": False},
        },
        "models": {
            name: {"targets": [{**target, "max_output_tokens": 500}], "timeouts": {"headers": "5s"}}
            for name, target in targets.items()
        },
        "plans": {"small": {"rpm": 2}},
        "tenants": {
            name: {
                "models": list(targets) if name != "globex" else ["chat"],
                "keys": [{"name": "ci", "sha256": sha256(key.encode()).hexdigest()}],
            }
            for name, key in keys.items()
        },
    }
    config["tenants"]["small"]["plan"] = "small"
    with running_gateway(folder, config, {}) as gateway:
        yield Sockets(gateway, keys, engine, address, trusting(authority), config)


@pytest.fixture(scope="module")
def sockets(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sockets]:
    with websocket_gateway(tmp_path_factory.mktemp("sockets"), engine) as running:
        yield running
