"""What must hold for any request of the Responses API, whatever provider it goes to."""

import json
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParams
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from extproc.refusal import BadRequest
from extproc.translate import direction_of
from extproc.translate.direction import Direction, Known, Target
from tests.translate.chat_bodies import WORD
from tests.translate.google_requests import checked_gemini
from tests.translate.openai_requests import checked_openai, read
from tests.translate.openai_responses import checked_request, checked_response
from tests.translate.response_bodies import response_bodies

ANTHROPIC: TypeAdapter[Any] = TypeAdapter(MessageCreateParams)
SAMPLING = ("temperature", "top_p")  # of older models; the SDK has forgotten them
MODELS = {
    "openai": ("gpt-5",),
    "anthropic": ("claude-haiku-4-5", "claude-opus-4-6", "claude-opus-5-5", "x"),
    "gemini": ("gemini-2.0-flash", "gemini-2.5-pro", "gemini-3.8-flash", "x"),
}
PRESETS = (None, "vllm", "ollama", "mistral", "groq", "deepseek")
ANSWER = {"model": "m", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
slow = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def direction(api: str) -> Direction:
    found = direction_of("responses", api)
    assert found is not None
    return found


def check(api: str, body: dict[str, Any]) -> None:
    if api == "openai":
        assert checked_openai({"stream": False, **body}) == {"stream": False, **body}
    elif api == "anthropic":
        known = {name: value for name, value in body.items() if name not in SAMPLING}
        read(ANTHROPIC.validate_python({"stream": False, **known}, extra="forbid"))
    else:
        checked_gemini(body)


@pytest.mark.parametrize("api", MODELS)
@slow
@given(response_bodies(), st.data())
def test_any_valid_request_becomes_a_valid_one(api: str, body: dict[str, Any], data: st.DataObject) -> None:
    target = Target("provider", data.draw(st.sampled_from(MODELS[api])), max_output_tokens=4096)
    before = json.dumps(body)
    try:
        made = direction(api).request(body, target)
    except BadRequest:  # a conversation of white space alone, of which nothing is left
        return
    check(api, json.loads(made.body))
    unsupported = direction(api).unsupported(body, target)
    assert made.dropped[: len(unsupported)] == unsupported
    assert all(_is_in(name, body) for name in made.dropped), made.dropped
    assert json.dumps(body) == before


def _is_in(name: str, body: dict[str, Any]) -> bool:
    """Whether a name is one of the client's own: a path in the body, or a name without positions."""
    value: Any = body
    for step in name.replace("[", ".[").split("."):
        if step.startswith("["):
            index = int(step[1:-1])
            if not isinstance(value, list) or index >= len(value):
                return False
            value = value[index]
        elif isinstance(value, list):  # without positions, as `input.reasoning` and what a hint is called
            return True
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            return False
    return True


@slow
@given(response_bodies())
def test_the_valid_requests_are_valid(body: dict[str, Any]) -> None:
    checked_request({"stream": False, **without_nulls(body)})


def without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    """Null means absent to the API; the SDK's types say so of some members only."""
    said = {name: item for name, item in value.items() if item is not None}
    return {
        name: without_nulls(item) if name in ("reasoning", "stream_options", "text") else item
        for name, item in said.items()
    }


@slow
@given(response_bodies(), st.sampled_from(PRESETS))
def test_a_response_repeats_any_request_validly(body: dict[str, Any], preset: str | None) -> None:
    made = direction("openai").request(body, Target("provider", "m", preset=preset))
    response = direction("openai").whole(json.dumps(ANSWER).encode(), Known("r", 1, echo=made.echo))
    assert isinstance(response, bytes)
    found = checked_response(response)
    for name in ("instructions", "max_output_tokens", "temperature", "top_p"):
        assert found[name] == body.get(name)
    assert found["metadata"] == (body.get("metadata") or {})
    kept = [tool["name"] for tool in body.get("tools", []) if tool["type"] in ("function", "custom")]
    assert [tool["name"] for tool in found["tools"]] == kept
    assert found["reasoning"]["effort"] == (body.get("reasoning") or {}).get("effort")


IN_REQUESTS = """
type role content text image_url file_id file_data detail call_id name arguments output input summary
encrypted_content tools tool_choice mode include reasoning effort format schema strict top_logprobs metadata
max_output_tokens stream stream_options service_tier prompt_cache_options instructions caller
"""
AS_VALUES = """
message user assistant system input_text output_text input_image refusal function_call function_call_output
custom_tool_call reasoning item_reference function custom allowed_tools auto required json_schema low
"""
NAMES = st.sampled_from(IN_REQUESTS.split())
WORDS = st.sampled_from(AS_VALUES.split())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2000) | st.floats(allow_nan=False) | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=15,
)
ITEMS = st.lists(st.dictionaries(NAMES, VALUES, max_size=5) | VALUES, max_size=3)


@pytest.mark.parametrize("api", MODELS)
@slow
@given(st.dictionaries(NAMES, VALUES, max_size=5), ITEMS | WORD)
def test_any_json_is_translated_or_refused(api: str, members: dict[str, Any], asked: Any) -> None:
    body = {"model": "chat", **members, "input": asked}
    target = Target("provider", MODELS[api][0])
    try:
        made = direction(api).request(body, target)
    except BadRequest:
        return
    assert json.loads(made.body)
    assert isinstance(json.loads(made.echo), dict)
    unsupported = direction(api).unsupported(body, target)
    assert made.dropped[: len(unsupported)] == unsupported
