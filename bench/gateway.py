"""A real gateway for the bench: `headgate up` on a gateway.yaml and a state directory of its own."""

import hashlib
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import answers
from bench.child import end
from bench.failure import Failure
from headgate import contract
from headgate.supervise import binaries
from headgate.supervise.ports import free_port
from headgate.supervise.process import start_ticks_of

MODEL = "chat"
TRANSLATED_MODEL = "translated"

_END_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that was started; it may not answer yet."""

    state: Path
    port: int
    key: str
    process: subprocess.Popen[bytes]
    log: Path
    began: float  # time.monotonic()

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Pids by component: envoy, filters (Python), valkey."""
        found: dict[str, tuple[int, ...]] = {}
        for name, record in sorted(_records(self.state).items()):
            component = "filters" if name.startswith("filters-") else name
            found[component] = (*found.get(component, ()), record["pid"])
        return found

    def check(self) -> None:
        """Raises Failure, with the end of its log, when it has ended."""
        if self.process.poll() is not None:
            raise Failure(f"headgate up ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")


@contextmanager
def gateway(folder: Path, upstream: int) -> Iterator[Gateway]:
    """Start `headgate up` below `folder`, which must be empty; all of it has ended afterwards."""
    folder.mkdir()
    key, port = f"hg-{secrets.token_urlsafe(32)}", free_port()
    config, state, log = folder / "gateway.yaml", folder / "state", folder / "up.log"
    config.write_text(json.dumps(_config(port, free_port(), upstream, key)))
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*binaries.headgate(), "up", "-c", str(config), "--state", str(state), "--drain-timeout", "1s"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Gateway(state, port, key, process, log, began)
    finally:
        if not end(process, within_s=_END_WITHIN_S):
            _kill_parts(state)


def _config(port: int, admin: int, upstream: int, key: str) -> dict[str, Any]:
    provider = {
        "api": "openai",
        "endpoints": [f"http://127.0.0.1:{upstream}"],
        "health_check": "/health",
        "usage": "continuous",
        "zone": "internal",
    }
    foreign = {"api": "anthropic", "base_url": f"http://127.0.0.1:{upstream}"}
    digest = hashlib.sha256(key.encode()).hexdigest()
    return {
        "listen": {"http": f"127.0.0.1:{port}", "admin": f"127.0.0.1:{admin}"},
        "providers": {"upstream": provider, "foreign": foreign},
        "models": {
            name: {"targets": [{"provider": provider_name, "model": answers.MODEL}]}
            for name, provider_name in ((MODEL, "upstream"), (TRANSLATED_MODEL, "foreign"))
        },
        # Never reached: every request makes its round trip to the counters and holds a slot until it is settled.
        "plans": {"counted": {"rpm": 10**9, "concurrency": 10**6}},
        "tenants": {
            "bench": {
                "plan": "counted",
                "models": [MODEL, TRANSLATED_MODEL],
                "keys": [{"name": "bench", "sha256": digest}],
            }
        },
    }


def _records(state: Path) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads((state / contract.PARTS).read_bytes())["parts"]
    except FileNotFoundError:
        return {}
    return found


def _kill_parts(state: Path) -> None:
    """What a supervisor that had to be killed left behind, and only that."""
    for record in _records(state).values():
        if start_ticks_of(record["pid"]) == record["start_ticks"]:
            os.kill(record["pid"], signal.SIGKILL)
