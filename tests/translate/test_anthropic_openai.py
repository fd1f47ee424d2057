import json
from typing import Any

import pytest
from anthropic.types import message_create_params
from pydantic import TypeAdapter

from extproc.translate.anthropic_openai import AnthropicToOpenAI
from tests.translate.golden import KNOWN, Case, cases
from tests.translate.openai_requests import checked_openai
from tests.translate.sdk_clients import anthropic_parsed, openai_parsed

DIRECTION = AnthropicToOpenAI()
MESSAGES: TypeAdapter[Any] = TypeAdapter(message_create_params.MessageCreateParams)
STRANGE = ("reasoning_parts", "tools_without_ids")  # never from OpenAI itself, whose SDK is strict about it

requests = pytest.mark.parametrize("case", cases("anthropic_openai", "request.client.json"), ids=str)
ANSWERS = cases("anthropic_openai", "answer.provider.json", "answer.client.json")
answers = pytest.mark.parametrize("case", ANSWERS, ids=str)


@requests
def test_a_request_reaches_the_provider_in_its_own_api(case: Case) -> None:
    made = DIRECTION.request(case.json("request.client.json"), case.target)
    assert (made.path, made.headers) == ("/chat/completions", ())
    assert json.loads(made.body) == case.json("request.provider.json")


@requests
def test_a_request_holds_nothing_that_openai_does_not_know(case: Case) -> None:
    body = case.json("request.provider.json")
    if case.target.usage == "continuous":  # an addition of vLLM's, sent where gateway.yaml says so
        assert body["stream_options"].pop("continuous_usage_stats") is True
    assert checked_openai(body) == body


@requests
def test_what_cannot_be_carried_over_is_named(case: Case) -> None:
    body = case.json("request.client.json")
    assert DIRECTION.unsupported(body, case.target) == case.dropped
    assert DIRECTION.request(body, case.target).dropped == case.dropped + case.left_out


@requests
def test_the_cases_are_requests_of_the_messages_api(case: Case) -> None:
    MESSAGES.validate_python(case.json("request.client.json"))


@requests
def test_a_request_is_left_as_it_was(case: Case) -> None:
    body = case.json("request.client.json")
    DIRECTION.request(body, case.target)
    assert body == case.json("request.client.json")


@answers
def test_an_answer_reaches_the_client_in_its_own_api(case: Case) -> None:
    made = DIRECTION.whole(case.read("answer.provider.json"), KNOWN)
    assert isinstance(made, bytes)
    assert json.loads(made) == case.json("answer.client.json")
    assert anthropic_parsed(made)["type"] == "message"


@pytest.mark.parametrize("case", [case for case in ANSWERS if str(case) not in STRANGE], ids=str)
def test_the_cases_are_answers_of_chat_completions(case: Case) -> None:
    assert openai_parsed(case.read("answer.provider.json"))["choices"]


def test_an_error_in_place_of_an_answer_is_a_failure() -> None:
    (case,) = cases("anthropic_openai", "answer.provider.json", "failure.json")
    assert DIRECTION.whole(case.read("answer.provider.json"), KNOWN) == case.failure


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b"<html>Bad gateway</html>",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "[1]"}}]}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}}]}',
        b'{"choices": [{"message": {"content": "Hi"}, "finish_reason": "abort"}]}',
        b'{"choices": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_a_failure(body: bytes) -> None:
    failure = DIRECTION.whole(body, KNOWN)
    assert not isinstance(failure, bytes)
    assert failure.kind in ("malformed", "server")
    assert failure.status == 502
