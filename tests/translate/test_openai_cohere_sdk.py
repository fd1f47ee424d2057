"""What Cohere is asked, and what we take for its answers, by what its reference says of them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from extproc.translate.direction import Target
from extproc.translate.openai_cohere import EmbeddingsToCohere, OpenAIToCohere
from tests.translate.chat_bodies import chat_bodies
from tests.translate.cohere_requests import Answer, Chat, Embed, Event
from tests.translate.golden import Case, cases

DIRECTION = OpenAIToCohere()
MODELS = st.sampled_from(
    ["command-a-plus-05-2026", "command-a-reasoning-08-2025", "command-a-03-2025", "command-r-plus-08-2024",
     "command-r7b-12-2024", "of-another-maker"]
)  # fmt: skip

# What the reference does not know, and what it does not say how it looks.
NEW = ("stop_unknown", "unknown_members", "usage_without_bill", "error_with_status_200", "error_event")


@pytest.mark.parametrize("case", cases("openai_cohere", "request.provider.json"), ids=str)
def test_a_provider_request_is_one_of_its_reference(case: Case) -> None:
    Chat.model_validate(case.json("request.provider.json"))


@settings(deadline=None)
@given(chat_bodies(), MODELS)
def test_any_valid_request_becomes_a_valid_one(body: dict[str, Any], model: str) -> None:
    target = Target("cohere", model, max_output_tokens=4096)
    made = DIRECTION.request(body, target)
    Chat.model_validate(json.loads(made.body))
    unsupported = DIRECTION.unsupported(body, target)
    assert made.dropped[: len(unsupported)] == unsupported


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"])) | st.lists(st.text("ab"), min_size=1, max_size=96),
    st.none() | st.integers(1, 4096),
    st.none() | st.sampled_from(["float", "base64"]),
)
def test_any_embeddings(given_input: Any, dimensions: int | None, encoding: str | None) -> None:
    body = {"model": "e", "input": given_input, "dimensions": dimensions, "encoding_format": encoding}
    made = json.loads(EmbeddingsToCohere().request(body, Target("cohere", "embed-v4.0")).body)
    Embed.model_validate(made)
    assert made["texts"] == ([given_input] if isinstance(given_input, str) else given_input)


BAD = [
    {"model": "m", "messages": []},
    {"model": "m", "messages": [{"role": "user", "content": "x"}], "top_p": 1},
    {"model": "m", "messages": [{"role": "user", "content": "x"}], "p": 1.0},
    {"model": "m", "messages": [{"role": "user", "content": ""}]},
    {"model": "m", "messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]},
    {"model": "m", "messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "x"}]},
]


@pytest.mark.parametrize("body", BAD)
def test_the_reference_refuses(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Chat.model_validate(body)


def read(case: Case) -> None:
    """Every answer and every event of a case."""
    if case.has("answer.provider.json"):
        Answer.model_validate(case.json("answer.provider.json"))
    if case.has("stream.provider.sse"):
        for event in case.read("stream.provider.sse").split(b"\n\n"):
            line = event.partition(b"data: ")[2]
            if line and not str(case).endswith("in_an_event"):
                Event.model_validate(json.loads(line))


ANSWERS = [
    case
    for case in cases("openai_cohere")
    if str(case) not in NEW and (case.has("answer.provider.json") or case.has("stream.provider.sse"))
]


@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_the_providers_answer_is_one_of_its_reference(case: Case) -> None:
    read(case)
