"""A real gateway for the bench: `headgate up` on a gateway.yaml and a state directory of its own."""

import hashlib
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import answers
from bench.child import end, logged
from bench.failure import Failure
from bench.foreign import FOREIGN
from headgate import contract
from headgate.supervise import binaries
from headgate.supervise.ports import free_port
from headgate.supervise.process import start_ticks_of

MODEL = "chat"
CHAT_ONLY_MODEL = "chat-only"  # its provider has no responses
LIMITED_MODEL = "limited"  # has a price; for the tenant with limits of tokens and money
EMBEDDING_MODEL = "embedding"
FALLBACK_MODEL = "fallback"  # its first target answers 500

# By what a scenario asks for.
MODELS = {
    "chat": MODEL,
    "embedding": EMBEDDING_MODEL,
    "fallback": FALLBACK_MODEL,
    "anthropic": "translated-anthropic",
}

# Never reached: every request makes its round trip to the counters and holds a slot until it is settled.
_LIMITS = {"rpm": 10**9, "concurrency": 10**6}
_TOKEN_LIMITS = {"tpm": 10**9, "monthly_usd": 10**6}

# What gateway.yaml needs for a provider of that API beside its address. Its secrets are a file beside that.
_MORE: dict[str, dict[str, Any]] = {
    "bedrock": {
        "region": "eu-central-1",
        "aws": {"access_key_id": "file:secret", "secret_access_key": "file:secret"},
    }
}

_END_WITHIN_S = 20.0
_ALL_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that was started; it may not answer yet."""

    state: Path
    port: int
    upstream: int  # the port of what it is in front of
    keys: Mapping[str, str]  # of its tenants, by name: bench, limited, and spent, whose limit is used up
    process: subprocess.Popen[bytes]
    log: Path
    began: float  # time.monotonic()

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Pids by component: envoy, filters (Python), valkey."""
        found: dict[str, tuple[int, ...]] = {}
        for name, record in sorted(records(self.state).items()):
            component = "filters" if name.startswith("filters-") else name
            found[component] = (*found.get(component, ()), record["pid"])
        return found

    def wait_for_the_rest(self) -> None:
        """Until what no answer waits for is there too: it is measured with the others. Raises Failure."""
        deadline = time.monotonic() + _ALL_WITHIN_S
        rest = {"control": contract.CONTROL_API_SOCKET, "usage": contract.USAGE_SOCKET}
        for name, socket in rest.items():
            while name not in self.parts() or not (self.state / socket).exists():
                self.check()
                if time.monotonic() > deadline:
                    raise Failure(f"{name} has not started:\n{self.log.read_text()[-2000:]}")
                time.sleep(0.05)

    def check(self) -> None:
        """Raises Failure, with the end of its log, when it has ended."""
        if self.process.poll() is not None:
            raise Failure(f"headgate up ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")


@contextmanager
def gateway(
    folder: Path, upstream: int, *options: str, grow: Callable[[dict[str, Any]], None] = lambda _: None
) -> Iterator[Gateway]:
    """Start `headgate up` below `folder`, which must not be there; all of it has ended afterwards.

    `grow` may add to its configuration.
    """
    folder.mkdir()
    keys, port = {name: new_key() for name in ("bench", "limited", "spent")}, free_port()
    (folder / "secret").write_text(secrets.token_urlsafe(32))
    began = time.monotonic()
    config = _config(port, free_port(), upstream, keys)
    grow(config)
    with up(folder, config, *options) as process:
        yield Gateway(folder / "state", port, upstream, keys, process, folder / "up.log", began)


@contextmanager
def up(folder: Path, config: Mapping[str, Any], *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `headgate up` on this configuration in `folder`, its log beside it; all of it has ended afterwards."""
    path, state, log = folder / "gateway.yaml", folder / "state", folder / "up.log"
    path.write_text(json.dumps(config))
    command = [*binaries.headgate(), "up", "-c", str(path), "--state", str(state), "--drain-timeout", "1s", *options]
    process = logged(command, log)
    try:
        yield process
    finally:
        if not end(process, within_s=_END_WITHIN_S):
            _kill_parts(state)


def translated_model(api: str) -> str:
    """The model whose provider speaks that API."""
    return f"translated-{api}"


def new_key() -> str:
    """A virtual key."""
    return f"hg-{secrets.token_urlsafe(32)}"


def _config(port: int, admin: int, upstream: int, keys: Mapping[str, str]) -> dict[str, Any]:
    root = f"http://127.0.0.1:{upstream}"
    provider = {
        "api": "openai",
        "endpoints": [root],
        "health_check": "/health",
        "usage": "continuous",
        "zone": "internal",
    }
    others = {api: {"api": api, "base_url": root, **_MORE.get(api, {})} for api in (one.api for one in FOREIGN)}
    translated = {translated_model(api): _model(api) for api in others} | {CHAT_ONLY_MODEL: _model("chat-only")}
    others["chat-only"] = {**provider, "responses": False}
    price = {"input": 1, "output": 2}
    limited = {**_model("upstream", answers.BOUNDED_MODEL), "price": price, "default_max_tokens": 256}
    models = {
        MODEL: _model("upstream"),
        EMBEDDING_MODEL: _model("upstream", answers.EMBEDDING_MODEL),
        FALLBACK_MODEL: _model("upstream", answers.FAILING_MODEL, answers.MODEL),
        **translated,
    }
    return {
        "listen": {"http": f"127.0.0.1:{port}", "admin": f"127.0.0.1:{admin}"},
        "providers": {"upstream": provider, **others},
        "models": {**models, LIMITED_MODEL: limited},
        "plans": {"counted": _LIMITS, "limited": {**_LIMITS, **_TOKEN_LIMITS}, "spent": {"daily_requests": 1}},
        "tenants": {
            "bench": _tenant("counted", [*models], keys["bench"]),
            "limited": _tenant("limited", [LIMITED_MODEL], keys["limited"]),
            "spent": _tenant("spent", [MODEL], keys["spent"]),
        },
    }


def _model(provider: str, *names: str) -> dict[str, Any]:
    """A chain of that provider's models, the next one asked when one fails."""
    return {"targets": [{"provider": provider, "model": name} for name in names or (answers.MODEL,)]}


def _tenant(plan: str, models: list[str], key: str) -> dict[str, Any]:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return {"plan": plan, "models": models, "keys": [{"name": "bench", "sha256": digest}]}


def records(state: Path) -> Mapping[str, Any]:
    """What the supervisor says of its parts, by name: `pid` and `start_ticks`."""
    try:
        found: Mapping[str, Any] = json.loads((state / contract.PARTS).read_bytes())["parts"]
    except FileNotFoundError:
        return {}
    return found


def _kill_parts(state: Path) -> None:
    """What a supervisor that had to be killed left behind, and only that."""
    for record in records(state).values():
        if start_ticks_of(record["pid"]) == record["start_ticks"]:
            os.kill(record["pid"], signal.SIGKILL)
