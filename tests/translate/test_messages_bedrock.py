"""Anthropic's clients on Bedrock, by way of chat completions: every answer that there is a folder for."""

import json
from typing import Any

import pytest
from anthropic import APIStatusError

from extproc.translate import direction_of
from extproc.translate.direction import Direction, Target
from tests.translate.bedrock_frames import encoded
from tests.translate.bedrock_requests import checked_converse
from tests.translate.cutting import fed, same_however_cut
from tests.translate.golden import KNOWN, Case, cases
from tests.translate.sdk_clients import anthropic_assembled, anthropic_parsed

STREAMS = cases("openai_bedrock", "stream.provider.json")
ANSWERS = cases("openai_bedrock", "answer.provider.json")
# A whole chat completion has its text first, wherever it stood; a stream has all in turn.
IN_TURN = ("reasoning_interleaved",)
BOTH = [case for case in STREAMS if case.has("answer.provider.json") and str(case) not in IN_TURN]
MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
TARGET = Target("aws", MODEL, max_output_tokens=20)


def direction() -> Direction:
    found = direction_of("messages", "bedrock")
    assert found is not None
    return found


@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_a_whole_answer_is_a_message(case: Case) -> None:
    made = direction().whole(case.read("answer.provider.json"), KNOWN)
    if isinstance(made, bytes):
        assert anthropic_parsed(made)["type"] == "message"
    else:
        assert made == case.failure


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_becomes_the_same_however_it_is_cut(case: Case) -> None:
    stream = encoded(case.json("stream.provider.json"))
    outcome = same_however_cut(lambda: direction().stream(KNOWN), stream)
    assert outcome.failure == case.failure
    assert outcome.started == bool(outcome.output)
    if outcome.output and outcome.failure:
        with pytest.raises(APIStatusError):
            anthropic_assembled(outcome.output)


@pytest.mark.parametrize("case", BOTH, ids=str)
def test_a_stream_put_together_is_the_whole_answer(case: Case) -> None:
    made = direction().whole(case.read("answer.provider.json"), KNOWN)
    streamed = fed(direction().stream(KNOWN), [encoded(case.json("stream.provider.json"))])
    if isinstance(made, bytes):
        assert anthropic_assembled(streamed.output) == anthropic_parsed(made)
    else:
        assert streamed.failure


def test_a_request_is_one_of_bedrocks() -> None:
    content: list[dict[str, Any]] = [
        {"type": "text", "text": "What is it?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0lG"}},
    ]
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    body = {"model": "m", "max_tokens": 50, "system": "Be brief.", "stream": True, "tools": tools, "top_k": 3}
    body["messages"] = [{"role": "user", "content": content}]
    made = direction().request(body, TARGET)
    assert made.path.endswith("/converse-stream")
    assert (made.dropped, made.max_tokens) == ((), 20)
    sent = json.loads(made.body)
    checked_converse(sent, MODEL, made.path)
    assert sent["system"] == [{"text": "Be brief."}]
    assert sent["additionalModelRequestFields"] == {"top_k": 3}
    image = {"image": {"format": "gif", "source": {"bytes": "R0lG"}}}
    assert sent["messages"] == [{"role": "user", "content": [{"text": "What is it?"}, image]}]


@pytest.mark.parametrize("case", [case for case in BOTH if b"reasoningContent" in case.read("answer.provider.json")],
                         ids=str)  # fmt: skip
def test_thinking_is_as_it_was_once_the_answer_is_sent_back(case: Case) -> None:
    said = case.json("answer.provider.json")["output"]["message"]["content"]
    whole = direction().whole(case.read("answer.provider.json"), KNOWN)
    assert isinstance(whole, bytes)
    for message in (
        anthropic_parsed(whole),
        anthropic_assembled(fed(direction().stream(KNOWN), [case.stream]).output),
    ):
        turns = [{"role": "assistant", "content": message["content"]}, {"role": "user", "content": "Go on"}]
        body = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}, *turns]}
        made = direction().request(body, TARGET)
        checked_converse(json.loads(made.body), MODEL, made.path)
        sent = json.loads(made.body)["messages"][1]["content"]
        assert [block for block in sent if "reasoningContent" in block] == [
            block for block in said if is_signed(block)
        ]
        assert made.dropped == (() if all(map(is_signed, filter(is_thought, said))) else ("messages.thinking",))


def is_thought(block: dict[str, Any]) -> bool:
    return "reasoningContent" in block


def is_signed(block: dict[str, Any]) -> bool:
    """Whether it is thinking that Claude takes back."""
    thought = block.get("reasoningContent", {})
    return "redactedContent" in thought or bool(thought.get("reasoningText", {}).get("signature"))


def test_thinking_goes_on_after_a_tool_that_it_called() -> None:
    """Claude before 4.6 wants the thinking back that led to a call, or it must not think."""
    thought = {"type": "thinking", "thinking": "I will look.", "signature": "EqQBAA=="}
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    back = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}]}
    body: dict[str, Any] = {
        "model": "m",
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 1500},
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": "Go"}, {"role": "assistant", "content": [thought, call]}, back],
    }
    target = Target("aws", MODEL)
    assert direction().unsupported(body, target) == ()
    sent = json.loads(direction().request(body, target).body)
    assert sent["additionalModelRequestFields"]["thinking"] == body["thinking"]
    body["messages"][1]["content"] = [{**thought, "signature": ""}, call]
    assert direction().unsupported(body, target) == ("thinking",)


def test_what_converse_cannot_do_is_named_as_the_client_wrote_it() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    body = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": [image]}]}
    assert direction().unsupported(body, TARGET) == ("messages[0].content[0].source",)
