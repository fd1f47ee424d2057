"""What one attempt sends: the client's own API with another model, or another API; and plans that are odd."""

import json
from typing import Any

import pytest
from attempt_client import Attempt, planned, sent_of
from ext_proc_client import ask, chat, snapshot_of
from structlog.testing import capture_logs

from extproc.translate.openai_anthropic import DEFAULT_MAX_TOKENS
from headgate import metrics

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
SNAPSHOT = snapshot_of("""\
providers:
  each: {api: openai, base_url: "http://each.test", usage: continuous}
  final: {api: openai, base_url: "http://final.test"}
  none: {api: openai, base_url: "http://none.test", usage: none}
  claude: {api: anthropic, base_url: "http://claude.test"}
  opus: {api: anthropic, base_url: "http://opus.test"}
models:
  each-final: {targets: [{provider: each, model: a}, {provider: final, model: b}]}
  each-none: {targets: [{provider: each, model: a}, {provider: none, model: b}]}
  final-each: {targets: [{provider: final, model: a}, {provider: each, model: b}]}
  final-none: {targets: [{provider: final, model: a}, {provider: none, model: b}]}
  none-each: {targets: [{provider: none, model: a}, {provider: each, model: b}]}
  none-final: {targets: [{provider: none, model: a}, {provider: final, model: b}]}
  claude-final: {targets: [{provider: claude, model: c, max_output_tokens: 77}, {provider: final, model: b}]}
  final-claude: {targets: [{provider: final, model: b, max_output_tokens: 66}, {provider: claude, model: c}]}
  claude-opus: {targets: [{provider: claude, model: c}, {provider: opus, model: o}]}
  dropping: {targets: [{provider: claude, model: c}], drop_unsupported: true}
tenants:
  acme:
    models: [each-final, each-none, final-each, final-none, none-each, none-final, claude-final, final-claude,
             claude-opus, dropping]
""")
USAGE, BOTH = {"include_usage": True}, {"include_usage": True, "continuous_usage_stats": True}
REPORTS: dict[str, dict[str, bool]] = {"each": BOTH, "final": USAGE, "none": {}}


def sent(url: str, body: bytes, number: int) -> tuple[bytes, dict[str, str], Attempt]:
    attempt, kept = planned(url, body, SNAPSHOT, number)
    return *sent_of(attempt.request(kept)), attempt


def message(**members: Any) -> bytes:
    return json.dumps({**json.loads(chat(**members)), "max_tokens": 50}).encode()


@pytest.mark.parametrize("asked", [None, {}, {"include_usage": False}, USAGE, BOTH, {"include_obfuscation": False}])
@pytest.mark.parametrize("model", ["each-final", "each-none", "final-each", "final-none", "none-each", "none-final"])
def test_stream_options_are_what_this_provider_needs_and_the_client_asked(model: str, asked: Any) -> None:
    """The kept body has those of the first attempt."""
    options = {} if asked is None else {"stream_options": asked}
    body, headers, attempt = sent(CHAT, chat(model=model, stream=True, **options), 2)
    made = json.loads(body)
    wanted = {**(asked or {}), **REPORTS[model.partition("-")[2]]}
    if wanted.get("include_usage") is False:
        del wanted["include_usage"]  # the same as not asked
    found = made.get("stream_options") or {}
    assert {name: value for name, value in found.items() if (name, value) != ("include_usage", False)} == wanted
    assert made["model"] == "b"
    assert headers == {"x-headgate-path": "/chat/completions"}
    assert attempt.closed  # no further call: the answer passes as it is


@pytest.mark.parametrize("model", ["each-final", "final-none"])
def test_a_body_that_does_not_stream_changes_in_its_model_alone(model: str) -> None:
    body = b'{ "messages":[{"role":"user","content":"\\u00e9"}],"n" :1, "temperature":1.0e0, "model":"%s"}\n'
    attempt, kept = planned(CHAT, body % model.encode(), SNAPSHOT, 2)
    assert kept == body % b"a"
    assert sent_of(attempt.request(kept)) == (body % b"b", {"x-headgate-path": "/chat/completions"})
    assert attempt.closed


def test_anthropics_clients_on_another_target_of_their_api() -> None:
    body, headers, attempt = sent(MESSAGES, message(model="claude-opus", stream=True), 2)
    assert json.loads(body) == json.loads(message(model="o", stream=True))
    assert headers == {"x-headgate-path": "/messages"}
    assert attempt.closed


def test_a_count_goes_to_the_endpoint_for_it() -> None:
    body, headers, attempt = sent(f"{MESSAGES}/count_tokens", chat(model="claude-opus"), 2)
    assert (json.loads(body)["model"], headers) == ("o", {"x-headgate-path": "/messages/count_tokens"})
    assert attempt.closed


@pytest.mark.parametrize(
    ("model", "number", "limit"), [("claude-final", 1, 77), ("final-claude", 2, DEFAULT_MAX_TOKENS)]
)
@pytest.mark.parametrize("stream", [True, False])
def test_openais_clients_on_anthropics_api(model: str, number: int, limit: int, stream: bool) -> None:
    body, headers, attempt = sent(CHAT, chat(model=model, stream=stream), number)
    made = json.loads(body)
    assert (made["model"], made.get("stream", False)) == ("c", stream)
    assert made["max_tokens"] == limit
    assert "stream_options" not in made
    assert headers == {"x-headgate-path": "/messages", "anthropic-version": "2023-06-01"}
    assert attempt.closed is stream  # a stream is translated by another call


