"""Attempts at a provider with Bedrock's API: the path with the model, each kind of its answers."""

import json
from typing import Any

import pytest
from attempt_client import Attempt, cut, planned, sent_of
from ext_proc_client import ask, chat, snapshot_of

from headgate.contract import ATTEMPT_PATH, DROPPED, MAX_TOKENS
from tests.translate.bedrock_frames import ENDED, METADATA, PLAIN, START, WORD, exception

Counted = list[tuple[str, str, bool]]

STREAM = "application/vnd.amazon.eventstream"
SNAPSHOT = snapshot_of("""\
providers:
  aws: {api: bedrock, region: eu-central-1}
  local: {api: openai, base_url: "http://local.test"}
models:
  chat:
    targets: [{provider: aws, model: "amazon.nova-pro-v1:0", max_output_tokens: 40}, {provider: local, model: l}]
  dropping: {targets: [{provider: aws, model: "amazon.nova-pro-v1:0"}], drop_unsupported: true}
  alone: {targets: [{provider: aws, model: "amazon.nova-pro-v1:0"}]}
  embed: {targets: [{provider: aws, model: "cohere.embed-v4:0"}]}
tenants: {acme: {models: [chat, dropping, alone, embed]}}
""")
CHAT = "/v1/chat/completions"
PATH = "/model/amazon.nova-pro-v1%3A0/"
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Grüße"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4},
}


def sent(number: int = 1, **members: Any) -> tuple[bytes, dict[str, str], Attempt]:
    attempt, kept = planned(CHAT, chat(**{"model": "chat", **members}), SNAPSHOT, number)
    return *sent_of(attempt.request(kept)), attempt


def test_what_is_sent() -> None:
    body, headers, _ = sent(max_tokens=50)
    assert headers == {ATTEMPT_PATH: f"{PATH}converse"}
    assert json.loads(body)["inferenceConfig"] == {"maxTokens": 40}
    _, headers, _ = sent(stream=True)
    assert headers == {ATTEMPT_PATH: f"{PATH}converse-stream"}
    body, headers, _ = sent(2)
    assert (json.loads(body)["model"], headers) == ("l", {ATTEMPT_PATH: "/chat/completions"})


def test_what_it_cannot_do_is_named() -> None:
    refused = ask(CHAT, chat(model="alone", logit_bias={"1": 2}), snapshot=SNAPSHOT)
    assert refused.status == 400
    assert "logit_bias" in refused.body.decode()
    assert "aws" in refused.body.decode()
    _, _, attempt = sent(model="dropping", logit_bias={"1": 2}, user="u")
    found = attempt.head().piece(json.dumps(ANSWER).encode(), last=True).answered
    assert found.headers[DROPPED] == "logit_bias, user"


def test_a_model_that_makes_no_vectors_is_named() -> None:
    refused = ask("/v1/embeddings", b'{"model": "alone", "input": "x"}', snapshot=SNAPSHOT)
    assert (refused.status, json.loads(refused.body)["error"]["param"]) == (400, "model")


@pytest.mark.parametrize("counted_tokens", ["7", None, "x"])
def test_tokens_of_embeddings_stand_in_the_head(counted_tokens: str | None) -> None:
    attempt, kept = planned("/v1/embeddings", b'{"model": "embed", "input": ["a"]}', SNAPSHOT)
    assert sent_of(attempt.request(kept))[1] == {ATTEMPT_PATH: "/model/cohere.embed-v4%3A0/invoke"}
    more = {"x-amzn-bedrock-input-token-count": counted_tokens} if counted_tokens else {}
    found = attempt.head(**more).piece(b'{"embeddings": {"float": [[1]]}}', last=True).answered
    usage = json.loads(found.body)["usage"]
    assert usage == ({"prompt_tokens": 7, "total_tokens": 7} if counted_tokens == "7" else None)


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_whole_answer(size: int, counted: Counted) -> None:
    _, _, attempt = sent(max_tokens=50)
    found = attempt.head()
    found.pieces(cut(json.dumps(ANSWER).encode(), size))
    assert (found.answered.status, found.answered.headers[MAX_TOKENS]) == (200, "40")
    answer = json.loads(found.answered.body)
    assert answer["choices"][0]["message"]["content"] == "Grüße"
    assert answer["model"] == "amazon.nova-pro-v1:0"


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_stream(size: int, counted: Counted) -> None:
    _, _, attempt = sent(stream=True)
    attempt.head(kind=STREAM).pieces(cut(START, size), last=False)
    assert attempt.answered.status is None
    found = attempt.pieces(cut(WORD + ENDED + METADATA, size)).answered
    assert (found.status, found.ended, found.headers["content-type"]) == (200, True, "text/event-stream")
    assert found.body.endswith(b"data: [DONE]\n\n")


def test_a_stream_that_fails_before_its_first_word_has_a_status(counted: Counted) -> None:
    _, _, attempt = sent(stream=True)
    frames = START + exception("throttlingException", message="Too many tokens.")
    found = attempt.head(429, kind=STREAM).pieces([frames]).answered
    counted.append(("aws", "rate_limit", False))
    assert (found.status, json.loads(found.body)["error"]["type"]) == (429, "rate_limit_error")


def test_a_whole_answer_where_a_stream_was_wanted_is_none(counted: Counted) -> None:
    _, _, attempt = sent(stream=True)
    found = attempt.head().pieces([PLAIN]).answered
    counted.append(("aws", "malformed", False))
    assert found.status == 502
