"""Responses to chat completions: a client's mistakes, what is named how, and what the answer repeats."""

import json
from typing import Any

import pytest

from extproc.refusal import BadRequest
from extproc.translate import direction_of
from extproc.translate.chat import Chat
from extproc.translate.direction import Known, Target
from extproc.translate.responses_openai import ResponsesToOpenAI
from extproc.translate.responses_openai.echo import ECHO_LIMIT_BYTES
from extproc.translate.sealed import Sealed, seal, unseal
from tests.translate.openai_responses import checked_response

DIRECTION = ResponsesToOpenAI()
TARGET = Target("provider", "upstream")
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "1"}
TOOL = {"type": "function", "name": "f"}


def body(*items: Any, **members: Any) -> dict[str, Any]:
    return {"model": "chat", "input": list(items) or "Hi", **members}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def sent(request: dict[str, Any], target: Target = TARGET) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DIRECTION.request(request, target).body)
    return found


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no input": ({"model": "chat"}, "input"),
    "nothing to send": (body({"type": "item_reference", "id": "x"}), "input"),
    "no object": (body("Hi"), "input[0]"),
    "an unknown role": (body({"role": "tool", "content": "x"}), "input[0].role"),
    "no content": (body({"role": "user"}), "input[0].content"),
    "content of another type": (body({"role": "user", "content": 5}), "input[0].content"),
    "a part without a type": (body(user({"text": "x"})), "input[0].content[0].type"),
    "text of another type": (body(user({"type": "input_text", "text": 5})), "input[0].content[0].text"),
    "an image of nothing": (body(user({"type": "input_image", "detail": "low"})), "input[0].content[0].image_url"),
    "a file of nothing": (body(user({"type": "input_file"})), "input[0].content[0].file_data"),
    "a call without an id": (body({**CALL, "call_id": ""}), "input[0].call_id"),
    "a call without arguments": (body({**CALL, "arguments": None}), "input[0].arguments"),
    "a result of nothing": (body(OUTPUT), "input[0].call_id"),
    "a result without output": (body(CALL, {**OUTPUT, "output": None}), "input[1].output"),
    "a tool without a name": (body(tools=[{"type": "function"}]), "tools[0].name"),
    "a choice without tools": (body(tool_choice="required"), "tool_choice"),
    "an unknown choice": (body(tools=[TOOL], tool_choice="maybe"), "tool_choice"),
    "a choice of another tool": (
        body(tools=[TOOL], tool_choice={"type": "function", "name": "g"}),
        "tool_choice.name",
    ),
    "an unknown format": (body(text={"format": {"type": "xml"}}), "text.format.type"),
    "a schema without a name": (body(text={"format": {"type": "json_schema", "schema": {}}}), "text.format.name"),
    "metadata that is no text": (body(metadata={"a": 1}), "metadata.a"),
    "no tokens": (body(max_output_tokens=0), "max_output_tokens"),
}


@pytest.mark.parametrize(("request_body", "param"), MISTAKES.values(), ids=MISTAKES)
def test_a_clients_mistake_is_named(request_body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request(request_body, TARGET)
    assert refused.value.param == param


def test_a_mistake_that_another_direction_finds_is_told_by_the_clients_path() -> None:
    gemini = direction_of("responses", "gemini")
    assert gemini
    with pytest.raises(BadRequest) as refused:
        gemini.request(body(CALL, user({"type": "input_image", "image_url": "cat.png"})), TARGET)
    assert refused.value.param == "input[1].content[0].image_url"
    assert refused.value.message.startswith("'input[1].content[0].image_url' is neither")
    with pytest.raises(BadRequest) as refused:
        gemini.request(body(temperature=3), TARGET)
    assert refused.value.param == "temperature"


def test_what_stands_in_for_input_is_unsupported_and_no_mistake() -> None:
    for name in ("previous_response_id", "prompt", "conversation"):
        assert DIRECTION.unsupported({"model": "chat", name: "x"}, TARGET) == (name,)


@pytest.mark.parametrize(
    "member",
    [
        {"background": False},
        {"store": False},
        {"truncation": "disabled"},
        {"stream_options": {"include_obfuscation": False}},
        {"reasoning": {"context": "auto", "mode": "standard", "effort": None}},
        {"text": {"format": {"type": "text"}}},
        {"include": ["reasoning.encrypted_content"]},
        {"tools": [], "tool_choice": "auto"},
        {"tools": [{**TOOL, "defer_loading": False, "allowed_callers": ["direct"], "strict": None}]},
        {"previous_response_id": None},
        {"metadata": {"a": "b"}},
    ],
)
def test_what_asks_for_nothing_needs_no_place(member: dict[str, Any]) -> None:
    assert DIRECTION.unsupported(body(**member), TARGET) == ()
    assert DIRECTION.request(body(**member), TARGET).dropped == ()


def test_a_server_that_differs_is_told_of_in_the_clients_words() -> None:
    mistral = Target("provider", "m", preset="mistral")
    assert sent(body(max_output_tokens=9), mistral)["max_tokens"] == 9
    groq = Target("provider", "m", preset="groq")
    assert DIRECTION.unsupported(body(top_logprobs=1), groq) == ("top_logprobs",)
    assert DIRECTION.unsupported(body(include=["message.output_text.logprobs"]), groq) == ("include[0]",)


def test_a_path_is_that_of_the_innermost_member_whose_origin_is_known() -> None:
    origins = {"messages": "input", "messages[1].content": "input[3].content", "tools[0].function": "tools[2]"}
    chat = Chat({}, (), (), origins)
    assert chat.said_as("messages[1].content[0].x") == "input[3].content[0].x"
    assert chat.said_as("messages[10].content") == "input"
    assert chat.said_as("tools[0].function.strict") == "tools[2].strict"
    assert chat.said_as("seed") == "seed"
    assert chat.all_said_as(("messages[5]", "messages[6]")) == ("input",)


def test_what_is_sealed_comes_back() -> None:
    sealed = Sealed([{"type": "thinking", "thinking": "é", "signature": "x"}], {"call_1": "y"})
    text = seal(sealed)
    assert text
    assert unseal(text) == sealed
    for other in (None, 5, "", "gAAAA", "headgate1.", "headgate1.%%", "headgate1.W10=", text[:-3]):
        assert not unseal(other)


@pytest.mark.parametrize("long", ["instructions", "tools", "user"])
def test_what_is_too_long_to_be_repeated_is_left_unsaid(long: str) -> None:
    text = "é" * ECHO_LIMIT_BYTES
    members: dict[str, Any] = {"instructions": "Be brief.", "tools": [TOOL], "user": "u", "metadata": {"a": "b"}}
    members[long] = [{**TOOL, "description": text}] if long == "tools" else text
    echo = DIRECTION.request(body(**members), TARGET).echo
    assert len(echo.encode()) <= ECHO_LIMIT_BYTES + 1000
    answer = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    made = DIRECTION.whole(json.dumps(answer).encode(), Known("r", 1, echo=echo))
    assert isinstance(made, bytes)
    response = checked_response(made)
    assert response["metadata"] == {"a": "b"}
    assert (response["instructions"] is None) == (long == "instructions")
    assert (response["tools"] == []) == (long == "tools")
    assert ("user" not in response) == (long == "user")


def test_half_a_surrogate_pair_goes_through_as_the_client_spelled_it() -> None:
    request = json.loads('{"model":"m","input":"Hi","instructions":"\\ud83d"}')
    made = DIRECTION.request(request, TARGET)
    assert b"\\ud83d" in made.body
    assert "\\ud83d" in made.echo
