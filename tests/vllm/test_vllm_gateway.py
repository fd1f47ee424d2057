"""A gateway in front of real vLLM: what clients get, what is metered, and what the engines notice of who leaves."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.gateway.running_gateway import READY_S, RunningGateway
from tests.vllm.engine_under_test import EngineUnderTest
from tests.vllm.vllm_gateway import KEY, asked
from tests.vllm.vllm_replica import MODEL, Replica

pytestmark = pytest.mark.vllm

Replicas = tuple[Replica, Replica, Replica]
CAPITAL = "What is the capital of France?"
PARIS = "The capital of France is Paris."
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
def engines(replicas: Replicas, tiny: Any) -> tuple[EngineUnderTest, EngineUnderTest]:
    """The two replicas that generate, idle."""
    first, second = (EngineUnderTest(replica.url, MODEL, tiny) for replica in replicas[:2])
    for engine in (first, second):
        engine.wait_for(0, 0)
    return first, second


def answered(gateway: RunningGateway, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = gateway.post(path, body, KEY)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def message_of(gateway: RunningGateway, body: dict[str, Any]) -> dict[str, Any]:
    [choice] = answered(gateway, "/v1/chat/completions", body)["choices"]
    message: dict[str, Any] = choice["message"]
    return message


@contextlib.contextmanager
def stream(gateway: RunningGateway, body: dict[str, Any]) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """A streamed answer: the request's id, and its chunks as they come."""
    headers = {"authorization": f"Bearer {KEY}"}
    url = f"{gateway.url}/v1/chat/completions"
    usage = {"include_usage": True, "continuous_usage_stats": True}
    sent = {**body, "stream": True, "stream_options": usage}
    with httpx2.stream("POST", url, json=sent, headers=headers, timeout=READY_S) as answer:
        assert answer.status_code == 200
        lines = (line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: "))
        yield answer.headers["x-request-id"], (json.loads(line) for line in lines if line != "[DONE]")


def tokens_of(engine: EngineUnderTest, **asked_for: Any) -> int:
    """What the engine's own tokenizer makes of a text or of messages."""
    answer = engine.post("/tokenize", {"model": MODEL, **asked_for})
    assert answer.status_code == 200, answer.text
    count: int = answer.json()["count"]
    return count


def test_a_chat_is_answered_and_metered(
    gateway: RunningGateway, engines: tuple[EngineUnderTest, EngineUnderTest]
) -> None:
    answer = gateway.post("/v1/chat/completions", asked(CAPITAL), KEY)
    assert answer.json()["choices"][0]["message"]["content"] == PARIS
    assert answer.headers["x-headgate-target"] == "llama"
    line = gateway.end_line(answer.headers["x-request-id"])
    assert (line["target"], line["upstream_model"], line["status"]) == ("llama", MODEL, 200)
    assert line["prompt_tokens"] == tokens_of(engines[0], messages=asked(CAPITAL)["messages"])


def test_the_usage_of_a_stream_is_what_the_engines_tokenizer_says(
    gateway: RunningGateway, engines: tuple[EngineUnderTest, EngineUnderTest]
) -> None:
    with stream(gateway, asked(CAPITAL)) as (request_id, chunks):
        said = list(chunks)
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in said if chunk["choices"]) == PARIS
    prompt = tokens_of(engines[0], messages=asked(CAPITAL)["messages"])
    generated = tokens_of(engines[0], prompt=PARIS, add_special_tokens=False) + 1  # and the one that ends it
    usage = said[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (prompt, generated)
    line = gateway.end_line(request_id)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (prompt, generated)


def test_a_client_that_leaves_ends_the_generation_and_pays_for_what_came(
    gateway: RunningGateway, engines: tuple[EngineUnderTest, EngineUnderTest]
) -> None:
    before = [engine.metric("vllm:generation_tokens_total") for engine in engines]
    with stream(gateway, asked(CAPITAL, max_tokens=3500, ignore_eos=True)) as (request_id, chunks):
        received = 0
        while received < 50:
            received = next(chunks)["usage"]["completion_tokens"]
    for engine in engines:
        engine.wait_for(0, 0)
    line = gateway.end_line(request_id)
    after = [engine.metric("vllm:generation_tokens_total") for engine in engines]
    generated = sum(after) - sum(before)
    assert received <= line["completion_tokens"] <= generated < 3500
    assert line["prompt_tokens"] == tokens_of(engines[0], messages=asked(CAPITAL)["messages"])


def test_both_replicas_answer(gateway: RunningGateway, engines: tuple[EngineUnderTest, EngineUnderTest]) -> None:
    before = [engine.metric("vllm:prompt_tokens_total") for engine in engines]
    for _ in range(24):
        message_of(gateway, asked(CAPITAL, max_tokens=1))
    for engine, old in zip(engines, before, strict=True):
        assert engine.metric("vllm:prompt_tokens_total") > old


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_tool_is_called(gateway: RunningGateway, choice: str) -> None:
    question = "What is the weather in Paris?"
    message = message_of(gateway, asked(question, tools=[TOOL], tool_choice=choice))
    [call] = message["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}


def test_a_schema_holds(gateway: RunningGateway) -> None:
    digit = {"type": "integer", "minimum": 0, "maximum": 9}
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}, "n": digit},
        "required": ["city", "n"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": schema}}
    said = json.loads(message_of(gateway, asked(CAPITAL, response_format=form))["content"])
    assert said.keys() == {"city", "n"}
    assert said["city"] in ("Paris", "Rome")
    assert said["n"] in range(10)


def test_a_response_is_made_and_metered(gateway: RunningGateway) -> None:
    body = {"model": "chat", "input": CAPITAL, "temperature": 0, "max_output_tokens": 40, "store": False}
    answer = gateway.post("/v1/responses", body, KEY)
    assert answer.status_code == 200, answer.text
    response = answer.json()
    [item] = response["output"]
    assert item["content"][0]["text"] == PARIS
    line = gateway.end_line(answer.headers["x-request-id"])
    used = response["usage"]
    assert (line["prompt_tokens"], line["completion_tokens"]) == (used["input_tokens"], used["output_tokens"])


def test_texts_are_embedded_by_the_pooling_replica(gateway: RunningGateway) -> None:
    body = {"model": "embed", "input": ["Paris", "Rome"]}
    first, second = (answered(gateway, "/v1/embeddings", body)["data"] for _ in range(2))
    vectors = [row["embedding"] for row in first]
    assert [len(vector) for vector in vectors] == [64, 64]
    assert vectors[0] != vectors[1]
    assert vectors == [row["embedding"] for row in second]


def test_an_engine_refuses_what_it_cannot_do(gateway: RunningGateway) -> None:
    refused = gateway.post("/v1/chat/completions", asked("word " * 5000), KEY)
    assert refused.status_code == 400
    assert "4096" in refused.json()["error"]["message"]
