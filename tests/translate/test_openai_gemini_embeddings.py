"""OpenAI's embeddings on Gemini: what has no place, what is a mistake, and answers that are none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.refusal import BadRequest
from extproc.translate.direction import Target
from extproc.translate.failure import Failure
from extproc.translate.openai_gemini import EmbeddingsToGemini
from tests.translate.golden import KNOWN

DIRECTION = EmbeddingsToGemini()
TARGET = Target("gemini", "gemini-embedding-001")


@pytest.mark.parametrize("tokens", [[1, 2], [[1], [2]]])
def test_tokens_are_another_models(tokens: Any) -> None:
    body = {"model": "e", "input": tokens, "user": "u", "task": "x"}
    assert DIRECTION.unsupported(body, TARGET) == ("task", "input")
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request(body, TARGET)
    assert refused.value.param == "input"


def test_who_it_is_for_is_left_out() -> None:
    body = {"model": "e", "input": "x", "user": "u", "dimensions": None}
    assert DIRECTION.unsupported(body, TARGET) == ()
    made = DIRECTION.request(body, TARGET)
    assert made.dropped == ("user",)
    request = {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "x"}]}}
    assert json.loads(made.body) == {"requests": [request]}


MISTAKES = [
    ({"input": []}, "input"),
    ({"input": None}, "input"),
    ({"input": ["a", 5]}, "input[1]"),
    ({"input": "x", "dimensions": 0}, "dimensions"),
    ({"input": "x", "encoding_format": "hex"}, "encoding_format"),
    ({"input": "\ud83d"}, None),
]


@pytest.mark.parametrize(("body", "param"), MISTAKES)
def test_a_clients_mistake_is_named(body: dict[str, Any], param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request(body, TARGET)
    assert refused.value.param == param


def test_usage_that_is_not_told_is_unknown() -> None:
    made = DIRECTION.whole(b'{"embeddings":[{"values":[1]}]}', KNOWN)
    assert isinstance(made, bytes)
    assert json.loads(made)["usage"] is None


@given(st.binary(max_size=200))
def test_no_body_makes_it_fall_over(body: bytes) -> None:
    assert isinstance(DIRECTION.whole(body, KNOWN), Failure)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"embeddings":[]}', b'{"embeddings":[{"values":["x"]}]}'])
def test_what_is_no_answer_in_its_form(body: bytes) -> None:
    made = DIRECTION.whole(body, KNOWN)
    assert isinstance(made, Failure)
    assert made.kind == "malformed"


def test_an_error_with_status_200() -> None:
    error = {"error": {"code": 429, "message": "Quota.", "status": "RESOURCE_EXHAUSTED"}}
    made = DIRECTION.whole(json.dumps(error).encode(), KNOWN)
    assert isinstance(made, Failure)
    assert (made.kind, made.status) == ("rate_limit", 429)
