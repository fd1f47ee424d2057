"""OpenAI clients on Anthropic: every golden folder, both ways, and what the two official SDKs make of it."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from anthropic.types.message_create_params import MessageCreateParams
from openai.types.chat.completion_create_params import CompletionCreateParams
from pydantic import TypeAdapter

from extproc.translate.anthropic_errors import failure_of
from extproc.translate.openai_anthropic import OpenAIToAnthropic
from tests.translate.cutting import fed
from tests.translate.golden import KNOWN, Case, cases
from tests.translate.sdk_clients import anthropic_assembled, anthropic_parsed, openai_assembled, openai_parsed

DIRECTION = "openai_anthropic"
OPENAI_TO_ANTHROPIC = OpenAIToAnthropic()

PROVIDER_REQUEST: TypeAdapter[Any] = TypeAdapter(MessageCreateParams)
CLIENT_REQUEST: TypeAdapter[Any] = TypeAdapter(CompletionCreateParams)

STREAMS = cases(DIRECTION, "stream.provider.sse")
COMPLETE = [case for case in STREAMS if not case.has("failure.json")]


def read(value: Any) -> Any:
    """The value, whole: pydantic looks at the items of an iterable when they are asked for."""
    if isinstance(value, dict):
        return {name: read(item) for name, item in value.items()}
    if isinstance(value, list | tuple | Iterator) or type(value).__name__ == "ValidatorIterator":
        return [read(item) for item in value]
    return value


@pytest.mark.parametrize("case", cases(DIRECTION, "request.provider.json"), ids=str)
def test_a_request_becomes_the_providers(case: Case) -> None:
    body = case.json("request.client.json")
    made = OPENAI_TO_ANTHROPIC.request(body, case.target)
    assert json.loads(made.body) == case.json("request.provider.json")
    assert case.dropped == OPENAI_TO_ANTHROPIC.unsupported(body, case.target)
    assert made.dropped == case.dropped + case.left_out
    assert made.path == "/messages"
    assert dict(made.headers) == {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize("case", cases(DIRECTION, "request.provider.json"), ids=str)
def test_a_provider_request_is_one_to_its_own_sdk(case: Case) -> None:
    request = case.json("request.provider.json")
    accepted = read(PROVIDER_REQUEST.validate_python({"stream": False, **request}))
    # Their newest API version has no sampling parameters; the version that is asked for has.
    sampling = {name: request[name] for name in ("temperature", "top_k", "top_p") if name in request}
    assert {**accepted, **sampling} == {"stream": False, **request}


@pytest.mark.parametrize("case", cases(DIRECTION, "request.client.json"), ids=str)
def test_a_client_request_is_one_to_its_own_sdk(case: Case) -> None:
    said = {name: value for name, value in case.json("request.client.json").items() if value is not None}
    if not case.dropped:
        read(CLIENT_REQUEST.validate_python({"stream": False, **said}))


@pytest.mark.parametrize("case", cases(DIRECTION, "answer.provider.json"), ids=str)
def test_a_whole_answer_becomes_the_clients(case: Case) -> None:
    made = OPENAI_TO_ANTHROPIC.whole(case.read("answer.provider.json"), KNOWN)
    if isinstance(made, bytes):
        assert json.loads(made) == case.json("answer.client.json")
        assert openai_parsed(made)["choices"][0]["message"]["role"] == "assistant"
    else:
        assert made == case.failure


@pytest.mark.parametrize("case", COMPLETE, ids=str)
def test_a_stream_starts_with_a_role_and_ends_with_one_reason_one_usage_and_done(case: Case) -> None:
    *events, done, rest = case.read("stream.client.sse").split(b"\n\n")
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events]
    assert (done, rest) == (b"data: [DONE]", b"")
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"] for chunk in chunks].count([]) == 1
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]]
    assert [reason for reason in reasons if reason] == reasons[-1:]
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1


@pytest.mark.parametrize("case", COMPLETE, ids=str)
def test_a_stream_assembled_by_the_official_sdk_is_the_whole_answer(case: Case) -> None:
    assembled = openai_assembled(case.read("stream.client.sse"))
    assert comparable(assembled) == comparable(openai_parsed(case.read("answer.client.json")))


def comparable(completion: dict[str, Any]) -> dict[str, Any]:
    """The completion without the numbers that list items have in streams only, and arguments as what they say."""
    message = completion["choices"][0]["message"]
    for name in ("tool_calls", "thinking_blocks", "annotations"):
        for item in message.get(name, []):
            item.pop("index", None)
    for call in message.get("tool_calls", []):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        call["function"].pop("parsed_arguments", None)
    message.pop("parsed", None)
    return completion


WITH_THOUGHTS = [
    case for case in COMPLETE if case.has("answer.client.json") and b"thinking" in case.read("answer.client.json")
]


@pytest.mark.parametrize("case", WITH_THOUGHTS, ids=str)
def test_an_answer_that_is_sent_back_is_what_the_model_said(case: Case) -> None:
    said = [
        {name: value for name, value in block.items() if name != "citations"}
        for block in case.json("answer.provider.json")["content"]
    ]
    for completion in (case.json("answer.client.json"), openai_assembled(case.read("stream.client.sse"))):
        message = completion["choices"][0]["message"]
        request = {"messages": [{"role": "user", "content": "Hello"}, message, {"role": "user", "content": "Go on"}]}
        made = OPENAI_TO_ANTHROPIC.request(request, case.target)
        assert json.loads(made.body)["messages"][1] == {"role": "assistant", "content": said}
        assert made.dropped == ()


# The SDK keeps no blocks of kinds that it does not know, nor are there answers without an end.
REAL = [case for case in COMPLETE if str(case) != "unknown_members"]


@pytest.mark.parametrize("case", REAL, ids=str)
def test_the_providers_stream_is_one_to_its_own_sdk(case: Case) -> None:
    assembled = anthropic_assembled(case.read("stream.provider.sse"))
    whole = anthropic_parsed(case.read("answer.provider.json"))
    for message in (assembled, whole):
        for block in message["content"]:
            block.pop("citations", None) if not block.get("citations") else None
    assert assembled == whole


@pytest.mark.parametrize("case", [case for case in STREAMS if case.has("failure.json")], ids=str)
def test_a_failed_stream_is_an_error_to_the_official_sdk_or_nothing_at_all(case: Case) -> None:
    outcome = fed(OPENAI_TO_ANTHROPIC.stream(KNOWN), [case.read("stream.provider.sse")])
    assert outcome.failure is not None
    if not outcome.started:
        assert outcome.output == b""
        return
    assert b"[DONE]" not in outcome.output
    with pytest.raises(openai.APIError, match=outcome.failure.message):
        openai_assembled(outcome.output)


@pytest.mark.parametrize("case", cases(DIRECTION, "error.provider.json"), ids=str)
def test_an_error_becomes_a_failure(case: Case) -> None:
    error = case.json("error.provider.json")
    body = error["body"] if isinstance(error["body"], str) else json.dumps(error["body"])
    assert failure_of(error["status"], body.encode(), "provider") == case.failure
