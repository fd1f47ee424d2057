"""Replicas of an engine behind a real Envoy: conversations stay where they began, and go on when that replica dies.

Which replica answered is what the replicas themselves have recorded. Counts, not times.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest
from limited import counters_of
from redis import Redis
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT
from upstreams import Engine

from headgate.feed.messages import gateway_channel, replicas_alone
from headgate.feed.replicas import Replica, ReplicaState
from tests.engines.raw_http import started
from tests.feed.ends import WITHIN_S

CONVERSATIONS = [f"Tell me of river {number} of the atlas, and of its mouth." for number in range(16)]
WORKERS = 2
CAPACITY = 1000  # an eighth of it is more than any test asks at once
KEYS = {tenant: f"hg-{token_urlsafe(32)}" for tenant in ("acme", "globex")}


@dataclass(frozen=True)
class Spreading:
    gateway: RunningGateway
    replicas: Mapping[str, Engine]
    teller: "Teller"

    def ask(self, *turns: str, tenant: str = "acme") -> tuple[str, int, int]:
        """Which replica answered, at which attempt, and how many tokens of the prompt it had cached."""
        roles = ("user", "assistant")
        said = [{"role": roles[number % 2], "content": text} for number, text in enumerate(turns)]
        system = {"role": "system", "content": "You know all rivers and say so in few words. " * 8}
        body = {"model": "chat", "messages": [system, *said], "simulate": {"tokens": 2, "ttft_s": 0}}
        reply = self.gateway.post(CHAT, body, KEYS[tenant])
        assert reply.status_code == 200, reply.text
        request_id = reply.headers["x-request-id"]
        (name,) = [name for name, replica in self.replicas.items() if replica.has_seen(request_id)]
        details = reply.json()["usage"].get("prompt_tokens_details") or {}
        return name, int(reply.headers["x-headgate-attempts"]), details.get("cached_tokens", 0)


def configuration(*addresses: str) -> dict[str, Any]:
    tenants = {
        tenant: {"models": ["chat"], "keys": [{"name": "ci", "sha256": sha256(key.encode()).hexdigest()}]}
        for tenant, key in KEYS.items()
    }
    endpoints = [f"http://{address}" for address in addresses]
    return {
        "engines": {"llama": {"kind": "simulator", "endpoints": endpoints, "max_running": CAPACITY}},
        "models": {"chat": {"targets": [{"provider": "llama", "model": "llama"}]}},
        "tenants": tenants,
    }


class Teller(threading.Thread):
    """Says of the replicas what whoever watches them would say, and goes on saying it."""

    def __init__(self, gateway: RunningGateway, counters: Redis, replicas: Mapping[str, Engine]) -> None:
        super().__init__()
        self._counters, self._replicas = counters, replicas
        self._gateway, self._cluster = (gateway.state / "gateway-id").read_text().strip(), gateway.cluster("llama")
        self._channel = gateway_channel(self._gateway)
        self._states = dict.fromkeys(replicas, ReplicaState.READY)
        self._lock, self.ended = threading.Lock(), threading.Event()

    def say(self, **states: ReplicaState) -> None:
        """Something new; once all workers listen."""
        deadline = time.monotonic() + WITHIN_S
        while self._counters.pubsub_numsub(self._channel)[0][1] < WORKERS:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self._publish(states)

    def run(self) -> None:
        while not self.ended.wait(0.3):
            self._publish({})

    def _publish(self, states: Mapping[str, ReplicaState]) -> None:
        with self._lock:
            self._states |= states
            said = [
                Replica(self._replicas[name].address, state, 0, 0, CAPACITY, 0.0)
                for name, state in self._states.items()
            ]
            self._counters.publish(self._channel, replicas_alone(self._gateway, {self._cluster: said}))


@contextmanager
def telling(gateway: RunningGateway, replicas: Mapping[str, Engine]) -> Iterator[Teller]:
    with counters_of(gateway) as counters:
        teller = Teller(gateway, counters, replicas)
        teller.say()
        teller.start()
        try:
            yield teller
        finally:
            teller.ended.set()
            teller.join()


@contextmanager
def replica(folder: Path, name: str) -> Iterator[Engine]:
    with started(folder / f"{name}.jsonl", "--ttft=0", "--token=0.001", "--prefix-cache=100000") as running:
        yield Engine(f"127.0.0.1:{running.port}", running.record)


@pytest.fixture
def second() -> Iterator[ExitStack]:
    """Close it, and the second replica is gone."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def spreading(tmp_path: Path, second: ExitStack) -> Iterator[Spreading]:
    with replica(tmp_path, "one") as one:
        replicas = {"one": one, "other": second.enter_context(replica(tmp_path, "other"))}
        config = configuration(*(replica.address for replica in replicas.values()))
        with running_gateway(tmp_path, config, {}, WORKERS) as gateway, telling(gateway, replicas) as teller:
            yield Spreading(gateway, replicas, teller)


def test_conversations_stay_where_they_began(spreading: Spreading, second: ExitStack) -> None:
    began = {text: spreading.ask(text)[0] for text in CONVERSATIONS}
    assert set(began.values()) == {"one", "other"}
    for text, name in began.items():
        for turns in ([text, "It is long.", "And wide?"], [text, "It is long.", "And wide?", "Yes.", "And deep?"]):
            answered, attempts, cached = spreading.ask(*turns)
            assert (answered, attempts) == (name, 1)
            assert cached > 64  # more than the system prompt, which all have in common
    others = {text: spreading.ask(text, tenant="globex")[0] for text in CONVERSATIONS}
    assert others != began  # another tenant's conversations are where they are by themselves

    spreading.teller.say(other=ReplicaState.DRAINING)
    assert {spreading.ask(text)[:2] for text in CONVERSATIONS} == {("one", 1)}
    spreading.teller.say(other=ReplicaState.READY)
    assert {text: spreading.ask(text)[0] for text in CONVERSATIONS} == began

    second.close()  # and nobody has noticed yet
    found = {text: spreading.ask(text)[:2] for text in CONVERSATIONS}
    assert found == {text: ("one", 1 if name == "one" else 2) for text, name in began.items()}
    spreading.teller.say(other=ReplicaState.AWAY)
    assert {spreading.ask(text)[:2] for text in CONVERSATIONS} == {("one", 1)}
