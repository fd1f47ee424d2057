"""What depends on the model, what a client's mistake is, and what must hold for any request at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.refusal import BadRequest
from extproc.translate.direction import Target
from extproc.translate.openai_anthropic import OpenAIToAnthropic
from extproc.translate.openai_gemini import OpenAIToGemini

DIRECTION = OpenAIToGemini()
HELLO = {"role": "user", "content": "Hello"}


def body(*messages: Any, **members: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": [HELLO, *messages], **members}


def config(model: str, **members: Any) -> dict[str, Any]:
    made = json.loads(DIRECTION.request(body(**members), Target("gemini", model)).body)
    found: dict[str, Any] = made.get("generationConfig", {})
    return found


THINKING = {
    ("gemini-2.0-flash", "high"): None,
    ("models/gemini-2.5-flash", "low"): {"thinkingBudget": 1024},
    ("gemini-2.5-flash-lite-preview-09-2025", "max"): {"thinkingBudget": 24_576},
    ("gemini-2.5-pro", "max"): {"thinkingBudget": 32_768},
    ("gemini-3-pro-preview", "minimal"): {"thinkingLevel": "LOW"},
    ("gemini-3-pro-preview", "medium"): {"thinkingLevel": "HIGH"},
    ("gemini-3.1-pro-preview", "medium"): {"thinkingLevel": "MEDIUM"},
    ("gemini-3-flash-preview", "minimal"): {"thinkingLevel": "MINIMAL"},
    ("gemini-3.5-flash-lite", "minimal"): {"thinkingLevel": "MINIMAL"},
    ("gemini-3.8-flash", "minimal"): {"thinkingLevel": "LOW"},
    ("gemini-flash-latest", "xhigh"): {"thinkingLevel": "HIGH"},
    ("of-another-maker", "low"): {"thinkingLevel": "LOW"},
}


@pytest.mark.parametrize(("asked", "said"), THINKING.items(), ids=[" ".join(asked) for asked in THINKING])
def test_a_model_is_told_to_think_in_the_words_of_its_generation(
    asked: tuple[str, str], said: dict[str, Any] | None
) -> None:
    model, effort = asked
    found = config(model, reasoning_effort=effort).get("thinkingConfig")
    assert found == (said and {"includeThoughts": True, **said})
    unsupported = DIRECTION.unsupported(body(reasoning_effort=effort), Target("gemini", model))
    assert unsupported == (() if said else ("reasoning_effort",))


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "/models/gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "/models/gemini-2.5-flash"),
        ("tunedModels/mine", "/tunedModels/mine"),
        ("a b?c#d:é", "/models/a%20b%3Fc%23d%3A%C3%A9"),
    ],
)
def test_the_model_is_in_the_path(model: str, path: str) -> None:
    target = Target("gemini", model)
    assert DIRECTION.request(body(), target).path == f"{path}:generateContent"
    assert DIRECTION.request(body(stream=True), target).path == f"{path}:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("given", "most", "sent", "lowered"),
    [
        ({}, None, None, None),
        ({}, 50, None, None),
        ({"max_tokens": 60}, 50, 50, 50),
        ({"max_tokens": 40}, 50, 40, None),
    ],
)
def test_the_limit_of_the_answer(
    given: dict[str, int], most: int | None, sent: int | None, lowered: int | None
) -> None:
    made = DIRECTION.request(body(**given), Target("gemini", "gemini-2.5-flash", max_output_tokens=most))
    assert json.loads(made.body).get("generationConfig", {}).get("maxOutputTokens") == sent
    assert made.max_tokens == lowered


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MISTAKES: dict[str, tuple[dict[str, Any], str | None]] = {
    "no messages": ({"messages": None}, "messages"),
    "nothing said": ({"messages": [{"role": "user", "content": ""}]}, "messages"),
    "no content": ({"messages": [{"role": "user"}]}, "messages[0].content"),
    "an unknown role": ({"messages": [{"role": "model", "content": "x"}]}, "messages[0].role"),
    "a result of nothing": (body({"role": "tool", "tool_call_id": "c", "content": "x"}), "messages[1].tool_call_id"),
    "a function's result of nothing": (body({"role": "function", "name": "f", "content": "x"}), "messages[1].name"),
    "a call without an id": (
        body({"role": "assistant", "tool_calls": [{**CALL, "id": ""}]}),
        "messages[1].tool_calls[0].id",
    ),
    "a picture from nowhere": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "cat.png"}}]}]},
        "messages[0].content[0].image_url.url",
    ),
    "a temperature of 3": (body(temperature=3), "temperature"),
    "a seed of text": (body(seed="x"), "seed"),
    "no answers": (body(n=0), "n"),
    "a penalty of 3": (body(presence_penalty=3), "presence_penalty"),
    "21 log probabilities": (body(logprobs=True, top_logprobs=21), "top_logprobs"),
    "a tool without tools": (body(tool_choice="required"), "tool_choice"),
    "an unknown choice": (body(tool_choice="maybe"), "tool_choice"),
    "an unknown effort": (body(reasoning_effort="some"), "reasoning_effort"),
    "an unknown format": (body(response_format={"type": "xml"}), "response_format.type"),
    "half a surrogate pair": (body({"role": "user", "content": "\ud83d"}), None),
}


@pytest.mark.parametrize(("request_body", "param"), MISTAKES.values(), ids=MISTAKES)
def test_a_clients_mistake_is_named(request_body: dict[str, Any], param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request(request_body, Target("gemini", "x"))
    assert refused.value.param == param


def test_ids_that_come_again_in_a_later_turn() -> None:
    """As engines give them that count anew in each answer."""
    first = [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c", "content": "1"}]
    again = {**CALL, "function": {"name": "g", "arguments": "{}"}}
    second = [{"role": "assistant", "tool_calls": [again]}, {"role": "tool", "tool_call_id": "c", "content": "2"}]
    made = json.loads(DIRECTION.request(body(*first, *second), Target("gemini", "x")).body)
    results = [
        (part["functionResponse"]["name"], part["functionResponse"]["response"]["output"])
        for content in made["contents"]
        for part in content["parts"]
        if "functionResponse" in part
    ]
    assert results == [("f", "1"), ("g", "2")]


@pytest.mark.parametrize("extra", [None, 5, {}, {"google": None}, {"google": {"thought_signature": 5}}, {"x": {}}])
def test_extra_content_of_others_says_nothing(extra: Any) -> None:
    message = {"role": "assistant", "content": "Hi", "extra_content": extra}
    request = body(message, {**message, "tool_calls": [{**CALL, "extra_content": extra}]})
    made = DIRECTION.request(request, Target("gemini", "gemini-2.5-flash"))
    assert b"thoughtSignature" not in made.body
    assert made.dropped == ()


def test_a_conversation_with_signatures_goes_on_at_another_provider() -> None:
    extra = {"google": {"thought_signature": "EqQBCqEBAQ=="}}
    answer = {"role": "assistant", "tool_calls": [{**CALL, "extra_content": extra}], "extra_content": extra}
    request = body(answer, {"role": "tool", "tool_call_id": "c", "content": "1"})
    target = Target("claude", "claude-opus-4-6")
    assert OpenAIToAnthropic().unsupported(request, target) == ()
    assert b"EqQB" not in OpenAIToAnthropic().request(request, target).body


IN_REQUESTS = """
role content type text image_url url file file_data file_id filename input_audio data format tool_calls function_call
function name arguments id extra_content google thought_signature tools tool_choice functions response_format
json_schema schema properties items anyOf allOf const enum $ref definitions stop temperature top_p max_tokens n seed
logprobs top_logprobs frequency_penalty reasoning_effort user service_tier stream stream_options cache_control
parameters strict refusal detail
"""
AS_VALUES = "user assistant tool system function text image_url file object low none auto required json_schema wav"

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
    for model in ("gemini-2.0-flash", "gemini-2.5-pro", "gemini-3.8-flash", "x"):
        target = Target("gemini", model)
        try:
            made = DIRECTION.request(request, target)
        except BadRequest:
            continue
        assert json.loads(made.body)["contents"]
        unsupported = DIRECTION.unsupported(request, target)
        assert made.dropped[: len(unsupported)] == unsupported
