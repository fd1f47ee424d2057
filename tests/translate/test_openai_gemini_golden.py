"""OpenAI clients on Gemini: every golden folder, both ways, and what OpenAI's SDK makes of it."""

import json
from typing import Any

import openai
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParams
from pydantic import TypeAdapter

from extproc.translate.gemini_errors import failure_of
from extproc.translate.openai_gemini import OpenAIToGemini
from tests.translate.golden import KNOWN, Case, cases
from tests.translate.sdk_clients import openai_assembled, openai_parsed

DIRECTION = "openai_gemini"
OPENAI_TO_GEMINI = OpenAIToGemini()

CLIENT_REQUEST: TypeAdapter[Any] = TypeAdapter(CompletionCreateParams)

# OpenAI's own API takes nothing but text from a tool; many of its engines take pictures.
BEYOND = ("tool_results_image",)

STREAMS = cases(DIRECTION, "stream.provider.sse")
COMPLETE = [case for case in STREAMS if not case.has("failure.json")]


@pytest.mark.parametrize("case", cases(DIRECTION, "request.provider.json"), ids=str)
def test_a_request_becomes_the_providers(case: Case) -> None:
    body = case.json("request.client.json")
    made = OPENAI_TO_GEMINI.request(body, case.target)
    assert json.loads(made.body) == case.json("request.provider.json")
    assert case.dropped == OPENAI_TO_GEMINI.unsupported(body, case.target)
    assert made.dropped == case.dropped + case.left_out
    method = "streamGenerateContent?alt=sse" if body.get("stream") else "generateContent"
    assert made.path == f"/models/{case.target.model}:{method}"
    assert made.headers == ()


@pytest.mark.parametrize("case", cases(DIRECTION, "request.client.json"), ids=str)
def test_a_client_request_is_one_to_its_own_sdk(case: Case) -> None:
    said = {name: value for name, value in case.json("request.client.json").items() if value is not None}
    if not case.dropped and str(case) not in BEYOND:
        read(CLIENT_REQUEST.validate_python({"stream": False, **said}))


def read(value: Any) -> Any:
    """The value, whole: pydantic looks at the items of an iterable when they are asked for."""
    if isinstance(value, dict):
        return {name: read(item) for name, item in value.items()}
    return [read(item) for item in value] if type(value).__name__ == "ValidatorIterator" else value


@pytest.mark.parametrize("case", cases(DIRECTION, "answer.provider.json"), ids=str)
def test_a_whole_answer_becomes_the_clients(case: Case) -> None:
    made = OPENAI_TO_GEMINI.whole(case.read("answer.provider.json"), KNOWN)
    if isinstance(made, bytes):
        assert json.loads(made) == case.json("answer.client.json")
        assert openai_parsed(made)["choices"][0]["message"]["role"] == "assistant"
    else:
        assert made == case.failure


@pytest.mark.parametrize("case", COMPLETE, ids=str)
def test_each_answer_starts_with_a_role_and_has_one_reason_and_the_stream_one_usage_and_done(case: Case) -> None:
    *events, done, rest = case.read("stream.client.sse").split(b"\n\n")
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events]
    assert (done, rest) == (b"data: [DONE]", b"")
    assert [chunk["choices"] for chunk in chunks].count([]) == 1
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    choices = [chunk["choices"][0] for chunk in chunks[:-1]]
    for index in {choice["index"] for choice in choices}:
        own = [choice for choice in choices if choice["index"] == index]
        assert [choice["delta"].get("role") for choice in own] == ["assistant", *[None] * (len(own) - 1)]
        assert [choice["finish_reason"] is not None for choice in own] == [*[False] * (len(own) - 1), True]


@pytest.mark.parametrize("case", COMPLETE, ids=str)
def test_a_stream_assembled_by_the_official_sdk_is_the_whole_answer(case: Case) -> None:
    assembled = openai_assembled(case.read("stream.client.sse"))
    assert comparable(assembled) == comparable(openai_parsed(case.read("answer.client.json")))


def comparable(completion: dict[str, Any]) -> dict[str, Any]:
    """The completion without the numbers that tool calls have in streams only, and arguments as what they say."""
    for choice in completion["choices"]:
        message = choice["message"]
        for call in message.get("tool_calls", []):
            call.pop("index", None)
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
            call["function"].pop("parsed_arguments", None)
        message.pop("parsed", None)
    return completion


SIGNED = [case for case in COMPLETE if b"thought_signature" in case.read("answer.client.json")]


@pytest.mark.parametrize("case", SIGNED, ids=str)
def test_an_answer_that_is_sent_back_has_its_signatures_where_they_were(case: Case) -> None:
    said = [
        part
        for part in case.json("answer.provider.json")["candidates"][0]["content"]["parts"]
        if "thought" not in part
    ]
    for completion in (case.json("answer.client.json"), openai_assembled(case.read("stream.client.sse"))):
        message = completion["choices"][0]["message"]
        request = {"messages": [{"role": "user", "content": "Hello"}, message, {"role": "user", "content": "Go on"}]}
        made = OPENAI_TO_GEMINI.request(request, case.target)
        parts = json.loads(made.body)["contents"][1]["parts"]
        for part in parts:
            part.get("functionCall", {}).pop("id", None)
        assert parts == [_with_args(part) for part in said]
        assert OPENAI_TO_GEMINI.unsupported(request, case.target) == ()


def _with_args(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "functionCall": {"args": {}, **part["functionCall"]}} if "functionCall" in part else part


@pytest.mark.parametrize("case", cases(DIRECTION, "error.provider.json"), ids=str)
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
