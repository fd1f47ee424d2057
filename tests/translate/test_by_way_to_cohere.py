"""Anthropic's clients and those of Responses on Cohere, by way of chat completions: every answer that there is."""

import json
from typing import Any

import pytest
from anthropic import APIStatusError
from hypothesis import given, settings

from extproc.refusal import BadRequest
from extproc.translate import direction_of
from extproc.translate.direction import Direction, Target
from tests.translate.cohere_requests import Chat
from tests.translate.cutting import fed, same_however_cut
from tests.translate.golden import KNOWN, Case, cases
from tests.translate.response_bodies import response_bodies
from tests.translate.sdk_clients import anthropic_assembled, anthropic_parsed

SURFACES = ("messages", "responses")
STREAMS = cases("openai_cohere", "stream.provider.sse")
ANSWERS = cases("openai_cohere", "answer.provider.json")
BOTH = [case for case in STREAMS if case.has("answer.provider.json")]
TARGET = Target("cohere", "command-a-plus-05-2026", max_output_tokens=20)
TEXT = {"type": "text", "text": "What is it?"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
CALL = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}


def to_cohere(surface: str) -> Direction:
    found = direction_of(surface, "cohere")
    assert found is not None
    return found


MESSAGES = to_cohere("messages")


def asked(*content: Any, **members: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": list(content)}], **members}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_a_whole_answer(case: Case, surface: str) -> None:
    made = to_cohere(surface).whole(case.read("answer.provider.json"), KNOWN)
    if isinstance(made, bytes):
        assert json.loads(made)["id"].endswith(KNOWN.request_id)
    else:
        assert made == case.failure


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_becomes_the_same_however_it_is_cut(case: Case, surface: str) -> None:
    outcome = same_however_cut(lambda: to_cohere(surface).stream(KNOWN), case.read("stream.provider.sse"))
    assert outcome.failure == case.failure
    assert outcome.started == bool(outcome.output)
    if surface == "messages" and outcome.output and outcome.failure:
        with pytest.raises(APIStatusError):
            anthropic_assembled(outcome.output)


@pytest.mark.parametrize("case", BOTH, ids=str)
def test_a_stream_put_together_is_the_whole_answer(case: Case) -> None:
    made = MESSAGES.whole(case.read("answer.provider.json"), KNOWN)
    streamed = fed(MESSAGES.stream(KNOWN), [case.read("stream.provider.sse")])
    assert isinstance(made, bytes)
    assert anthropic_assembled(streamed.output) == anthropic_parsed(made)


def test_a_request_is_one_of_coheres() -> None:
    turns = [
        {"role": "user", "content": [TEXT, IMAGE]},
        {"role": "assistant", "content": [CALL]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "done"}, TEXT]},
    ]
    body = asked(system="Be brief.", stream=True, tools=[TOOL], tool_choice={"type": "any"}) | {"messages": turns}
    made = MESSAGES.request(body, TARGET)
    assert (made.path, made.headers, made.dropped, made.max_tokens) == ("/chat", (), (), 20)
    sent = json.loads(made.body)
    Chat.model_validate(sent)
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert (sent["tool_choice"], sent["max_tokens"], sent["stream"]) == ("REQUIRED", 20, True)


RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": [TEXT, IMAGE]}
UNSUPPORTED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "an image for a model without eyes": (asked(TEXT, IMAGE), ("messages[0].content[1]",)),
    "thinking": (asked(TEXT, thinking={"type": "enabled", "budget_tokens": 2000}), ("thinking",)),
    "an effort": (asked(TEXT, output_config={"effort": "low"}), ("output_config.effort",)),
    "a forced tool": (asked(TEXT, tools=[TOOL], tool_choice={"type": "any"}), ("tool_choice",)),
    "one call at a time": (
        asked(TEXT, tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}),
        ("tool_choice.disable_parallel_tool_use",),
    ),
    "top_k": (asked(TEXT, top_k=501), ("top_k",)),
}


@pytest.mark.parametrize(("body", "names"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_cohere_cannot_do_is_named_as_the_client_wrote_it(body: dict[str, Any], names: tuple[str, ...]) -> None:
    old = Target("cohere", "command-r-08-2024")
    found = MESSAGES.unsupported(body, old)
    assert found == MESSAGES.request(body, old).dropped
    assert len(found) == len(names)
    assert all(said.startswith(name) for said, name in zip(found, names, strict=True))


def test_a_mistake_is_told_by_the_clients_path() -> None:
    with pytest.raises(BadRequest) as refused:
        MESSAGES.request(asked(TEXT, RESULT), TARGET)
    assert refused.value.param == "messages[0].content[1].tool_use_id"


@settings(deadline=None)
@given(response_bodies())
def test_any_valid_response_becomes_a_valid_request(body: dict[str, Any]) -> None:
    direction = to_cohere("responses")
    try:
        made = direction.request(body, TARGET)
    except BadRequest:
        return
    Chat.model_validate(json.loads(made.body))
    assert set(direction.unsupported(body, TARGET)) <= set(made.dropped)