@pytest.mark.parametrize(("model", "number", "limit"), [("final-claude", 1, 50), ("claude-final", 2, 50)])
@pytest.mark.parametrize("stream", [True, False])
def test_anthropics_clients_on_openais_api(model: str, number: int, limit: int, stream: bool) -> None:
    body, headers, attempt = sent(MESSAGES, message(model=model, stream=stream), number)
    made = json.loads(body)
    assert (made["model"], made["max_completion_tokens"]) == ("b", limit)
    assert made.get("stream_options") == (USAGE if stream else None)
    assert headers == {"x-headgate-path": "/chat/completions"}
    assert attempt.closed is stream


def test_after_a_translated_attempt_the_body_is_still_the_clients() -> None:
    given = chat(model="claude-final", stream=True, logit_bias={})
    attempt, kept = planned(CHAT, given, SNAPSHOT, 2)
    assert kept == given
    body, _ = sent_of(attempt.request(kept))
    assert json.loads(body) == {**json.loads(given), "model": "b", "stream_options": USAGE}


def test_without_a_plan_an_attempt_goes_on_as_it_is() -> None:
    attempt = Attempt({"surface": "chat", "model": "m"})
    attempt.request(b"{}")
    assert attempt.closed
    attempt = Attempt({})
    attempt.request(b"{}")
    assert attempt.closed


def test_more_attempts_than_rows_ask_the_last_one_again() -> None:
    body, _, _ = sent(CHAT, chat(model="each-final", stream=True), 9)
    assert json.loads(body)["model"] == "b"


@pytest.mark.parametrize("plan", [{"attempts": "[", "surface": "chat"}, {"attempts": "{}", "surface": "messages"}])
def test_a_plan_that_cannot_be_read_costs_this_attempt(plan: dict[str, str]) -> None:
    before = metrics.FAILURES.labels("extproc")._value.get()
    attempt = Attempt(plan)
    with capture_logs() as logs:
        immediate = attempt.request(b"{}").immediate_response
    assert (immediate.status.code, attempt.closed) == (500, True)
    error = json.loads(immediate.body)
    assert error["error"]["message"].startswith("The gateway failed to handle the request.")
    assert ("request_id" in error) == (plan["surface"] == "messages")
    assert metrics.FAILURES.labels("extproc")._value.get() == before + 1
    assert [(entry["event"], entry["request_id"]) for entry in logs] == [("failed", "r-1")]


def test_a_mistake_that_only_the_translation_sees_is_the_clients() -> None:
    plan = ask(CHAT, chat(model="claude-final"), snapshot=SNAPSHOT).metadata["hg.request"]
    attempt = Attempt(plan)
    immediate = attempt.request(
        chat(model="claude-final", messages=[{"role": "user", "content": 7}])
    ).immediate_response
    assert (immediate.status.code, attempt.closed) == (400, True)
    error = json.loads(immediate.body)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith("messages[0]")


WHOLE = {
    CHAT: b'{"type":"message","id":"m","model":"c","role":"assistant","content":[{"type":"text","text":"hi"}],'
    b'"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}',
    MESSAGES: b'{"id":"c","object":"chat.completion","created":1,"model":"b","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}',
}


@pytest.mark.parametrize(
    ("url", "model", "number", "asked", "told"),
    [
        (MESSAGES, "final-claude", 1, 50, None),
        (MESSAGES, "final-claude", 1, 66, None),
        (MESSAGES, "final-claude", 1, 67, "66"),
        (MESSAGES, "claude-final", 2, 10**6, None),
    ],
)
def test_a_lower_limit_is_told(url: str, model: str, number: int, asked: int, told: str | None) -> None:
    body = json.dumps({**json.loads(chat(model=model)), "max_tokens": asked}).encode()
    made, _, attempt = sent(url, body, number)
    assert json.loads(made)["max_completion_tokens"] == int(told or asked)
    found = attempt.head().piece(WHOLE[url], last=True).answered
    assert (found.status, found.headers.get("x-headgate-max-tokens")) == (200, told)


ODD_NAMES = ["a\nb: c", "\ud800", "é", "x" * 5000, "a, b", " ", ""]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_of_the_clients_making_are_no_headers(name: str) -> None:
    """They are dropped and named: by a header that Envoy takes."""
    body, _, attempt = sent(CHAT, chat(model="dropping", logprobs=True, **{name: 1}), 1)
    assert set(json.loads(body)) == {"model", "max_tokens", "messages"}
    attempt.head().piece(WHOLE[CHAT], last=True)
    assert attempt.answered.status == 200
    dropped = attempt.answered.headers["x-headgate-dropped"]
    assert dropped.startswith("logprobs, ")
    assert dropped.isascii()
    assert dropped.isprintable()
    assert len(dropped) <= 1100
