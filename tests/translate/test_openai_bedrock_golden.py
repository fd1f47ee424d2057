"""OpenAI clients on Bedrock: every golden folder, both ways, and what OpenAI's SDK makes of it."""

import json
from dataclasses import replace
from typing import Any

import openai
import pytest

from extproc.translate.bedrock_errors import failure_of
from extproc.translate.direction import Known
from extproc.translate.openai_bedrock import OpenAIToBedrock
from tests.translate.bedrock_frames import encoded, read_by_botocore
from tests.translate.golden import KNOWN, Case, cases
from tests.translate.openai_requests import checked_openai
from tests.translate.sdk_clients import openai_assembled, openai_parsed

FOLDER = "openai_bedrock"
DIRECTION = OpenAIToBedrock()

# What OpenAI's own API does not have, and our answers or other gateways do: cache_control, thinking_blocks, ….
BEYOND = ("cache_points", "cache_points_nova", "cache_points_none", "cache_points_old", "document",
          "reasoning_of_others", "reasoning_round_trip", "reasoning_without_blocks", "system", "tool_choices_allowed",
          "calls_without_tools", "tool_none_after_calls", "nothing_to_carry")  # fmt: skip

STREAMS = cases(FOLDER, "stream.provider.json")
COMPLETE = [case for case in STREAMS if not case.has("failure.json")]


def known(case: Case) -> Known:
    return replace(KNOWN, model=case.target.model)


@pytest.mark.parametrize("case", cases(FOLDER, "request.provider.json"), ids=str)
def test_a_request_becomes_the_providers(case: Case) -> None:
    body = case.json("request.client.json")
    made = DIRECTION.request(body, case.target)
    assert json.loads(made.body) == case.json("request.provider.json")
    assert case.dropped == DIRECTION.unsupported(body, case.target)
    assert made.dropped == case.dropped + case.left_out
    assert made.headers == ()


@pytest.mark.parametrize("case", cases(FOLDER, "request.client.json"), ids=str)
def test_a_client_request_is_one_to_its_own_sdk(case: Case) -> None:
    said = {name: value for name, value in case.json("request.client.json").items() if value is not None}
    if not case.dropped and str(case) not in BEYOND:
        checked_openai({"stream": False, **said})


@pytest.mark.parametrize("case", cases(FOLDER, "answer.provider.json"), ids=str)
def test_a_whole_answer_becomes_the_clients(case: Case) -> None:
    made = DIRECTION.whole(case.read("answer.provider.json"), known(case))
    if isinstance(made, bytes):
        assert json.loads(made) == case.json("answer.client.json")
        assert openai_parsed(made)["choices"][0]["message"]["role"] == "assistant"
    else:
        assert made == case.failure


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_is_one_to_botocore(case: Case) -> None:
    entries = case.json("stream.provider.json")
    frames = read_by_botocore(encoded(entries))
    found = [frame.to_response_dict() for frame in frames]
    names = [one["headers"].get(":event-type") or one["headers"][":exception-type"] for one in found]
    assert names == [name for entry in entries for name in entry]
    assert [json.loads(one["body"]) for one in found] == [value for entry in entries for value in entry.values()]


@pytest.mark.parametrize("case", COMPLETE, ids=str)
def test_a_stream_starts_with_a_role_and_has_one_reason_one_usage_and_done(case: Case) -> None:
    *events, done, rest = case.read("stream.client.sse").split(b"\n\n")
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events]
    assert (done, rest) == (b"data: [DONE]", b"")
    assert [chunk["choices"] for chunk in chunks].count([]) == 1
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    choices = [chunk["choices"][0] for chunk in chunks[:-1]]
    assert [choice["delta"].get("role") for choice in choices] == ["assistant", *[None] * (len(choices) - 1)]
    assert [choice["finish_reason"] is not None for choice in choices] == [*[False] * (len(choices) - 1), True]


@pytest.mark.parametrize("case", COMPLETE, ids=str)
def test_a_stream_assembled_by_the_official_sdk_is_the_whole_answer(case: Case) -> None:
    assembled = openai_assembled(case.read("stream.client.sse"))
    assert comparable(assembled) == comparable(openai_parsed(case.read("answer.client.json")))


def comparable(completion: dict[str, Any]) -> dict[str, Any]:
    """The completion without what only streams have: numbers of items, and the tier, told when they end."""
    completion.pop("service_tier", None)
    message = completion["choices"][0]["message"]
    for item in (
        *message.get("tool_calls", ()),
        *message.get("thinking_blocks", ()),
        *message.get("annotations", ()),
    ):
        item.pop("index", None)
    for call in message.get("tool_calls", ()):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        call["function"].pop("parsed_arguments", None)
    message.pop("parsed", None)
    return completion


THOUGHT = [case for case in COMPLETE if b"thinking_blocks" in case.read("answer.client.json")]


@pytest.mark.parametrize("case", THOUGHT, ids=str)
def test_an_answer_that_is_sent_back_has_its_thinking_where_it_was(case: Case) -> None:
    said = case.json("answer.provider.json")["output"]["message"]["content"]
    target = replace(case.target, model="anthropic.claude-haiku-4-5-20251001-v1:0")
    for completion in (case.json("answer.client.json"), openai_assembled(case.read("stream.client.sse"))):
        message = completion["choices"][0]["message"]
        request = {"messages": [{"role": "user", "content": "Hello"}, message, {"role": "user", "content": "Go on"}]}
        content = json.loads(DIRECTION.request(request, target).body)["messages"][1]["content"]
        assert [block for block in content if "reasoningContent" in block] == [
            block for block in said if signed(block)
        ]
        if "reasoningContent" in said[0]:
            assert "reasoningContent" in content[0]
        assert DIRECTION.unsupported(request, target) == ()


def signed(block: dict[str, Any]) -> bool:
    """Whether it is thinking that Claude takes back."""
    thought = block.get("reasoningContent", {})
    return "redactedContent" in thought or bool(thought.get("reasoningText", {}).get("signature"))


@pytest.mark.parametrize("case", cases(FOLDER, "error.provider.json"), ids=str)
def test_an_error_is_a_failure(case: Case) -> None:
    error = case.json("error.provider.json")
    body = error["body"]
    text = body if isinstance(body, str) else json.dumps(body)
    assert failure_of(error["status"], text.encode(), "provider") == case.failure


@pytest.mark.parametrize("case", [case for case in STREAMS if case.has("failure.json")], ids=str)
def test_an_error_in_a_stream_is_one_to_the_sdk(case: Case) -> None:
    stream = case.read("stream.client.sse")
    if stream:  # otherwise there was nothing before it, and the status tells
        with pytest.raises(openai.APIError):
            openai_assembled(stream)
