"""What depends on the model, what a client's mistake is, and what must hold for any request at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.refusal import BadRequest
from extproc.translate.direction import Target
from extproc.translate.openai_cohere import OpenAIToCohere

DIRECTION = OpenAIToCohere()
HELLO = {"role": "user", "content": "Hello"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
TOOL = {"type": "function", "function": {"name": "f"}}


def body(*messages: Any, **members: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": [HELLO, *messages], **members}


def sent(model: str, **members: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DIRECTION.request(body(**members), Target("cohere", model)).body)
    return found


# What a model takes of thinking, pictures and a choice of tools.
MODELS = {
    "command-a-plus-05-2026": (True, True, True),
    "command-a-reasoning-08-2025": (True, False, True),
    "command-a-vision-07-2025": (False, True, True),
    "command-a-03-2025": (False, False, True),
    "command-a-translate-08-2025": (False, False, True),
    "command-r7b-12-2024": (False, False, True),
    "command-r-plus-08-2024": (False, False, False),
    "command-r": (False, False, False),
    "c4ai-aya-expanse-32b": (False, False, False),
    "c4ai-aya-vision-32b": (False, True, False),
    "of-another-maker": (True, True, True),
}


@pytest.mark.parametrize(("model", "takes"), MODELS.items(), ids=MODELS)
def test_what_a_model_takes(model: str, takes: tuple[bool, bool, bool]) -> None:
    asked = body({"role": "user", "content": [PICTURE]}, reasoning_effort="low", tools=[TOOL], tool_choice="required")
    names = ("reasoning_effort", "messages[1].content[0].type", "tool_choice")
    unsupported = DIRECTION.unsupported(asked, Target("cohere", model))
    assert tuple(name not in unsupported for name in names) == takes


EFFORTS: dict[tuple[str, int | None], dict[str, Any]] = {
    ("none", None): {"type": "disabled"},
    ("minimal", None): {"type": "enabled", "token_budget": 1024},
    ("low", 4000): {"type": "enabled", "token_budget": 2000},
    ("medium", 100): {"type": "enabled", "token_budget": 512},
    ("high", 4000): {"type": "enabled"},
    ("xhigh", None): {"type": "enabled"},
}


@pytest.mark.parametrize(("asked", "said"), EFFORTS.items(), ids=str)
def test_how_much_it_thinks(asked: tuple[str, int | None], said: dict[str, Any]) -> None:
    effort, limit = asked
    assert sent("command-a-plus", reasoning_effort=effort, max_tokens=limit)["thinking"] == said


@pytest.mark.parametrize(("given", "p"), [(0, 0.01), (0.001, 0.01), (0.5, 0.5), (0.995, 0.99), (1, 0.99)])
def test_a_share_of_all_that_is_likely_is_as_near_as_can_be(given: float, p: float) -> None:
    assert sent("m", top_p=given)["p"] == p
    assert DIRECTION.unsupported(body(top_p=given)) == ()


@pytest.mark.parametrize(
    ("given", "most", "told", "lowered"),
    [({}, 50, None, None), ({"max_tokens": 60}, 50, 50, 50), ({"max_tokens": 40}, 50, 40, None)],
)
def test_the_limit_of_the_answer(given: dict[str, int], most: int, told: int | None, lowered: int | None) -> None:
    made = DIRECTION.request(body(**given), Target("cohere", "m", max_output_tokens=most))
    assert json.loads(made.body).get("max_tokens") == told
    assert made.max_tokens == lowered


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
    "reasoning that is no text": (
        body({"role": "assistant", "content": "x", "reasoning_content": 5}),
        "messages[1].reasoning_content",
    ),
    "a temperature of 3": (body(temperature=3), "temperature"),
    "a seed of text": (body(seed="x"), "seed"),
    "no answers": (body(n=0), "n"),
    "a penalty of 3": (body(presence_penalty=3), "presence_penalty"),
    "a tool without tools": (body(tool_choice="required"), "tool_choice"),
    "a tool without a name": (body(tools=[{"type": "function", "function": {}}]), "tools[0].function.name"),
    "an unknown choice": (body(tool_choice="maybe"), "tool_choice"),
    "an unknown effort": (body(reasoning_effort="some"), "reasoning_effort"),
    "an unknown format": (body(response_format={"type": "xml"}), "response_format.type"),
    "half a surrogate pair": (body({"role": "user", "content": "\ud83d"}), None),
}


@pytest.mark.parametrize(("request_body", "param"), MISTAKES.values(), ids=MISTAKES)
def test_a_clients_mistake_is_named(request_body: dict[str, Any], param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request(request_body, Target("cohere", "x"))
    assert refused.value.param == param


def test_a_result_belongs_to_the_newest_call_of_its_id() -> None:
    turn = [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c", "content": "1"}]
    third = [{"role": "assistant", "tool_calls": [{**CALL, "id": "c_2"}]}]
    made = json.loads(DIRECTION.request(body(*turn, *turn, *third), Target("cohere", "x")).body)
    calls = [call["id"] for message in made["messages"] for call in message.get("tool_calls", ())]
    results = [message["tool_call_id"] for message in made["messages"] if message["role"] == "tool"]
    assert (calls, results) == (["c", "c_2", "c_2_2"], ["c", "c_2"])


IN_REQUESTS = """
role content type text image_url url file input_audio data format tool_calls function_call function name arguments id
extra_content tools tool_choice functions response_format json_schema schema properties items anyOf allOf const enum
required $ref definitions stop temperature top_p max_tokens n seed logprobs top_logprobs frequency_penalty
reasoning_effort reasoning_content thinking_blocks user service_tier stream stream_options cache_control parameters
strict refusal detail tool_call_id
"""
AS_VALUES = "user assistant tool system function text image_url object low none auto required json_schema string"

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
    for model in ("command-a-plus", "command-r", "x"):
        target = Target("cohere", model)
        try:
            made = DIRECTION.request(request, target)
        except BadRequest:
            continue
        assert json.loads(made.body)["messages"]
        unsupported = DIRECTION.unsupported(request, target)
        assert made.dropped[: len(unsupported)] == unsupported
