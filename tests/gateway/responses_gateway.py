"""A gateway with providers that have the Responses API and one that has not, and what tests ask of it."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import openai
from running_gateway import RunningGateway, running_gateway
from upstreams import Engine

from tests.counters.valkey_server import ValkeyServer

TENANTS = ("acme", "globex", "small")


@dataclass(frozen=True)
class Setup:
    gateway: RunningGateway
    keys: dict[str, str]
    engines: dict[str, Engine]

    def sdk(self, tenant: str = "acme") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.gateway.url}/v1", api_key=self.keys[tenant], max_retries=0, timeout=20)

    def requests(self) -> list[dict[str, Any]]:
        """What has reached a provider."""
        lines = [line for engine in self.engines.values() for line in engine.lines.all()]
        return [line for line in lines if line["event"] == "request"]

    def seen(self) -> int:
        return len(self.requests())


@contextlib.contextmanager
def responses_gateway(
    folder: Path, local_engine: Engine, other_engine: Engine, counters: ValkeyServer
) -> Iterator[Setup]:
    keys = {tenant: f"hg-{token_urlsafe(32)}" for tenant in TENANTS}
    local, other = {"provider": "local", "model": "up-1"}, {"provider": "other", "model": "up-2"}
    models = {
        "chat": [local],
        "pair": [{**local, "priority": 0}, {**other, "priority": 0}],
        "b": [other],
        "converted": [{"provider": "plain", "model": "up-3"}],
        "either": [{"provider": "plain", "model": "up-3", "priority": 0}, {**other, "priority": 0}],
    }
    config = {
        "providers": {
            "local": {"api": "openai", "endpoints": [f"http://{local_engine.address}"], "usage": "continuous"},
            "other": {"api": "openai", "endpoints": [f"http://{other_engine.address}"]},
            "plain": {"api": "openai", "base_url": f"http://{other_engine.address}/v1", "responses": False},
        },
        "models": {name: {"targets": targets} for name, targets in models.items()},
        "plans": {"small": {"monthly_tokens": 10_000, "rpm": 1_000}},
        "tenants": {
            name: {"models": list(models), "keys": [{"name": "ci", "sha256": sha256(key.encode()).hexdigest()}]}
            for name, key in keys.items()
        },
        "services": {"counters": f"unix://{counters.socket}"},
    }
    config["tenants"]["small"]["plan"] = "small"  # type: ignore[index]
    with running_gateway(folder, config, {}) as gateway:
        yield Setup(gateway, keys, {"local": local_engine, "other": other_engine})


def raw(setup: Setup, method: str, path: str, tenant: str = "acme", body: Any = None) -> httpx2.Response:
    headers = {"authorization": f"Bearer {setup.keys[tenant]}"}
    return httpx2.request(method, setup.gateway.url + path, headers=headers, json=body, timeout=20)


def within(condition: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def end_line(setup: Setup, response: Any) -> dict[str, Any]:
    return setup.gateway.end_line(response.headers["x-request-id"])
