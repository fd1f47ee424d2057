"""Attempts at a provider with Gemini's API: the path with the model, no other header, each kind of its answers."""

import json
from typing import Any

import pytest
from attempt_client import STREAM, Attempt, cut, planned, sent_of
from ext_proc_client import ask, chat, snapshot_of

from headgate.contract import ATTEMPT_PATH, DROPPED, MAX_TOKENS

Counted = list[tuple[str, str, bool]]

SNAPSHOT = snapshot_of("""\
providers:
  gemini: {api: gemini, base_url: "https://gemini.test"}
  local: {api: openai, base_url: "http://local.test"}
models:
  chat: {targets: [{provider: gemini, model: gemini-2.5-pro, max_output_tokens: 40}, {provider: local, model: l}]}
  dropping: {targets: [{provider: gemini, model: gemini-2.5-pro}], drop_unsupported: true}
  alone: {targets: [{provider: gemini, model: gemini-2.5-pro}]}
tenants: {acme: {models: [chat, dropping, alone]}}
""")
CHAT = "/v1/chat/completions"
USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}
ANSWER = {
    "candidates": [{"content": {"parts": [{"text": "Grüße"}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": USAGE,
    "modelVersion": "gemini-2.5-pro",
}
QUOTA = {"error": {"code": 429, "message": "Quota.", "status": "RESOURCE_EXHAUSTED"}}


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


def sent(number: int = 1, **members: Any) -> tuple[bytes, dict[str, str], Attempt]:
    attempt, kept = planned(CHAT, chat(**{"model": "chat", **members}), SNAPSHOT, number)
    return *sent_of(attempt.request(kept)), attempt


def test_what_is_sent() -> None:
    body, headers, _ = sent(max_tokens=50)
    assert headers == {ATTEMPT_PATH: "/models/gemini-2.5-pro:generateContent"}
    assert json.loads(body)["generationConfig"] == {"maxOutputTokens": 40}
    _, headers, _ = sent(stream=True)
    assert headers == {ATTEMPT_PATH: "/models/gemini-2.5-pro:streamGenerateContent?alt=sse"}
    body, headers, _ = sent(2)
    assert (json.loads(body)["model"], headers) == ("l", {ATTEMPT_PATH: "/chat/completions"})


def test_what_it_cannot_do_is_named() -> None:
    refused = ask(CHAT, chat(model="alone", logit_bias={"1": 2}), snapshot=SNAPSHOT)
    assert refused.status == 400
    assert "logit_bias" in refused.body.decode()
    assert "gemini" in refused.body.decode()
    _, _, attempt = sent(model="dropping", logit_bias={"1": 2}, user="u")
    found = attempt.head().piece(json.dumps(ANSWER).encode(), last=True).answered
    assert found.headers[DROPPED] == "logit_bias, user"


def test_other_surfaces_pass_it_over() -> None:
    assert ask("/v1/completions", b'{"model": "alone", "prompt": "x"}', snapshot=SNAPSHOT).status == 400


@pytest.mark.parametrize(
    ("encoding", "vector"), [("float", [0.5, -1.0]), ("base64", "AAAAPwAAgL8="), (None, [0.5, -1.0])]
)
def test_embeddings(encoding: str | None, vector: Any, counted: Counted) -> None:
    asked = {"model": "alone", "input": ["a", "é"], "dimensions": 2, "encoding_format": encoding}
    attempt, kept = planned("/v1/embeddings", json.dumps(asked).encode(), SNAPSHOT)
    body, headers = sent_of(attempt.request(kept))
    assert headers == {ATTEMPT_PATH: "/models/gemini-2.5-pro:batchEmbedContents"}
    shape = {"model": "models/gemini-2.5-pro", "outputDimensionality": 2}
    assert json.loads(body)["requests"] == [{**shape, "content": {"parts": [{"text": text}]}} for text in ("a", "é")]
    answer = {"embeddings": [{"values": [0.5, -1]}] * 2, "usageMetadata": {"promptTokenCount": 2}}
    found = attempt.head().piece(json.dumps(answer).encode(), last=True).answered
    assert found.status == 200
    made = json.loads(found.body)
    assert [(one["index"], one["embedding"]) for one in made["data"]] == [(0, vector), (1, vector)]
    assert made["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_whole_answer(size: int, counted: Counted) -> None:
    _, _, attempt = sent(max_tokens=50)
    found = attempt.head(kind="application/json; charset=UTF-8")
    found.pieces(cut(json.dumps(ANSWER).encode(), size))
    assert (found.answered.status, found.answered.headers[MAX_TOKENS]) == (200, "40")
    answer = json.loads(found.answered.body)
    assert answer["choices"][0]["message"]["content"] == "Grüße"
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_stream(size: int, counted: Counted) -> None:
    _, _, attempt = sent(stream=True)
    attempt.head(kind=STREAM).pieces(cut(event({"usageMetadata": USAGE}), size), last=False)
    assert attempt.answered.status is None
    found = attempt.pieces(cut(event(ANSWER), size)).answered
    assert (found.status, found.ended) == (200, True)
    assert found.body.endswith(b"data: [DONE]\n\n")


def test_a_stream_that_fails_before_its_first_word_has_a_status(counted: Counted) -> None:
    _, _, attempt = sent(stream=True)
    found = attempt.head(kind=STREAM).pieces([event(QUOTA)]).answered
    counted.append(("gemini", "rate_limit", False))
    assert (found.status, json.loads(found.body)["error"]["type"]) == (429, "rate_limit_error")


def test_an_error_in_the_clients_shape(counted: Counted) -> None:
    _, _, attempt = sent()
    found = attempt.head(429).pieces([json.dumps(QUOTA).encode()]).answered
    assert found.status == 429
    assert json.loads(found.body)["error"] == {
        "message": "Quota.",
        "type": "rate_limit_error",
        "param": None,
        "code": None,
    }


def test_messages_go_by_way_of_a_chat_completion(counted: Counted) -> None:
    """Both of its halves in one attempt: an answer, and a failure that is the provider's own."""
    asked = {"model": "alone", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    attempt, kept = planned("/v1/messages", json.dumps(asked).encode(), SNAPSHOT)
    body, headers = sent_of(attempt.request(kept))
    assert headers == {ATTEMPT_PATH: "/models/gemini-2.5-pro:streamGenerateContent?alt=sse"}
    assert json.loads(body)["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    found = attempt.head(kind=STREAM).pieces(cut(event(ANSWER), 7)).answered
    assert (found.status, found.ended) == (200, True)
    assert found.body.startswith(b"event: message_start\n")
    assert found.body.endswith(b'data: {"type":"message_stop"}\n\n')
    attempt, kept = planned("/v1/messages", json.dumps(asked).encode(), SNAPSHOT)
    attempt.request(kept)
    found = attempt.head(kind=STREAM).pieces([event(QUOTA)]).answered
    assert found.status == 429
    assert json.loads(found.body)["error"] == {"type": "rate_limit_error", "message": "Quota."}
    counted.append(("gemini", "rate_limit", False))
