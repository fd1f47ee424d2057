"""OpenAI's embeddings on Bedrock: two makers' models, what has no place, mistakes, and answers that are none."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.refusal import BadRequest
from extproc.translate.direction import Target
from extproc.translate.failure import Failure
from extproc.translate.openai_bedrock import EmbeddingsToBedrock
from tests.translate.golden import KNOWN

DIRECTION = EmbeddingsToBedrock()
TITAN, OLD_TITAN = "amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v1"
COHERE, OLD_COHERE = "eu.cohere.embed-v4:0", "cohere.embed-multilingual-v3"
FOR_SEARCH = {"input_type": "search_document", "truncate": "NONE", "embedding_types": ["float"]}


def sent(model: str, **members: Any) -> dict[str, Any]:
    made = DIRECTION.request({"model": "e", **members}, Target("aws", model))
    found: dict[str, Any] = json.loads(made.body)
    return found


@pytest.mark.parametrize(
    ("model", "members", "body"),
    [
        (TITAN, {"input": "é"}, {"inputText": "é"}),
        (TITAN, {"input": ["a"], "dimensions": 256}, {"inputText": "a", "dimensions": 256}),
        (OLD_TITAN, {"input": "a", "encoding_format": "base64"}, {"inputText": "a"}),
        (
            COHERE,
            {"input": ["a", "b"], "dimensions": 512},
            {"texts": ["a", "b"], **FOR_SEARCH, "output_dimension": 512},
        ),
        (OLD_COHERE, {"input": "a"}, {"texts": ["a"], **FOR_SEARCH}),
    ],
)
def test_what_each_maker_is_asked(model: str, members: dict[str, Any], body: dict[str, Any]) -> None:
    assert sent(model, **members) == body
    request = {"model": "e", **members}
    assert DIRECTION.unsupported(request, Target("aws", model)) == ()
    assert (
        DIRECTION.request(request, Target("aws", "eu.cohere.embed-v4:0")).path
        == "/model/eu.cohere.embed-v4%3A0/invoke"
    )


@pytest.mark.parametrize(
    ("model", "members", "named"),
    [
        (TITAN, {"input": ["a", "b"]}, ("input",)),
        (OLD_TITAN, {"input": "a", "dimensions": 256}, ("dimensions",)),
        (OLD_COHERE, {"input": "a", "dimensions": 256}, ("dimensions",)),
        (COHERE, {"input": ["a"] * 97}, ("input",)),
        (COHERE, {"input": [1, 2], "task": "x"}, ("task", "input")),
        ("amazon.nova-pro-v1:0", {"input": "a"}, ("model",)),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", {"input": "a"}, ("model",)),
    ],
)
def test_what_has_no_place_is_named(model: str, members: dict[str, Any], named: tuple[str, ...]) -> None:
    assert DIRECTION.unsupported({"model": "e", **members}, Target("aws", model)) == named


@pytest.mark.parametrize("model", [TITAN, "amazon.nova-pro-v1:0"])
def test_nothing_that_can_be_asked_is_a_refusal(model: str) -> None:
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request({"model": "e", "input": [[1], [2]]}, Target("aws", model))
    assert refused.value.param == "input"


def test_who_it_is_for_is_left_out() -> None:
    body = {"model": "e", "input": "x", "user": "u", "dimensions": None}
    assert DIRECTION.unsupported(body, Target("aws", TITAN)) == ()
    assert DIRECTION.request(body, Target("aws", TITAN)).dropped == ("user",)


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
        DIRECTION.request(body, Target("aws", COHERE))
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("model", "answer", "vectors", "prompt"),
    [
        (TITAN, {"embedding": [0.5, -1], "inputTextTokenCount": 3}, [[0.5, -1]], 3),
        (TITAN, {"embedding": [0.5, -1]}, [[0.5, -1]], None),
        (COHERE, {"embeddings": {"float": [[1], [2]]}, "response_type": "embeddings_by_type"}, [[1], [2]], 7),
        (OLD_COHERE, {"embeddings": [[1], [2]], "texts": ["a", "b"]}, [[1], [2]], 7),
    ],
)
def test_the_vectors(model: str, answer: Any, vectors: Any, prompt: int | None) -> None:
    """Cohere's tokens are counted in the head of the answer."""
    known = replace(KNOWN, model=model, input_tokens=7)
    made = DIRECTION.whole(json.dumps(answer).encode(), known)
    assert isinstance(made, bytes)
    found = json.loads(made)
    assert [(row["index"], row["embedding"]) for row in found["data"]] == list(enumerate(vectors))
    assert found["usage"] == (prompt and {"prompt_tokens": prompt, "total_tokens": prompt})
    assert found["model"] == model
    coded = DIRECTION.whole(
        json.dumps({"embedding": [0.5, -1]}).encode(), replace(known, model=TITAN, as_base64=True)
    )
    assert isinstance(coded, bytes)
    assert json.loads(coded)["data"][0]["embedding"] == "AAAAPwAAgL8="


@given(
    st.binary(max_size=200)
    | st.sampled_from([b"{}", b'{"embeddings":[]}', b'{"embeddings":{}}', b'{"embedding":["x"]}']),
    st.sampled_from([TITAN, COHERE]),
)
def test_no_body_makes_it_fall_over(body: bytes, model: str) -> None:
    made = DIRECTION.whole(body, replace(KNOWN, model=model))
    assert isinstance(made, Failure)
    assert made.kind == "malformed"


def test_an_error_with_status_200() -> None:
    made = DIRECTION.whole(b'{"__type":"ThrottlingException","message":"m"}', replace(KNOWN, model=COHERE))
    assert isinstance(made, Failure)
    assert (made.kind, made.status) == ("rate_limit", 429)
