"""Prompts that fit some targets only, and clients who ask how long a prompt is."""

import json
from typing import Any

import pytest
from ext_proc_client import Reply, ask, chat, snapshot_of

CHAT, MESSAGES, COUNT = "/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens"
SNAPSHOT = snapshot_of("""\
providers:
  a: {api: openai, base_url: "http://a.test"}
  b: {api: openai, base_url: "http://b.test"}
  claude: {api: anthropic, base_url: "http://claude.test"}
models:
  growing:
    targets:
      - {provider: a, model: gpt-4o, context_window: 100}
      - {provider: b, model: gpt-4.1, context_window: 5000}
      - {provider: claude, model: claude-opus-4-1}
  bounded:
    targets:
      - {provider: a, model: gpt-4o, context_window: 100}
      - {provider: claude, model: claude-opus-4-1, context_window: 1000}
  claude: {targets: [{provider: claude, model: claude-opus-4-1}, {provider: a, model: gpt-4o}]}
  gpt: {targets: [{provider: a, model: gpt-4o}, {provider: claude, model: claude-opus-4-1}]}
  dropping: {targets: [{provider: a, model: gpt-4o}], drop_unsupported: true}
tenants:
  acme: {models: [growing, bounded, claude, gpt, dropping], pin_targets: true}
""")


def turn(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def planned(url: str, text: str, **members: Any) -> Reply:
    body = json.loads(chat(messages=turn(text), **members))
    return ask(url, json.dumps(body).encode(), snapshot=SNAPSHOT)


def providers(reply: Reply) -> list[str]:
    assert reply.status is None, reply.body
    return [cluster.removeprefix("provider/") for cluster in reply.clusters]


WORD = "hello "  # one token in every encoding that is shipped
LONGEST = "a" * 128  # a bound: no token is longer


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("hi", ["a", "b", "claude"]),
        (WORD * 80, ["a", "b", "claude"]),  # 480 bytes: fits only by the count
        (WORD * 100, ["b", "claude"]),  # by the count, what is around a message included
        (LONGEST * 100, ["b", "claude"]),  # by its bounds
        (LONGEST * 5000, ["claude"]),
    ],
)
def test_targets_without_room_are_left_out(text: str, left: list[str]) -> None:
    assert providers(planned(CHAT, text, model="growing")) == left


@pytest.mark.parametrize(
    ("name", "asked", "left"),
    [
        ("max_tokens", 89, ["a", "b", "claude"]),
        ("max_tokens", 100, ["b", "claude"]),
        ("max_completion_tokens", 100, ["b", "claude"]),
        ("max_completion_tokens", 5000, ["claude"]),
        ("max_tokens", None, ["a", "b", "claude"]),
    ],
)
def test_the_answer_needs_room_too(name: str, asked: int | None, left: list[str]) -> None:
    assert providers(planned(CHAT, "hi", model="growing", **{name: asked})) == left


def test_the_count_is_each_models_own() -> None:
    """By Anthropic's tokenizer, which is finer, a prompt that fits into a thousand of OpenAI's does not."""
    assert providers(planned(CHAT, WORD * 600, model="bounded")) == ["claude"]
    assert planned(CHAT, WORD * 900, model="bounded").status == 400
    assert providers(planned(CHAT, WORD * 900, model="growing")) == ["b", "claude"]


@pytest.mark.parametrize(("asked", "parts"), [({}, ""), ({"max_tokens": 50}, " and 50 for the answer")])
@pytest.mark.parametrize("text", [WORD * 2000, LONGEST * 2000])
@pytest.mark.parametrize("url", [CHAT, MESSAGES])
def test_a_prompt_without_room_anywhere(url: str, text: str, asked: dict[str, int], parts: str) -> None:
    asked = asked if asked or url == CHAT else {"max_tokens": 1}
    reply = planned(url, text, model="bounded", **asked)
    error = reply.error  # in the shape of the client's API
    assert (reply.status, error["type"], error["code"]) == (400, "invalid_request_error", "context_length_exceeded")
    assert error["param"] == "messages"
    assert "The model 'bounded' has a context window of 1000 tokens" in error["message"]
    assert (url == CHAT) == (list(json.loads(reply.body)) == ["error"])
    assert parts in error["message"]


def count(model: str, text: str = "hello", **members: Any) -> Reply:
    body = {"model": model, "messages": turn(text), **members}
    return ask(COUNT, json.dumps(body).encode(), snapshot=SNAPSHOT)


def test_a_count_is_answered_here_where_the_provider_has_no_such_endpoint() -> None:
    reply = count("gpt")
    assert (reply.status, reply.headers) == (200, {"content-type": "application/json"})
    assert reply.metadata == {"hg.request": {"surface": "count_tokens", "answered": True}}
    answer = json.loads(reply.body)
    assert list(answer) == ["input_tokens"]
    assert 1 < answer["input_tokens"] < 20
    longer = json.loads(count("gpt", WORD * 1000).body)["input_tokens"]
    assert answer["input_tokens"] + 990 < longer < answer["input_tokens"] + 1010


def test_a_count_is_passed_on_where_the_provider_can_count() -> None:
    reply = count("claude")
    assert providers(reply) == ["claude"]
    assert json.loads(reply.body) == {"model": "claude-opus-4-1", "messages": turn("hello")}
    request = reply.metadata["hg.request"]
    assert (request["surface"], request["endpoint"]) == ("count_tokens", "/messages/count_tokens")
    assert request["direct"] == ",1,"


def test_what_would_not_be_sent_is_not_counted() -> None:
    server_tool = {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    reply = count("gpt", **server_tool)
    assert (reply.status, reply.error["code"]) == (400, "unsupported_parameter")
    assert "tools[0].type" in reply.error["message"]
    assert count("dropping", **server_tool).status == 200
    assert providers(count("claude", **server_tool)) == ["claude"]
