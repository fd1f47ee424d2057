"""A gateway whose tenants share providers that store chat completions, and some that do not."""

import contextlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import openai
from responses_gateway import Setup
from running_gateway import running_gateway
from upstreams import Engine

from tests.counters.valkey_server import ValkeyServer

MODELS: dict[str, list[dict[str, Any]]] = {
    "chat": [{"provider": "local", "model": "up-1"}],
    "alias": [{"provider": "local", "model": "up-1"}],
    "pair": [
        {"provider": "local", "model": "up-1", "priority": 0},
        {"provider": "other", "model": "up-2", "priority": 0},
    ],
    "b": [{"provider": "other", "model": "up-2"}],
    "falls": [{"provider": "dead", "model": "x"}, {"provider": "local", "model": "up-1"}],
    "engine": [{"provider": "vllm", "model": "up-3"}],
    "drops": [{"provider": "vllm", "model": "up-3"}],
    "claude": [{"provider": "claude", "model": "up-4"}],
}
TENANTS = {
    "acme": [*MODELS],
    "globex": [*MODELS],
    "lone": ["chat", "alias", "engine"],
    "bare": ["engine", "claude"],
    "small": ["chat"],
}


@contextlib.contextmanager
def stored_gateway(
    folder: Path, local_engine: Engine, other_engine: Engine, dead: str, counters: ValkeyServer
) -> Iterator[Setup]:
    keys = {tenant: f"hg-{token_urlsafe(32)}" for tenant in TENANTS}
    local, other = f"http://{local_engine.address}", f"http://{other_engine.address}"
    config: dict[str, Any] = {
        "providers": {
            "local": {"api": "openai", "base_url": f"{local}/v1", "usage": "continuous"},
            "other": {"api": "openai", "base_url": f"{other}/v1"},
            "dead": {"api": "openai", "base_url": f"http://{dead}/v1"},
            "vllm": {"api": "openai", "preset": "vllm", "endpoints": [other]},
            "claude": {"api": "anthropic", "base_url": other},
        },
        "models": {
            name: {"targets": targets, "drop_unsupported": name == "drops"} for name, targets in MODELS.items()
        },
        "plans": {"small": {"monthly_tokens": 10_000, "rpm": 1_000}},
        "tenants": {
            name: {"models": models, "keys": [{"name": "ci", "sha256": sha256(keys[name].encode()).hexdigest()}]}
            for name, models in TENANTS.items()
        },
        "services": {"counters": f"unix://{counters.socket}"},
    }
    config["tenants"]["small"]["plan"] = "small"
    with running_gateway(folder, config, {}) as gateway:
        yield Setup(gateway, keys, {"local": local_engine, "other": other_engine})


def ids(page: Any) -> list[str]:
    """Of everything that a client gets who goes on from page to page."""
    return [one.id for one in page]


def store(sdk: openai.OpenAI, model: str, text: str = "x", **more: Any) -> str:
    """The id of a completion that is stored."""
    made = sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], store=True, **more)
    return made.id
