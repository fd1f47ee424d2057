"""Rankings on Cohere: every golden folder, what has no place, what is a mistake, and answers that are none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.refusal import BadRequest
from extproc.translate.cohere_errors import failure_of
from extproc.translate.direction import Target
from extproc.translate.failure import Failure
from extproc.translate.openai_cohere import RerankToCohere
from tests.translate.cohere_requests import Ranking, Rerank
from tests.translate.golden import KNOWN, Case, cases

DIRECTION = RerankToCohere()
TARGET = Target("cohere", "rerank-v4.0-fast")


@pytest.mark.parametrize("case", cases("rerank_cohere", "request.provider.json"), ids=str)
def test_a_request_becomes_the_providers(case: Case) -> None:
    body = case.json("request.client.json")
    made = DIRECTION.request(body, case.target)
    assert json.loads(made.body) == case.json("request.provider.json")
    assert (made.path, made.headers, made.dropped) == ("/rerank", (), case.dropped)
    assert DIRECTION.unsupported(body, case.target) == case.dropped
    Rerank.model_validate_json(made.body)


@pytest.mark.parametrize("case", cases("rerank_cohere", "answer.provider.json"), ids=str)
def test_an_answer_becomes_the_clients(case: Case) -> None:
    made = DIRECTION.whole(case.read("answer.provider.json"), KNOWN)
    if isinstance(made, bytes):
        assert json.loads(made) == case.json("answer.client.json")
        Ranking.model_validate_json(made)
    else:
        assert made == case.failure


@pytest.mark.parametrize("case", cases("rerank_cohere", "error.provider.json"), ids=str)
def test_an_error(case: Case) -> None:
    error = case.json("error.provider.json")
    assert failure_of(error["status"], json.dumps(error["body"]).encode(), "provider") == case.failure


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"documents": ["a", {"image": "https://example.com/a.png"}, {"text": "b", "title": "t"}]}, "documents[1]"),
        ({"query": {"image": "data:,"}}, "query"),
    ],
)
def test_what_is_no_text_is_for_another_target(members: dict[str, Any], name: str) -> None:
    """Without one it is refused, whatever may be dropped: numbers in the answer would be those of others."""
    body = {"query": "q", "documents": ["a"], **members}
    assert DIRECTION.unsupported(body, TARGET)[0] == name
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request(body, TARGET)
    assert refused.value.param == name


MISTAKES = [
    ({"documents": {"a": 1}}, "documents"),
    ({"documents": ["a", 5]}, "documents[1]"),
    ({"documents": [{"text": 5}]}, "documents[0].text"),
    ({"query": 5}, "query"),
    ({"top_n": 0}, "top_n"),
    ({"max_tokens_per_doc": "many"}, "max_tokens_per_doc"),
    ({"priority": 1000}, "priority"),
    ({"priority": "high"}, "priority"),
    ({"query": "\ud83d"}, None),
]


@pytest.mark.parametrize(("members", "param"), MISTAKES)
def test_a_clients_mistake_is_named(members: dict[str, Any], param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request({"query": "q", "documents": ["a"], **members}, TARGET)
    assert refused.value.param == param


NO_ANSWERS = [
    b"{}",
    b'{"results":null}',
    b'{"results":[{"index":0}]}',
    b'{"results":[{"index":-1,"relevance_score":1}]}',
    b'{"results":[{"index":0.5,"relevance_score":1}]}',
    b'{"results":[{"index":0,"relevance_score":"1"}]}',
    b'{"results":[],"meta":{"billed_units":{"search_units":-1}}}',
    b'{"results":[],"meta":{"billed_units":{"search_units":1e400}}}',
]


@given(st.binary(max_size=200) | st.sampled_from(NO_ANSWERS))
def test_no_body_makes_it_fall_over(body: bytes) -> None:
    made = DIRECTION.whole(body, KNOWN)
    assert isinstance(made, Failure)
    assert made.kind == "malformed"
