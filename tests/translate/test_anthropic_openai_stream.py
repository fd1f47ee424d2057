import json

import pytest
from anthropic import APIStatusError

from extproc.translate.anthropic_openai import AnthropicToOpenAI
from tests.translate.cutting import fed
from tests.translate.golden import KNOWN, Case, cases
from tests.translate.sdk_clients import anthropic_assembled, anthropic_parsed, openai_assembled

DIRECTION = AnthropicToOpenAI()
STREAMS = cases("anthropic_openai", "stream.provider.sse")
SUCCESSES = [case for case in STREAMS if not case.failure]
# What they show never comes from OpenAI itself, and its SDK is strict about it.
STRANGE = ("reasoning_parts", "tools_gemini", "tools_same_index", "tools_without_ids")


@pytest.mark.parametrize("case", SUCCESSES, ids=str)
def test_a_stream_put_together_is_the_whole_answer(case: Case) -> None:
    message = anthropic_assembled(case.read("stream.client.sse"))
    if case.has("answer.client.json"):
        assert message == anthropic_parsed(case.read("answer.client.json"))
    else:
        assert "output_tokens" not in message["usage"]  # this provider reports no usage in streams


@pytest.mark.parametrize("case", SUCCESSES, ids=str)
def test_blocks_follow_one_another(case: Case) -> None:
    names, opened, closed = [], 0, 0
    for event in case.read("stream.client.sse").decode().split("\n\n")[:-1]:
        name, data = event.split("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        names.append(value["type"])
        if value["type"] == "content_block_start":
            assert (value["index"], closed) == (opened, opened)
            opened += 1
        elif value["type"] == "content_block_delta":
            assert (value["index"], closed) == (opened - 1, opened - 1)
        elif value["type"] == "content_block_stop":
            assert value["index"] == closed
            closed += 1
    assert (names[0], names[-2:]) == ("message_start", ["message_delta", "message_stop"])
    assert [names.count(name) for name in ("message_start", "message_delta", "message_stop")] == [1, 1, 1]
    assert opened == closed


@pytest.mark.parametrize("case", [case for case in SUCCESSES if str(case) not in STRANGE], ids=str)
def test_the_cases_are_streams_of_chat_completions(case: Case) -> None:
    assert openai_assembled(case.read("stream.provider.sse"))["choices"][0]["finish_reason"]


@pytest.mark.parametrize(
    "case", [case for case in STREAMS if case.failure and case.has("stream.client.sse")], ids=str
)
def test_an_error_in_the_stream_is_an_error_of_the_sdk(case: Case) -> None:
    assert case.failure
    with pytest.raises(APIStatusError) as caught:
        anthropic_assembled(case.read("stream.client.sse"))
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["type"] == "api_error"
    assert caught.value.body["error"]["message"] == case.failure.message


def test_a_stream_may_go_on_after_its_end() -> None:
    case = next(case for case in SUCCESSES if str(case) == "plain")
    more = case.read("stream.provider.sse") + b'data: {"error": {"message": "late"}}\n\n'
    outcome = fed(DIRECTION.stream(KNOWN), [more])
    assert (outcome.output, outcome.failure) == (case.read("stream.client.sse"), None)
