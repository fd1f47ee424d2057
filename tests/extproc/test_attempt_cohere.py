"""Attempts at a provider with Cohere's API: its two paths, no other header, each kind of its answers."""

import json
from typing import Any

import pytest
from attempt_client import STREAM, Attempt, cut, planned, sent_of
from ext_proc_client import ask, chat, snapshot_of

from headgate.contract import ATTEMPT_PATH, DROPPED, MAX_TOKENS

Counted = list[tuple[str, str, bool]]

SNAPSHOT = snapshot_of("""\
providers:
  cohere: {api: cohere}
  local: {api: openai, base_url: "http://local.test"}
models:
  chat: {targets: [{provider: cohere, model: command-a, max_output_tokens: 40}, {provider: local, model: l}]}
  dropping: {targets: [{provider: cohere, model: command-a}], drop_unsupported: true}
  alone: {targets: [{provider: cohere, model: command-a}]}
tenants: {acme: {models: [chat, dropping, alone]}}
""")
CHAT, EMBEDDINGS, RERANK = "/v1/chat/completions", "/v1/embeddings", "/v1/rerank"
USAGE = {"billed_units": {"input_tokens": 3.0, "output_tokens": 1.0}}
ANSWER = {
    "id": "c",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Grüße"}]},
    "usage": USAGE,
}
LIMIT = {"id": "c", "message": "You are past the per minute request limit, please wait and try again later."}
START = {"type": "message-start", "delta": {"message": {"role": "assistant"}}}
EVENTS = [
    START,
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Grüße"}}}},
    {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": USAGE}},
]


def events(*values: Any) -> bytes:
    return b"".join(
        f"event: {value['type']}\n".encode() + b"data: " + json.dumps(value).encode() + b"\n\n" for value in values
    )


def sent(number: int = 1, **members: Any) -> tuple[bytes, dict[str, str], Attempt]:
    attempt, kept = planned(CHAT, chat(**{"model": "chat", **members}), SNAPSHOT, number)
    return *sent_of(attempt.request(kept)), attempt


def test_what_is_sent() -> None:
    for stream in (False, True):
        body, headers, _ = sent(max_tokens=50, stream=stream)
        assert headers == {ATTEMPT_PATH: "/chat"}
        made = json.loads(body)
        assert (made["model"], made["max_tokens"], made.get("stream", False)) == ("command-a", 40, stream)
    body, headers, _ = sent(2)
    assert (json.loads(body)["model"], headers) == ("l", {ATTEMPT_PATH: "/chat/completions"})


def test_what_it_cannot_do_is_named() -> None:
    refused = ask(CHAT, chat(model="alone", logit_bias={"1": 2}), snapshot=SNAPSHOT)
    assert refused.status == 400
    assert "logit_bias" in refused.body.decode()
    assert "cohere" in refused.body.decode()
    _, _, attempt = sent(model="dropping", logit_bias={"1": 2}, user="u")
    found = attempt.head().piece(json.dumps(ANSWER).encode(), last=True).answered
    assert found.headers[DROPPED] == "logit_bias, user"


def test_more_texts_than_it_takes() -> None:
    refused = ask(EMBEDDINGS, json.dumps({"model": "alone", "input": ["x"] * 97}).encode(), snapshot=SNAPSHOT)
    assert (refused.status, json.loads(refused.body)["error"]["param"]) == (400, "input[96]")


def test_other_surfaces_pass_it_over() -> None:
    assert ask("/v1/completions", b'{"model": "alone", "prompt": "x"}', snapshot=SNAPSHOT).status == 400


def test_messages_go_by_way_of_a_chat_completion(counted: Counted) -> None:
    asked = {"model": "alone", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    attempt, kept = planned("/v1/messages", json.dumps(asked).encode(), SNAPSHOT)
    body, headers = sent_of(attempt.request(kept))
    assert headers == {ATTEMPT_PATH: "/chat"}
    assert json.loads(body)["messages"] == [{"role": "user", "content": "Hi"}]
    found = attempt.head(kind=STREAM).pieces(cut(events(*EVENTS), 7)).answered
    assert (found.status, found.ended) == (200, True)
    assert found.body.startswith(b"event: message_start\n")
    assert found.body.endswith(b'data: {"type":"message_stop"}\n\n')


@pytest.mark.parametrize(("encoding", "vector"), [("float", [0.5, -1.0]), ("base64", "AAAAPwAAgL8=")])
def test_embeddings(encoding: str, vector: Any, counted: Counted) -> None:
    asked = {"model": "alone", "input": ["a", "é"], "encoding_format": encoding}
    attempt, kept = planned(EMBEDDINGS, json.dumps(asked).encode(), SNAPSHOT)
    body, headers = sent_of(attempt.request(kept))
    assert headers == {ATTEMPT_PATH: "/embed"}
    assert json.loads(body)["texts"] == ["a", "é"]
    answer = {"embeddings": {"float": [[0.5, -1]] * 2}, "meta": {"billed_units": {"input_tokens": 2.0}}}
    found = attempt.head().piece(json.dumps(answer).encode(), last=True).answered
    assert found.status == 200
    made = json.loads(found.body)
    assert [(one["index"], one["embedding"]) for one in made["data"]] == [(0, vector), (1, vector)]
    assert made["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


def test_rankings(counted: Counted) -> None:
    asked = {"model": "alone", "query": "q", "documents": ["a"]}
    attempt, kept = planned(RERANK, json.dumps(asked).encode(), SNAPSHOT)
    body, headers = sent_of(attempt.request(kept))
    assert headers == {ATTEMPT_PATH: "/rerank"}
    assert json.loads(body) == {**asked, "model": "command-a"}
    answer = {"results": [{"index": 0, "relevance_score": 1}], "meta": {"billed_units": {"search_units": 1.0}}}
    found = attempt.head().piece(json.dumps(answer).encode(), last=True).answered
    assert (found.status, json.loads(found.body)["results"]) == (200, answer["results"])


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
    attempt.head(kind=STREAM).pieces(cut(events(*EVENTS[:2]), size), last=False)
    assert attempt.answered.status is None
    found = attempt.pieces(cut(events(*EVENTS[2:]), size)).answered
    assert (found.status, found.ended) == (200, True)
    assert found.body.endswith(b"data: [DONE]\n\n")


def test_a_stream_that_fails_before_its_first_word_has_a_status(counted: Counted) -> None:
    _, _, attempt = sent(stream=True)
    end = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "overloaded"}}
    found = attempt.head(kind=STREAM).pieces([events(START, end)]).answered
    counted.append(("cohere", "server", False))
    assert (found.status, json.loads(found.body)["error"]["message"]) == (502, "overloaded")


def test_an_error_in_the_clients_shape(counted: Counted) -> None:
    _, _, attempt = sent()
    found = attempt.head(429).pieces([json.dumps(LIMIT).encode()]).answered
    assert found.status == 429
    assert json.loads(found.body)["error"] == {
        "message": LIMIT["message"],
        "type": "rate_limit_error",
        "param": None,
        "code": None,
    }
