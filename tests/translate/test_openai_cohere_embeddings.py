"""OpenAI's embeddings on Cohere: what has no place, what is a mistake, and answers that are none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.refusal import BadRequest
from extproc.translate.direction import Known, Target
from extproc.translate.failure import Failure
from extproc.translate.openai_cohere import EmbeddingsToCohere
from tests.translate.golden import KNOWN

DIRECTION = EmbeddingsToCohere()
TARGET = Target("cohere", "embed-v4.0")


def answered(body: Any, known: Known = KNOWN) -> Any:
    made = DIRECTION.whole(json.dumps(body).encode(), known)
    assert isinstance(made, bytes)
    return json.loads(made)


def test_what_is_sent() -> None:
    body = {"model": "e", "input": ["a", "é"], "dimensions": 256, "encoding_format": "base64", "user": "u"}
    made = DIRECTION.request(body, TARGET)
    assert (made.path, made.headers, made.dropped) == ("/embed", (), ("user",))
    assert json.loads(made.body) == {
        "model": "embed-v4.0",
        "texts": ["a", "é"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "truncate": "NONE",
        "output_dimension": 256,
    }
    assert DIRECTION.unsupported(body, TARGET) == ()


def test_a_client_may_say_what_its_texts_are() -> None:
    made = DIRECTION.request({"model": "e", "input": "x", "input_type": "search_query"}, TARGET)
    assert json.loads(made.body)["input_type"] == "search_query"
    assert made.dropped == ()


@pytest.mark.parametrize("tokens", [[1, 2], [[1], [2]]])
def test_tokens_are_another_models(tokens: Any) -> None:
    body = {"model": "e", "input": tokens, "task": "x"}
    assert DIRECTION.unsupported(body, TARGET) == ("task", "input")
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request(body, TARGET)
    assert refused.value.param == "input"


def test_more_texts_than_one_request_takes() -> None:
    """Another target may take them; without one they are not embedded in part, whatever may be dropped."""
    assert DIRECTION.unsupported({"input": ["x"] * 96}, TARGET) == ()
    body = {"input": ["x"] * 97}
    assert DIRECTION.unsupported(body, TARGET) == ("input[96]",)
    made = DIRECTION.request(body, TARGET)
    assert len(json.loads(made.body)["texts"]) == 97
    assert made.dropped == ()


MISTAKES = [
    ({"input": []}, "input"),
    ({"input": None}, "input"),
    ({"input": ["a", 5]}, "input[1]"),
    ({"input": "x", "dimensions": 0}, "dimensions"),
    ({"input": "x", "encoding_format": "hex"}, "encoding_format"),
    ({"input": "x", "input_type": "image"}, "input_type"),
    ({"input": "\ud83d"}, None),
]


@pytest.mark.parametrize(("body", "param"), MISTAKES)
def test_a_clients_mistake_is_named(body: dict[str, Any], param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request(body, TARGET)
    assert refused.value.param == param


def test_the_vectors() -> None:
    body = {"id": "x", "embeddings": {"float": [[0.5, -1], [1, 2]]}, "meta": {"billed_units": {"input_tokens": 4.0}}}
    found = answered(body)
    assert [(one["index"], one["embedding"]) for one in found["data"]] == [(0, [0.5, -1.0]), (1, [1.0, 2.0])]
    assert found["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    encoded = answered(body, Known("r", 1, as_base64=True))
    assert encoded["data"][0]["embedding"] == "AAAAPwAAgL8="


@pytest.mark.parametrize("meta", [None, {}, {"billed_units": None}, {"billed_units": {}}])
def test_usage_that_is_not_told_is_unknown(meta: Any) -> None:
    assert answered({"embeddings": {"float": [[1]]}, "meta": meta})["usage"] is None


NO_ANSWERS = [
    b"{}",
    b'{"embeddings":{"float":[]}}',
    b'{"embeddings":{"float":[["x"]]}}',
    b'{"embeddings":{"float":[[1]]},"meta":{"billed_units":{"input_tokens":-1}}}',
]


@given(st.binary(max_size=200) | st.sampled_from(NO_ANSWERS))
def test_no_body_makes_it_fall_over(body: bytes) -> None:
    made = DIRECTION.whole(body, KNOWN)
    assert isinstance(made, Failure)
    assert made.kind == "malformed"


def test_an_error_with_status_200() -> None:
    made = DIRECTION.whole(b'{"id":"x","message":"internal error"}', KNOWN)
    assert made == Failure.of("server", "internal error")
