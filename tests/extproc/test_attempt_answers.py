"""Answers of providers that speak another API, as they reach the client: whole and streamed."""

import json
from typing import Any

import pytest
from attempt_client import STREAM, cut
from ext_proc_client import JSON
from foreign_answers import ANTHROPIC, BEFORE, BEGUN, LAST, OPENAI, REST, TEXT, WHOLE, attempt, text_of

Counted = list[tuple[str, str, bool]]
BOTH = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])


@BOTH
@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("kind", [JSON, "Application/JSON; charset=utf-8"])
def test_a_whole_answer(client: str, size: int, kind: str, counted: Counted) -> None:
    made = attempt(client, stream=False).head(kind=kind, content_length="9")
    assert made.answered.status is None
    found = made.pieces(cut(json.dumps(WHOLE[client]).encode(), size)).answered
    assert (found.status, found.ended, made.closed, found.headers) == (200, True, True, {"content-type": JSON})
    answer = json.loads(found.body)
    content = answer["choices"][0]["message"]["content"] if client == OPENAI else answer["content"][0]["text"]
    assert content == TEXT
    usage = answer["usage"]
    assert (usage["total_tokens"] == 4) if client == OPENAI else (usage["input_tokens"] == 3)


@BOTH
def test_a_stream_is_held_until_the_answer_begins(client: str, counted: Counted) -> None:
    made = attempt(client, stream=True).head(kind=f"{STREAM}; charset=utf-8").pieces(BEFORE[client], last=False)
    assert made.answered.status is None
    made.pieces(BEGUN[client], last=False)
    assert (made.answered.status, made.answered.ended) == (200, False)
    assert text_of(client, made.answered.body) == TEXT  # at once, not with the next piece
    found = made.pieces(REST[client]).answered
    assert (found.ended, made.closed) == (True, True)
    assert found.body.endswith(LAST[client])
    assert "content-type" not in found.headers  # it is an event stream already


@BOTH
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
def test_pieces_make_no_difference(client: str, size: int, counted: Counted) -> None:
    data = b"".join(BEFORE[client] + BEGUN[client] + REST[client])
    found = attempt(client, stream=True).head(kind=STREAM).pieces(cut(data, size)).answered
    whole = attempt(client, stream=True).head(kind=STREAM).piece(data, last=True).answered
    assert (found.status, text_of(client, found.body)) == (200, TEXT)
    assert _without_times(found.body) == _without_times(whole.body)


def _without_times(body: bytes) -> list[Any]:
    lines = [line.partition(b"data: ")[2] for line in body.splitlines()]
    return [json.loads(line) | {"created": 0} for line in lines if line.startswith(b"{")]
