"""Targets with a preset in plans: what costs no further call, whose body is whose, and what clients are told."""

import json
from typing import Any

import pytest
from attempt_client import Attempt, planned, sent_of
from ext_proc_client import Reply, ask, chat, snapshot_of

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
SNAPSHOT = snapshot_of("""\
providers:
  groq: {api: openai, preset: groq}
  mistral: {api: openai, preset: mistral}
  ollama: {api: openai, preset: ollama, endpoints: ["http://127.0.0.1:1", "http://127.0.0.1:2"]}
  azure: {api: azure, base_url: "http://azure.test", api_version: 2024-10-21}
  openai: {api: openai, base_url: "http://openai.test"}
models:
  groq: {targets: [{provider: groq, model: g}]}
  dropping: {targets: [{provider: groq, model: g}], drop_unsupported: true}
  mistral: {targets: [{provider: mistral, model: m}]}
  ollama: {targets: [{provider: ollama, model: o}]}
  mixed: {targets: [{provider: ollama, model: o}, {provider: openai, model: gpt}], drop_unsupported: true}
  second: {targets: [{provider: openai, model: gpt}, {provider: groq, model: g}]}
  either: {targets: [{provider: groq, model: g}, {provider: openai, model: gpt}]}
  azure: {targets: [{provider: azure, model: dep}, {provider: openai, model: gpt}]}
tenants:
  acme: {models: [groq, dropping, mistral, ollama, mixed, second, either, azure]}
  limited: {models: [ollama, mixed, mistral], limits: {output_tpm: 1000000}}
""")


def plan(tenant: str = "acme", url: str = CHAT, **members: Any) -> Reply:
    return ask(url, chat(**members), snapshot=SNAPSHOT, tenant=tenant)


def request_of(reply: Reply) -> dict[str, Any]:
    assert reply.status is None, reply.body
    found: dict[str, Any] = reply.metadata["hg.request"]
    return found


def test_what_changes_nothing_costs_nothing() -> None:
    for model, direct in (("groq", ",1,"), ("ollama", ",1,2,"), ("mixed", ",1,2,"), ("azure", ",1,")):
        request = request_of(reply := plan(model=model, temperature=1))
        assert (request["direct"], "drops" in request) == (direct, False)
        assert json.loads(reply.body)["model"] == request["upstream_model"]


def test_azure_is_one_of_openais_family() -> None:
    request = request_of(plan(model="azure", stream=True))
    rows = json.loads(request["attempts"])[0]
    assert [row[:2] for row in rows] == [["azure", "openai"], ["openai", "openai"]]


def test_an_edited_body_is_still_the_planned_one() -> None:
    body = b'{"n" : 1,"max_completion_tokens":  7 , "model":"ollama","messages":[{"role":"user"}] }'
    reply = ask(CHAT, body, snapshot=SNAPSHOT)
    assert reply.body == b'{"max_tokens":  7 , "model":"o","messages":[{"role":"user"}] }'
    assert request_of(reply)["direct"] == ",1,2,"


def test_what_is_refused_is_named() -> None:
    reply = plan(model="groq", logprobs=True, n=3, messages=[{"role": "user", "content": "a", "name": "b"}])
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "unsupported_parameter", "logprobs")
    assert reply.error["message"].startswith(
        "The parameters 'logprobs', 'n' and 'messages[0].name' are not supported by the provider 'groq'."
    )


def test_a_target_that_cannot_is_passed_over() -> None:
    request = request_of(plan(model="either", logprobs=True))
    assert request["upstream_model"] == "gpt"
    assert request_of(plan(model="either"))["upstream_model"] == "g"


def test_what_is_dropped_is_named_by_attempt() -> None:
    reply = plan(model="dropping", logprobs=True, n=1)
    assert (request_of(reply)["drops"], request_of(reply)["direct"]) == (["logprobs"], ",1,")
    assert json.loads(reply.body).keys() == {"model", "messages", "n"}
    request = request_of(plan(model="mistral", user="u"))
    assert (request["drops"], request["user"]) == (["user"], "u")


def test_another_targets_body_has_all_that_the_client_sent() -> None:
    given = chat(model="mixed", n=2, max_completion_tokens=9)
    reply = ask(CHAT, given, snapshot=SNAPSHOT)
    request = request_of(reply)
    assert (request["direct"], request["drops"], reply.body) == (",,", ["n", "n", ""], given)
    bodies = []
    for number in (1, 2, 3):
        attempt = Attempt(request, number, SNAPSHOT)
        bodies.append(json.loads(sent_of(attempt.request(reply.body))[0]))
        assert attempt.closed
    messages = json.loads(given)["messages"]
    assert bodies[0] == bodies[1] == {"model": "o", "max_tokens": 9, "messages": messages}
    assert bodies[2] == json.loads(given) | {"model": "gpt"}


def test_a_later_target_with_a_preset_is_made_from_the_planned_body() -> None:
    attempt, kept = planned(CHAT, chat(model="second", logprobs=False, stream=True), SNAPSHOT, 2)
    assert json.loads(kept)["logprobs"] is False
    body = json.loads(sent_of(attempt.request(kept))[0])
    assert "logprobs" not in body
    assert body["model"] == "g"


@pytest.mark.parametrize("asked", [None, {}, {"include_usage": True}, {"include_usage": False}])
def test_usage_that_comes_unasked(asked: Any) -> None:
    options = {} if asked is None else {"stream_options": asked}
    reply = plan(model="mistral", stream=True, **options)
    assert json.loads(reply.body).get("stream_options", {}) == {}
    shown = bool(asked and asked["include_usage"])
    assert request_of(reply).get("hide_usage_chunk", False) is not shown
    assert request_of(reply).get("hide_usage_member", False) is not shown


@pytest.mark.parametrize(
    ("given", "name"),
    [({}, "max_tokens"), ({"max_completion_tokens": 50}, "max_tokens"), ({"max_tokens": 50}, "max_tokens")],
)
def test_a_limit_that_is_granted_has_the_servers_name(given: dict[str, int], name: str) -> None:
    reply = plan("limited", model="ollama", **given)
    request = request_of(reply)
    at = int(request["max_at"])
    field = reply.body[at : at + 10]
    assert int(field) == given.get("max_completion_tokens", given.get("max_tokens", 4096))
    made = json.loads(reply.body)
    assert made[name] == int(field)
    assert "max_completion_tokens" not in made


def test_both_names_of_a_limit_that_is_granted() -> None:
    reply = plan("limited", model="ollama", max_completion_tokens=50, max_tokens=60)
    made, at = json.loads(reply.body), int(request_of(reply)["max_at"])
    assert (made["max_tokens"], int(reply.body[at : at + 10])) == (50, 50)
    assert "max_completion_tokens" not in made


def test_anthropics_clients_are_told_by_their_own_names() -> None:
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    reply = plan(url=MESSAGES, model="ollama", max_tokens=5, tools=tools, tool_choice=choice)
    assert reply.status == 400
    assert "'tool_choice.disable_parallel_tool_use'" in reply.error["message"]
