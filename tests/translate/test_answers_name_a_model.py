"""Where a provider does not say which model has answered, the client is told the target's."""

import json
from typing import Any

import pytest

from extproc.translate import direction_of
from extproc.translate.direction import Direction, Known
from extproc.translate.failure import Failure
from tests.translate import cohere_events, gemini_events

KNOWN = Known("r", 1, model="models/up-1")
COHERES = {"finish_reason": "COMPLETE", "message": {"role": "assistant", "content": [{"type": "text", "text": "x"}]}}
GEMINIS = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]}
WHOLE: list[tuple[str, str, Any, str]] = [
    ("chat", "cohere", COHERES, "models/up-1"),
    ("chat", "gemini", GEMINIS, "up-1"),
    ("chat", "gemini", GEMINIS | {"modelVersion": "up-1-001"}, "up-1-001"),
    ("responses", "cohere", COHERES, "models/up-1"),
    ("messages", "cohere", COHERES, "models/up-1"),
    ("embeddings", "cohere", {"embeddings": {"float": [[1]]}}, "models/up-1"),
    ("embeddings", "gemini", {"embeddings": [{"values": [1]}]}, "up-1"),
]


def _direction(surface: str, api: Any) -> Direction:
    found = direction_of(surface, api)
    assert found
    return found


@pytest.mark.parametrize(("surface", "api", "answer", "model"), WHOLE)
def test_whole_answers(surface: str, api: str, answer: Any, model: str) -> None:
    body = _direction(surface, api).whole(json.dumps(answer).encode(), KNOWN)
    assert not isinstance(body, Failure)
    assert json.loads(body)["model"] == model


@pytest.mark.parametrize(
    ("api", "events", "model"),
    [("cohere", cohere_events.PLAIN, "models/up-1"), ("gemini", gemini_events.data(GEMINIS), "up-1")],
)
def test_streams(api: str, events: bytes, model: str) -> None:
    decoder = _direction("chat", api).stream(KNOWN)
    *chunks, done, _ = (decoder.feed(events) + decoder.end()).split(b"\n\n")
    assert done == b"data: [DONE]"
    assert {json.loads(chunk.removeprefix(b"data: "))["model"] for chunk in chunks} == {model}
