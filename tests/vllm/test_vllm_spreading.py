"""What it is worth to real vLLM that a conversation stays where it began: tokens that need not be computed again, and
the time to the first token.

The model is large enough that a prompt costs something: 21 million parameters, whose values nobody has trained.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import pytest

from tests.feed.replica_news import wait_for_states
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.vllm.engine_under_test import EngineUnderTest
from tests.vllm.vllm_replica import MODEL, vllm_replica

pytestmark = pytest.mark.vllm

KEY = "hg-" + "s" * 43
CONVERSATIONS, TURNS = 4, 4
FIRST_WORDS, MORE_WORDS = 600, 30  # about 2,400 tokens, and then 130 with each turn
CAPACITY = 1000  # an eighth of it is more than the test asks at once
LARGER = {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 5,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,  # 2.5 KiB for a token: all conversations stay in 64 MiB
}


@dataclass(slots=True)
class Talks:
    """Conversations: how many tokens the prompt of each turn has, how long each later turn's first token took."""

    sizes: list[list[int]] = field(default_factory=list)
    first_tokens_s: list[float] = field(default_factory=list)


@pytest.fixture(scope="module")
def pair(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[EngineUnderTest]]:
    """Two replicas of the larger model. vLLM gives weights that it does not read the same random values."""
    folder = tmp_path_factory.mktemp("larger")
    model = folder / "model"
    shutil.copytree(tiny / "model", model, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((model / "config.json").read_text())
    config.pop("head_dim", None)  # it follows from the others
    (model / "config.json").write_text(json.dumps(config | LARGER))
    with ExitStack() as running:
        some = [running.enter_context(vllm_replica(folder, model, "--load-format=dummy")) for _ in range(2)]
        for replica in some:
            replica.wait_until_healthy()
        yield [EngineUnderTest(replica.url, MODEL, tiny) for replica in some]


@pytest.fixture(scope="module")
def both(pair: list[EngineUnderTest], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """The same replicas as an engine (`kept`) and as a provider that is none (`drawn`)."""
    endpoints = [engine.url for engine in pair]
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


def test_conversations_find_what_was_computed_of_them(both: RunningGateway, pair: list[EngineUnderTest]) -> None:
    def hits() -> float:
        return sum(engine.metric("vllm:prefix_cache_hits_total") for engine in pair)

    [(cache, _)] = pair[0].series("vllm:cache_config_info")
    block, found, talks = int(cache["block_size"]), dict[str, float](), {"kept": Talks(), "drawn": Talks()}
    for model, those in talks.items():
        before = hits()
        for number in range(CONVERSATIONS):
            talk(both, model, number, those)
        found[model] = hits() - before
    show(found, talks)
    # All full blocks of each turn's prompt are there for the next one.
    assert found["kept"] >= sum(tokens // block * block for turns in talks["kept"].sizes for tokens in turns[:-1])
    assert found["kept"] > found["drawn"]


def show(found: dict[str, float], talks: dict[str, Talks]) -> None:
    """For whoever wants to know how much."""
    for model, those in talks.items():
        asked, times = sum(map(sum, those.sizes)), sorted(those.first_tokens_s)
        seconds = f"median {median(times):.2f} s, slowest {times[-1]:.2f} s, mean {sum(times) / len(times):.2f} s"
        print(f"{model}: {found[model]:.0f} of {asked} tokens were cached; later turns' first token: {seconds}")  # noqa: T201
    kept, drawn = (sum(talks[model].first_tokens_s) for model in ("kept", "drawn"))
    print(f"first tokens came {drawn / kept:.1f} times sooner where conversations stayed")  # noqa: T201


def talk(gateway: RunningGateway, model: str, number: int, those: Talks) -> None:
    """A conversation that begins like no other."""
    sizes: list[int] = []
    messages: list[dict[str, Any]] = []
    for turn in range(TURNS):
        words = FIRST_WORDS if turn == 0 else MORE_WORDS
        text = " ".join(str((at * 7919 + number) % 997) for at in range(words))
        messages.append({"role": "user", "content": f"{model} {number}, chapter {turn}: {text}"})
        first_s, prompt_tokens = ask(gateway, model, messages)
        if turn:
            those.first_tokens_s.append(first_s)
        sizes.append(prompt_tokens)
        messages.append({"role": "assistant", "content": "Yes."})
    those.sizes.append(sizes)


def ask(gateway: RunningGateway, model: str, messages: list[dict[str, Any]]) -> tuple[float, int]:
    """Seconds until the first token, and how many tokens the prompt has."""
    body = {"model": model, "messages": messages, "max_tokens": 2, "temperature": 0, "stream": True}
    body["stream_options"] = {"include_usage": True}
    began, first_s, usage = time.monotonic(), 0.0, None
    url, headers = f"{gateway.url}/v1/chat/completions", {"authorization": f"Bearer {KEY}"}
    with httpx2.stream("POST", url, json=body, headers=headers, timeout=120) as reply:
        assert reply.status_code == 200, reply.read()
        for line in reply.iter_lines():
            if line.startswith("data: {"):
                first_s = first_s or time.monotonic() - began
                usage = json.loads(line[6:]).get("usage") or usage
    assert usage, "no usage came"
    return first_s, usage["prompt_tokens"]
