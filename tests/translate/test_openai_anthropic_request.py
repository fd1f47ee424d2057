"""Requests that OpenAI's API does not allow, and the many forms of those that it does."""

import json
from typing import Any

import pytest

from extproc.refusal import BadRequest
from extproc.translate.direction import Target
from extproc.translate.openai_anthropic import OpenAIToAnthropic

DIRECTION = OpenAIToAnthropic()
TARGET = Target("claude", "claude-opus-4-6")
HELLO = {"role": "user", "content": "Hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def body(*messages: Any, **members: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": list(messages) or [HELLO], **members}


def asked(**members: Any) -> dict[str, Any]:
    """One user message with one part."""
    return body({"role": "user", "content": [members]})


def image(url: Any) -> dict[str, Any]:
    return asked(type="image_url", image_url={"url": url})


def file(**members: Any) -> dict[str, Any]:
    return asked(type="file", file=members)


def provider_body(request: dict[str, Any], model: str = "claude-opus-4-6") -> Any:
    return json.loads(DIRECTION.request(request, Target("claude", model)).body)


EFFORTS = "'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'"
ROLES = "'system', 'developer', 'user', 'assistant', 'tool', 'function'"
REFUSED = {
    "messages": (body() | {"messages": 5}, "Invalid type for 'messages': expected an array, found an integer."),
    "no messages": (body() | {"messages": []}, "No message in 'messages' has any content."),
    "empty messages": (body({"role": "user", "content": " "}), "No message in 'messages' has any content."),
    "messages[0]": (body("Hi"), "Invalid type for 'messages[0]': expected an object, found a string."),
    "messages[0].role": (
        body({"role": "robot", "content": "x"}),
        f"Invalid value for 'messages[0].role': found 'robot', allowed are {ROLES}.",
    ),
    "messages[1].role": (
        body(HELLO, {"content": "x"}),
        f"Invalid value for 'messages[1].role': found null, allowed are {ROLES}.",
    ),
    "messages[0].content": (
        body({"role": "user", "content": {}}),
        "Invalid type for 'messages[0].content': expected an array, found an object.",
    ),
    "no messages[0].content": (body({"role": "user"}), "'messages[0]' has no content."),
    "messages[0].content[0]": (
        body({"role": "user", "content": ["x"]}),
        "Invalid type for 'messages[0].content[0]': expected an object, found a string.",
    ),
    "messages[0].content[0].type": (
        asked(text="x"),
        "Invalid type for 'messages[0].content[0].type': expected a string, found null.",
    ),
    "messages[0].content[0].text": (
        asked(type="text", text=None),
        "Invalid type for 'messages[0].content[0].text': expected a string, found null.",
    ),
    "messages[0].content[0].image_url.url": (
        image("cat.png"),
        "'messages[0].content[0].image_url.url' is neither an http(s) URL nor a base64 data URL.",
    ),
    "messages[0].content[0].file.file_data": (
        file(file_data="data:text/plain;base64,*"),
        "'messages[0].content[0].file.file_data' is not UTF-8 text in base64, as its type or file name says.",
    ),
    "messages[0].tool_call_id": (
        body({"role": "tool", "content": "x"}),
        "Invalid type for 'messages[0].tool_call_id': expected a string, found null.",
    ),
    "messages[0].name": (
        body({"role": "function", "name": "f", "content": "x"}),
        "'messages[0]' is the result of 'f', which no message before it has called.",
    ),
    "messages[0].tool_calls[0].function": (
        body({"role": "assistant", "tool_calls": [{"id": "c1", "type": "function"}]}),
        "Invalid type for 'messages[0].tool_calls[0].function': expected an object, found null.",
    ),
    "messages[0].tool_calls[0].id": (
        body({"role": "assistant", "tool_calls": [{**CALL, "id": ""}]}),
        "'messages[0].tool_calls[0].id' is empty.",
    ),
    "messages[0].thinking_blocks[0].signature": (
        body({"role": "assistant", "thinking_blocks": [{"type": "thinking", "thinking": "x"}]}),
        "Invalid type for 'messages[0].thinking_blocks[0].signature': expected a string, found null.",
    ),
    "temperature": (body(temperature=2.5), "Invalid value for 'temperature': 2.5 is not between 0 and 2."),
    "top_p": (body(top_p="1"), "Invalid type for 'top_p': expected a number, found a string."),
    "max_tokens": (body(max_tokens=0), "Invalid value for 'max_tokens': 0 is less than 1."),
    "stop[1]": (body(stop=["a", 1]), "Invalid type for 'stop[1]': expected a string, found an integer."),
    "reasoning_effort": (
        body(reasoning_effort="huge"),
        f"Invalid value for 'reasoning_effort': found 'huge', allowed are {EFFORTS}.",
    ),
    "response_format.type": (
        body(response_format={"type": "yaml"}),
        "Invalid value for 'response_format.type': found 'yaml', allowed are 'text', 'json_object', 'json_schema'.",
    ),
    "tools[0].function.name": (
        body(tools=[{"type": "function", "function": {}}]),
        "Invalid type for 'tools[0].function.name': expected a string, found null.",
    ),
    "tool_choice": (
        body(tool_choice="any", tools=[]),
        "Invalid value for 'tool_choice': found 'any', allowed are 'none', 'auto', 'required'.",
    ),
    "no tool_choice": (
        body(tool_choice="required"),
        "'tool_choice' asks for a tool, but the request has none.",
    ),
    "tool_choice.function": (
        body(tool_choice={"type": "function"}),
        "Invalid type for 'tool_choice.function': expected an object, found null.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_openai_does_not_allow_is_refused_by_its_path(name: str) -> None:
    request, message = REFUSED[name]
    for way in (lambda: DIRECTION.unsupported(request), lambda: DIRECTION.request(request, TARGET)):
        with pytest.raises(BadRequest) as refused:
            way()
        assert refused.value.message == message
        assert refused.value.param == name.removeprefix("no ").removeprefix("empty ")


FORMS = {
    "http": (image("http://a.example/x"), {"type": "url", "url": "http://a.example/x"}),
    "upper case": (
        image("data:IMAGE/PNG;base64,AA=="),
        {"type": "base64", "media_type": "image/png", "data": "AA=="},
    ),
    "parameters": (
        image("data:image/gif;name=a.gif;base64,AA=="),
        {"type": "base64", "media_type": "image/gif", "data": "AA=="},
    ),
    "pdf by name": (
        file(filename="A.PDF", file_data="AAAA"),
        {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
    ),
    "text without a type": (
        file(file_data="data:;base64,aGk="),
        {"type": "text", "media_type": "text/plain", "data": "hi"},
    ),
    "unknown type, known name": (
        file(filename="a.log", file_data="data:application/octet-stream;base64,aGk="),
        {"type": "text", "media_type": "text/plain", "data": "hi"},
    ),
}


@pytest.mark.parametrize(("request_body", "source"), FORMS.values(), ids=FORMS)
def test_images_and_files_come_in_many_forms(request_body: dict[str, Any], source: dict[str, Any]) -> None:
    (block,) = provider_body(request_body)["messages"][0]["content"]
    assert block["source"] == source


def test_a_limit_comes_from_the_client_the_target_or_the_documentation() -> None:
    limited = Target("claude", "claude-opus-5", max_output_tokens=4096)
    asked_for = (
        body(max_tokens=7),
        body(max_completion_tokens=9),
        body(max_tokens=9, max_completion_tokens=8),
        body(),
    )
    limits = [json.loads(DIRECTION.request(request, limited).body)["max_tokens"] for request in asked_for]
    assert limits == [7, 9, 8, 4096]
    assert provider_body(body())["max_tokens"] == 32_000


def test_arguments_keep_every_digit() -> None:
    spelled = '{"price": 1.10, "id": 12345678901234567890, "tiny": 1e-7}'
    call = {**CALL, "function": {"name": "f", "arguments": spelled}}
    made = DIRECTION.request(body(HELLO, {"role": "assistant", "tool_calls": [call]}), TARGET)
    assert spelled.encode() in made.body


@pytest.mark.parametrize("arguments", ["nonsense", "[1]", '"x"', "{", "1e999", '{"a":' * 3000])
def test_arguments_that_are_no_object_stay_readable(arguments: str) -> None:
    call = {**CALL, "function": {"name": "f", "arguments": arguments}}
    made = provider_body(body(HELLO, {"role": "assistant", "tool_calls": [call]}))
    assert made["messages"][1]["content"][0]["input"] == {"arguments": arguments}


def test_names_of_what_has_no_place_fit_into_a_header() -> None:
    odd = "x\r\nset-cookie: a,b \u00e9" + "y" * 500
    (name,) = DIRECTION.unsupported(body(**{odd: 1}))
    assert name == "x??set-cookie:?a?b??" + "y" * 80
    assert DIRECTION.unsupported(body({**HELLO, odd: 1})) == (f"messages[0].{name}",)


def test_a_custom_tools_call_is_carried_in_the_conversation() -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "run", "input": "ls"}}
    made = provider_body(body(HELLO, {"role": "assistant", "tool_calls": [call]}))
    assert made["messages"][1]["content"] == [
        {"type": "tool_use", "id": "c1", "name": "run", "input": {"input": "ls"}}
    ]


def test_hints_of_messages_and_functions_go_to_their_last_block() -> None:
    mark = {"type": "ephemeral"}
    tool = {"type": "function", "function": {"name": "f", "cache_control": mark}}
    said = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            "cache_control": mark,
        },
        {"role": "assistant", "tool_calls": [CALL], "cache_control": mark},
        {"role": "tool", "tool_call_id": "c1", "content": "x", "cache_control": mark},
    ]
    made = provider_body(body(*said, tools=[tool]))
    marked = [[block.get("cache_control") for block in turn["content"]] for turn in made["messages"]]
    assert marked == [[None, mark], [mark], [mark]]
    assert made["tools"][0]["cache_control"] == mark


@pytest.mark.parametrize("text", ["\ud83d", "a\udc00b"])
@pytest.mark.parametrize("place", ["content", "id", "arguments"])
def test_half_a_surrogate_pair_is_refused(text: str, place: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    if place == "arguments":
        call["function"] = {"name": "f", "arguments": f'{{"a":"{text}"}}'}
    message = {"role": "assistant", "content": text if place == "content" else "x", "tool_calls": [call]}
    if place == "id":
        message["thinking_blocks"] = [{"type": "redacted_thinking", "data": text}]
    with pytest.raises(BadRequest, match="half a surrogate pair"):
        DIRECTION.request(body(HELLO, message), TARGET)


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(3000):
        schema = {"type": "object", "properties": {"a": schema}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    for way in (DIRECTION.unsupported, lambda request: DIRECTION.request(request, TARGET)):
        with pytest.raises(BadRequest, match="nested too deeply"):
            way(body(response_format=wanted))
