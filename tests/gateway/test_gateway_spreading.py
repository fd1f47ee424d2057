"""Replicas of an engine behind a real Envoy: conversations stay where they began, and go on when that replica dies.

Which replica answered is what the replicas themselves have recorded. Counts, not times.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, TypeVar

import httpx2
import pytest
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT
from upstreams import Engine

from headgate.feed.states import FORGET_S
from tests.engines.raw_http import started
from tests.feed.replica_news import silences, wait_for_states

CONVERSATIONS = [f"Tell me of river {number} of the atlas, and of its mouth." for number in range(16)]
FAILS = {"model": "chat", "messages": [{"role": "user", "content": "x"}], "simulate": {"status": 500}}
CAPACITY = 1000  # an eighth of it is more than the test asks at once
T = TypeVar("T")
KEYS = {tenant: f"hg-{token_urlsafe(32)}" for tenant in ("acme", "globex")}


@dataclass(frozen=True)
class Spreading:
    gateway: RunningGateway
    replicas: Mapping[str, Engine]

    def wait_for(self, **states: str) -> None:
        """Until the workers have heard that the replicas are so."""
        addresses = {self.replicas[name].address: state for name, state in states.items()}
        wait_for_states(self.gateway.state, self.gateway.cluster("llama"), addresses)

    def steadily(self, check: Callable[[], T]) -> T:
        """What it returns or raises while workers know how replicas are.

        Where nobody could tell them for seconds, they go by what Envoy sees, as they should: then once more.
        """
        for _ in range(4):
            with silences(self.gateway.state) as longest_s:
                try:
                    return check()
                except AssertionError:
                    if longest_s() < FORGET_S - 2:
                        raise
        raise AssertionError("again and again nobody told the workers of replicas")

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

    def respond(self, text: str, **members: str) -> tuple[str, str]:
        """The id of a response that a replica keeps, and which one."""
        body = {"model": "chat", "input": text, "simulate": {"tokens": 2, "ttft_s": 0}, **members}
        reply = self.gateway.post("/v1/responses", body, KEYS["acme"])
        assert reply.status_code == 200, reply.text
        request_id = reply.headers["x-request-id"]
        return reply.json()["id"], next(name for name, one in self.replicas.items() if one.has_seen(request_id))

    def about(self, response_id: str) -> httpx2.Response:
        return self.gateway.get(f"/v1/responses/{response_id}", KEYS["acme"])


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


@contextmanager
def replica(folder: Path, name: str) -> Iterator[Engine]:
    flags = ("--model=llama", "--ttft=0", "--token=0.001", "--prefix-cache=100000")
    with started(folder / f"{name}.jsonl", *flags) as running:
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
        with running_gateway(
            tmp_path, configuration(*(replica.address for replica in replicas.values())), {}
        ) as gateway:
            yield Spreading(gateway, replicas)


def check_both(spreading: Spreading) -> tuple[dict[str, str], dict[str, str]]:
    """Where conversations began, and which replica keeps which response."""
    began = {text: spreading.ask(text)[0] for text in CONVERSATIONS}
    assert set(began.values()) == {"one", "other"}
    for text, name in began.items():
        for turns in ([text, "It is long.", "And wide?"], [text, "It is long.", "And wide?", "Yes.", "And deep?"]):
            answered, attempts, cached = spreading.ask(*turns)
            assert (answered, attempts) == (name, 1)
            assert cached > 64  # more than the system prompt, which all have in common
    others = {text: spreading.ask(text, tenant="globex")[0] for text in CONVERSATIONS}
    assert others != began  # another tenant's conversations are where they are by themselves
    kept = dict(spreading.respond(text) for text in CONVERSATIONS)
    assert set(kept.values()) == {"one", "other"}
    for response_id, name in kept.items():  # whichever replica the same words would begin at
        assert spreading.respond("And then?", previous_response_id=response_id)[1] == name
        assert spreading.about(response_id).json()["id"] == response_id
    return began, kept


def check_one(spreading: Spreading, began: Mapping[str, str]) -> None:
    """Whoever watches the replicas may not have noticed yet that one is gone."""
    found = {text: spreading.ask(text)[:2] for text in CONVERSATIONS}
    assert {name for name, _ in found.values()} == {"one"}
    assert {found[text][1] for text, name in began.items() if name == "one"} == {1}
    assert {attempts for _, attempts in found.values()} <= {1, 2}


def check_known(spreading: Spreading, kept: Mapping[str, str]) -> None:
    """Everybody has noticed."""
    assert {spreading.ask(text)[:2] for text in CONVERSATIONS} == {("one", 1)}
    assert {name: spreading.about(response_id).status_code for response_id, name in kept.items()} == {
        "one": 200,
        "other": 404,
    }


def test_conversations_stay_where_they_began(spreading: Spreading, second: ExitStack) -> None:
    spreading.wait_for(one="ready", other="ready")
    began, kept = spreading.steadily(lambda: check_both(spreading))
    failed = spreading.gateway.post(CHAT, FAILS, KEYS["acme"])
    assert (failed.status_code, failed.json()["error"]["code"]) == (500, "engine_failed")  # and not in its words
    second.close()  # and whoever watches the replicas may not have noticed yet
    spreading.steadily(lambda: check_one(spreading, began))
    spreading.wait_for(one="ready", other="away")
    spreading.steadily(lambda: check_known(spreading, kept))
