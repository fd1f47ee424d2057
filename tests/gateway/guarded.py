"""A small gateway in front of a provider that records every byte: for requests that mean no good."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from recorder import Recorder
from running_gateway import RunningGateway, running_gateway
from tenants import Keys


@contextmanager
def guarded_gateway(folder: Path, provider: Recorder, keys: Keys, **listen: Any) -> Iterator[RunningGateway]:
    """`chat` goes to the provider; `restless` too, and is given up after two idle seconds."""
    target = {"targets": [{"provider": "local", "model": "m"}]}
    models = {"chat": target, "restless": {**target, "timeouts": {"idle": "2s"}}}
    config = {
        "listen": listen,
        "providers": {"local": {"api": "openai", "endpoints": [f"http://{provider.address}"]}},
        "models": models,
        "tenants": {
            "acme": {
                "models": list(models),
                "keys": [{"name": "k", "sha256": sha256(keys.acme.encode()).hexdigest()}],
            }
        },
    }
    with running_gateway(folder, config, {}) as running:
        yield running
