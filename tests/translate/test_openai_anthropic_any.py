"""What depends on the model, and what must hold for any request at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.refusal import BadRequest
from extproc.translate.direction import Target
from extproc.translate.openai_anthropic import OpenAIToAnthropic

DIRECTION = OpenAIToAnthropic()
HELLO = {"role": "user", "content": "Hello"}


def body(*messages: Any, **members: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": [HELLO, *messages], **members}


WAYS_TO_THINK = {
    "claude-3-7-sonnet-20250219": "enabled",
    "claude-opus-4-20250514": "enabled",
    "claude-opus-4-1@20250805": "enabled",
    "anthropic.claude-haiku-4-5-20251001-v1:0": "enabled",
    "claude-sonnet-4-5": "enabled",
    "claude-opus-4-6": "adaptive",
    "claude-sonnet-4.6": "adaptive",
    "claude-sonnet-5": "adaptive",
    "claude-opus-12": "adaptive",
    "claude-mythos-preview": "adaptive",
    "MiniMax-M2.7": "enabled",
}


@pytest.mark.parametrize(("model", "kind"), WAYS_TO_THINK.items())
def test_a_model_is_told_to_think_in_the_words_of_its_generation(model: str, kind: str) -> None:
    made = json.loads(DIRECTION.request(body(reasoning_effort="high"), Target("claude", model)).body)
    assert made["thinking"]["type"] == kind
    assert made.get("output_config") == ({"effort": "high"} if kind == "adaptive" else None)
    assert made["max_tokens"] > made["thinking"].get("budget_tokens", 0)


@pytest.mark.parametrize(
    ("model", "dropped"),
    [
        ("claude-haiku-4-5", ("top_p",)),
        ("claude-opus-4-7", ("temperature", "top_p")),
        ("claude-fable-5", ("temperature", "top_p")),
        ("some-other-model", ()),
    ],
)
def test_sampling_depends_on_the_model(model: str, dropped: tuple[str, ...]) -> None:
    request = body(temperature=0.2, top_p=0.9)
    assert DIRECTION.request(request, Target("claude", model)).dropped == dropped
    assert DIRECTION.unsupported(request, Target("claude", model)) == dropped
    assert DIRECTION.unsupported(request) == ()  # of no model in particular


IN_REQUESTS = """
role content type text image_url url file file_data file_id filename tool_calls function_call function name
arguments id thinking_blocks thinking signature position tools tool_choice functions response_format
json_schema schema properties items anyOf stop temperature top_p max_tokens reasoning_effort user service_tier
stream stream_options prompt_cache_options cache_control prompt_cache_breakpoint parameters strict refusal
detail
"""
AS_VALUES = (
    "user assistant tool system function text image_url file thinking json_schema low none auto required object"
)

NAMES = st.sampled_from(IN_REQUESTS.split())
WORDS = st.sampled_from(AS_VALUES.split())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2000) | st.floats(allow_nan=False) | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=3))
def test_any_json_is_translated_or_refused(members: dict[str, Any], messages: list[Any]) -> None:
    request = body(*({"role": "assistant", **message} for message in messages)) | members
    for model in ("claude-opus-5-5", "claude-haiku-4-5", "x"):
        target = Target("claude", model)
        try:
            made = DIRECTION.request(request, target)
        except BadRequest:
            continue
        assert json.loads(made.body)["model"] == model
        assert made.dropped == DIRECTION.unsupported(request, target)
