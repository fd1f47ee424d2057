"""Counts are what the providers have reported for the same bodies, or within the error that we state."""

from typing import Any

import pytest

from tests.tokens.counting import chat, counter, prompt, says, tokens

# OpenAI's cookbook, How to count tokens with tiktoken: what its API reported for these messages.
JARGON = chat(
    says(
        "system",
        "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
    ),
    says("system", "New synergies will help drive top-line growth.", name="example_user"),
    says("system", "Things working well together will increase revenue.", name="example_assistant"),
    says(
        "system",
        "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
        name="example_user",
    ),
    says("system", "Let's talk later when we're less busy about how to do better.", name="example_assistant"),
    says("user", "This late pivot means we don't have time to boil the ocean for the client deliverable."),
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                "unit": {
                    "type": "string",
                    "description": "The unit of temperature to return",
                    "enum": ["celsius", "fahrenheit"],
                },
            },
            "required": ["location"],
        },
    },
}
WEATHER_CHAT = chat(
    says("system", "You are a helpful assistant that can answer to questions about the weather."),
    says("user", "What's the weather like in San Francisco?"),
    tools=[WEATHER],
)


@pytest.mark.parametrize(
    ("body", "model", "reported"),
    [
        (JARGON, "gpt-3.5-turbo", 129),
        (JARGON, "gpt-4-0613", 129),
        (JARGON, "gpt-4", 129),
        (JARGON, "gpt-4o", 124),
        (JARGON, "gpt-4o-mini", 124),
        (JARGON, "openai/gpt-4o-2024-08-06", 124),
        (WEATHER_CHAT, "gpt-3.5-turbo", 105),
        (WEATHER_CHAT, "gpt-4", 105),
        (WEATHER_CHAT, "gpt-4o", 101),
        (WEATHER_CHAT, "gpt-4o-mini", 101),
    ],
)
def test_openais_cookbook(body: dict[str, Any], model: str, reported: int) -> None:
    assert tokens(body, model) == reported


def function(name: str, properties: dict[str, Any], description: str | None = None) -> dict[str, Any]:
    made = {"name": name, "parameters": {"type": "object", "properties": properties}}
    return made | ({"description": description} if description else {})


HELLO = says("user", "hello")
CALL = {"name": "do_stuff", "arguments": '{"foo": "bar", "baz": 1.5}'}
NESTED = {
    "foo": {
        "type": "object",
        "properties": {"bar": {"type": "string", "enum": ["a", "b", "c"]}, "baz": {"type": "boolean"}},
    }
}


# What OpenAI's API reported for gpt-3.5-turbo, as recorded by the openai-chat-tokens project.
@pytest.mark.parametrize(
    ("body", "reported"),
    [
        (chat(HELLO), 8),
        (chat(says("system", "hello:")), 9),
        (chat(HELLO, functions=[function("foo", {})]), 31),
        (chat(HELLO, functions=[function("foo", {}, "Do a foo")]), 36),
        (chat(HELLO, functions=[function("bing_bong", {"foo": {"type": "string"}}, "Do a bing bong")]), 49),
        (chat(HELLO, functions=[function("bing_bong", NESTED, "Do a bing bong")]), 68),
        (chat(says("user", "hello world"), says("function", "{}", name="do_stuff")), 15),
        (chat(says("function", '{"a": { "b" : { "c": false}}}', name="dance_the_tango")), 24),
        (chat(says("assistant", "", function_call=CALL)), 26),
        (chat(says("system", "Hello:"), says("user", "Hi there"), functions=[function("do_stuff", {})]), 35),
    ],
)
def test_functions_and_calls(body: dict[str, Any], reported: int) -> None:
    assert tokens(body, "gpt-3.5-turbo") == reported


def test_tools_count_as_functions_do() -> None:
    foo = function("foo", {"a": {"type": "array", "items": {"type": "integer"}}})
    assert tokens(chat(HELLO, tools=[{"type": "function", "function": foo}])) == tokens(chat(HELLO, functions=[foo]))
    call = {"id": "call_1", "type": "function", "function": CALL}
    assert tokens(chat(says("assistant", None, tool_calls=[call]))) == tokens(
        chat(says("assistant", None, function_call=CALL))
    )
    forced = {"type": "function", "function": {"name": "foo"}}
    assert tokens(chat(HELLO, functions=[foo], tool_choice=forced)) > tokens(chat(HELLO, functions=[foo]))


# Anthropic's pages on the messages API and on counting tokens: what theirs reported.
ANTHROPIC_WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather in a given location",
    "input_schema": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}},
        "required": ["location"],
    },
}


@pytest.mark.parametrize(
    ("body", "reported"),
    [
        (chat(says("user", "Hello, Claude")), 12),
        (
            chat(
                says("user", "Hello, Claude"),
                says("assistant", "Hello!"),
                says("user", "Can you describe LLMs to me?"),
            ),
            30,
        ),
        (chat(says("user", "Hello, Claude"), system="You are a scientist"), 14),
        (chat(says("user", "What's the weather like in San Francisco?"), tools=[ANTHROPIC_WEATHER]), 403),
    ],
)
def test_anthropics_pages(body: dict[str, Any], reported: int) -> None:
    assert reported * 0.9 <= tokens(body, "claude-opus-4-1", "messages") <= reported * 1.15 + 4


@pytest.mark.parametrize(
    ("model", "o200k"),
    [
        ("gpt-4o", True), ("gpt-4.1-mini", True), ("gpt-5-2025-08-07", True), ("o3-mini", True), ("", True),
        ("gpt-oss-20b", True), ("openai/gpt-oss-120b", True), ("ft:gpt-4o-mini:acme::1", True),
        ("llama-3-8b-instruct", True),
        ("claude-opus-4-1", True), ("gpt-4", False), ("gpt-4-turbo", False), ("gpt-3.5-turbo-0125", False),
        ("text-embedding-3-small", False), ("ft:gpt-3.5-turbo:acme::1", False), ("text-davinci-003", False),
    ],
)  # fmt: skip
def test_which_encoding(model: str, o200k: bool) -> None:
    # One token of o200k_base, four of cl100k_base.
    assert (tokens({"input": "谢谢"}, model, "embeddings") == 4) is not o200k


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("claude-3-5-sonnet-20241022", "claude-opus-4-7"),
        ("claude-opus-4-20250514", "claude-opus-5"),
        ("claude-sonnet-4@20250514", "claude-sonnet-5-20261001"),
        ("us.anthropic.claude-3-haiku-20240307-v1:0", "claude-opus-4-10"),
        ("anthropic/claude-haiku-4.5", "claude-next"),
        ("claude-2.1", "anthropic/claude-opus-4.7"),
    ],
)
def test_newer_claudes_split_text_finer(older: str, newer: str) -> None:
    body = chat(says("user", "The quick brown fox jumps over the lazy dog. " * 20))
    assert tokens(body, "gpt-4o", "messages") < tokens(body, older, "messages") < tokens(body, newer, "messages")


def test_prompts_that_come_apart() -> None:
    size = counter().quick(
        prompt({"input": ["one", "one two three"]}, "text-embedding-3-small", "embeddings"), "acme"
    )
    assert size
    assert (size.total, size.longest) == (4, 3)
    size = counter().quick(prompt({"prompt": [[1, 2, 3], [4]]}, surface="completions"), "acme")
    assert size
    assert (size.total, size.longest) == (4, 3)
    assert tokens({"prompt": [1, 2, 3]}, surface="completions") == 3
    assert tokens({"prompt": "one two", "suffix": " three"}, surface="completions") == 3
