"""What Gemini is asked, and what we take for its answers, by the types of Google's own SDK."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.translate.direction import Target
from extproc.translate.openai_gemini import OpenAIToGemini
from tests.translate.chat_bodies import chat_bodies
from tests.translate.golden import Case, cases
from tests.translate.google_requests import answered_by_gemini, checked_gemini
from tests.translate.openai_requests import checked_openai

DIRECTION = OpenAIToGemini()
MODELS = st.sampled_from(
    ["gemini-2.0-flash", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemini-3.8-flash", "x"]
)

# What the SDK's types do not know, and drop with a warning.
NEW = ("stop_unknown", "unknown_members")


@pytest.mark.parametrize("case", cases("openai_gemini", "request.provider.json"), ids=str)
def test_a_provider_request_is_one_to_its_own_sdk(case: Case) -> None:
    checked_gemini(case.json("request.provider.json"))


@settings(deadline=None)
@given(chat_bodies(), MODELS)
def test_any_valid_request_becomes_a_valid_one(body: dict[str, Any], model: str) -> None:
    target = Target("gemini", model, max_output_tokens=4096)
    made = DIRECTION.request(body, target)
    checked_gemini(json.loads(made.body))
    unsupported = DIRECTION.unsupported(body, target)
    assert made.dropped[: len(unsupported)] == unsupported


@settings(deadline=None)
@given(chat_bodies())
def test_the_valid_requests_are_valid(body: dict[str, Any]) -> None:
    """But for what our answers have beyond OpenAI's, which comes back with them."""
    for message in body["messages"]:
        for holder in (message, *message.get("tool_calls", [])):
            for name in ("extra_content", "reasoning_content"):
                holder.pop(name, None)
        if message["role"] == "assistant" and message["content"] is None:
            message["content"] = ""
    said = {name: value for name, value in body.items() if value is not None}
    checked_openai({"stream": False, **said})


ANSWERS = [
    (case, body)
    for case in cases("openai_gemini")
    if str(case) not in NEW and case.has("answer.client.json")
    for body in (
        case.json("answer.provider.json"),
        *(json.loads(event[6:]) for event in case.read("stream.provider.sse").split(b"\r\n\r\n") if event),
    )
]


@pytest.mark.parametrize(("case", "body"), ANSWERS, ids=[str(case) for case, _ in ANSWERS])
def test_the_providers_answer_is_one_to_its_own_sdk(case: Case, body: dict[str, Any]) -> None:
    answer = answered_by_gemini(body)
    assert answer.candidates or answer.prompt_feedback or answer.usage_metadata
