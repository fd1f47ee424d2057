"""What it is worth to real vLLM that a conversation stays where it began: tokens that need not be computed again."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.feed.replica_news import wait_for_states
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.vllm.engine_under_test import EngineUnderTest
from tests.vllm.vllm_replica import MODEL, Replica

pytestmark = pytest.mark.vllm

KEY = "hg-" + "s" * 43
CONVERSATIONS, TURNS = 8, 4
CAPACITY = 1000  # an eighth of it is more than the test asks at once


@pytest.fixture(scope="module")
def both(
    replicas: tuple[Replica, Replica, Replica], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """The same replicas as an engine (`kept`) and as a provider that is none (`drawn`)."""
    endpoints = [replica.url for replica in replicas[:2]]
    config = {
        "engines": {"llama": {"kind": "vllm", "endpoints": endpoints, "served_name": MODEL, "max_running": CAPACITY}},
        "providers": {"plain": {"api": "openai", "preset": "vllm", "endpoints": endpoints}},
        "models": {
            "kept": {"targets": [{"provider": "llama", "model": MODEL}]},
            "drawn": {"targets": [{"provider": "plain", "model": MODEL}]},
        },
        "tenants": {
            "acme": {
                "models": ["kept", "drawn"],
                "keys": [{"name": "ci", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
            }
        },
    }
    ready = {url.removeprefix("http://"): "ready" for url in endpoints}
    with running_gateway(tmp_path_factory.mktemp("spreading"), config, {}) as gateway:
        wait_for_states(gateway.state, gateway.cluster("llama"), ready)
        yield gateway


def test_conversations_find_what_was_computed_of_them(
    both: RunningGateway, replicas: tuple[Replica, Replica, Replica], tiny: Path
) -> None:
    engines = [EngineUnderTest(replica.url, MODEL, tiny) for replica in replicas[:2]]

    def hits() -> float:
        return sum(engine.metric("vllm:prefix_cache_hits_total") for engine in engines)

    [(cache, _)] = engines[0].series("vllm:cache_config_info")
    block, found = int(cache["block_size"]), dict[str, float]()
    for model in ("kept", "drawn"):
        before = hits()
        prompts = [talk(both, model, number) for number in range(CONVERSATIONS)]
        found[model] = hits() - before
        if model == "kept":  # all full blocks of each turn's prompt are there for the next one
            least = sum(tokens // block * block for turns in prompts for tokens in turns[:-1])
            assert found[model] >= least
    print(found)  # noqa: T201 - for whoever wants to know how much
    assert found["kept"] > found["drawn"]


def talk(gateway: RunningGateway, model: str, number: int) -> list[int]:
    """A conversation that begins like no other; how many tokens the prompt of each turn has."""
    sizes: list[int] = []
    messages: list[dict[str, Any]] = []
    for turn in range(TURNS):
        text = f"{model} {number}, chapter {turn}: " + " ".join(str(word * 7919 + number) for word in range(20))
        messages.append({"role": "user", "content": text})
        body = {"model": model, "messages": messages, "max_tokens": 8, "temperature": 0}
        reply = gateway.post("/v1/chat/completions", body, KEY)
        assert reply.status_code == 200, reply.text
        answer = reply.json()
        sizes.append(answer["usage"]["prompt_tokens"])
        messages.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"] or "Yes."})
    return sizes
