"""What Bedrock is asked, by botocore's own model of it: any request, what depends on the model, and mistakes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.refusal import BadRequest
from extproc.translate.direction import Target
from extproc.translate.openai_bedrock import OpenAIToBedrock
from tests.translate.bedrock_requests import answered_by_converse, checked_converse
from tests.translate.chat_bodies import chat_bodies
from tests.translate.golden import Case, cases

DIRECTION = OpenAIToBedrock()
ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2c3"
MODELS = ["eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-3-7-sonnet-20250219-v1:0",
          "global.anthropic.claude-opus-4-8", "eu.amazon.nova-pro-v1:0", "us.amazon.nova-2-lite-v1:0",
          "openai.gpt-oss-120b-1:0", "us.openai.gpt-5.6-luna", "eu.meta.llama3-2-3b-instruct-v1:0", ARN]  # fmt: skip
HELLO = {"role": "user", "content": "Hello"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def body(*messages: Any, **members: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": [HELLO, *messages], **members}


@pytest.mark.parametrize("case", cases("openai_bedrock", "request.provider.json"), ids=str)
def test_a_provider_request_is_one_to_botocore(case: Case) -> None:
    made = DIRECTION.request(case.json("request.client.json"), case.target)
    checked_converse(case.json("request.provider.json"), case.target.model, made.path)


@settings(deadline=None, max_examples=200)
@given(chat_bodies(), st.sampled_from(MODELS))
def test_any_valid_request_becomes_a_valid_one(request: dict[str, Any], model: str) -> None:
    target = Target("bedrock", model, max_output_tokens=4096)
    made = DIRECTION.request(request, target)
    checked_converse(json.loads(made.body), model, made.path)
    unsupported = DIRECTION.unsupported(request, target)
    assert made.dropped[: len(unsupported)] == unsupported


@pytest.mark.parametrize(
    "case",
    [case for case in cases("openai_bedrock", "answer.client.json") if str(case) != "unknown_members"],
    ids=str,
)
def test_the_providers_answer_is_one_to_botocore(case: Case) -> None:
    answer = answered_by_converse(case.json("answer.provider.json"))
    assert answer["output"]["message"]["role"] == "assistant"
    assert answer["usage"]["totalTokens"]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("amazon.nova-pro-v1:0", "/model/amazon.nova-pro-v1%3A0"),
        (ARN, f"/model/{ARN.replace(':', '%3A').replace('/', '%2F')}"),
        ("a b?c#d%2F:é", "/model/a%20b%3Fc%23d%252F%3A%C3%A9"),
    ],
)
def test_the_model_is_in_the_path(model: str, path: str) -> None:
    target = Target("bedrock", model)
    assert DIRECTION.request(body(), target).path == f"{path}/converse"
    assert DIRECTION.request(body(stream=True), target).path == f"{path}/converse-stream"


@pytest.mark.parametrize(
    ("given", "most", "sent", "lowered"),
    [
        ({}, None, None, None),
        ({}, 50, None, None),
        ({"max_tokens": 60}, 50, 50, 50),
        ({"max_tokens": 40, "max_completion_tokens": 60}, 50, 40, None),
    ],
)
def test_the_limit_of_the_answer(
    given: dict[str, int], most: int | None, sent: int | None, lowered: int | None
) -> None:
    made = DIRECTION.request(body(**given), Target("bedrock", ARN, max_output_tokens=most))
    assert json.loads(made.body).get("inferenceConfig", {}).get("maxTokens") == sent
    assert made.max_tokens == lowered


MISTAKES: dict[str, tuple[dict[str, Any], str | None]] = {
    "no messages": ({"messages": None}, "messages"),
    "nothing said": ({"messages": [{"role": "user", "content": " "}]}, "messages"),
    "no content": ({"messages": [{"role": "user"}]}, "messages[0].content"),
    "an unknown role": ({"messages": [{"role": "model", "content": "x"}]}, "messages[0].role"),
    "a function's result of nothing": (body({"role": "function", "name": "f", "content": "x"}), "messages[1].name"),
    "a call without an id": (
        body({"role": "assistant", "tool_calls": [{**CALL, "id": ""}]}),
        "messages[1].tool_calls[0].id",
    ),
    "a picture from nowhere": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "cat.png"}}]}]},
        "messages[0].content[0].image_url.url",
    ),
    "thinking of another kind": (
        body({"role": "assistant", "content": "x", "thinking_blocks": [{"type": "x"}]}),
        "messages[1].thinking_blocks[0].type",
    ),
    "a hint that is none": (body({"role": "user", "content": "x", "cache_control": 5}), "messages[1].cache_control"),
    "a temperature of 3": (body(temperature=3), "temperature"),
    "a tool without tools": (body(tool_choice="required"), "tool_choice"),
    "an unknown choice": (body(tool_choice="maybe"), "tool_choice"),
    "an unknown effort": (body(reasoning_effort="some"), "reasoning_effort"),
    "an unknown format": (body(response_format={"type": "xml"}), "response_format.type"),
    "metadata that is none": (body(metadata=["a"]), "metadata"),
    "half a surrogate pair": (body({"role": "user", "content": "\ud83d"}), None),
}


@pytest.mark.parametrize(("request_body", "param"), MISTAKES.values(), ids=MISTAKES)
def test_a_clients_mistake_is_named(request_body: dict[str, Any], param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request(request_body, Target("bedrock", MODELS[0]))
    assert refused.value.param == param


def test_a_message_of_nothing_that_has_a_place_passes_the_target_over() -> None:
    """It is no mistake of the client's: another target may take it."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    request = {"messages": [{"role": "user", "content": [image]}]}
    named = ("messages[0].content[0].image_url.url",)
    assert DIRECTION.unsupported(request, Target("bedrock", ARN)) == named
    with pytest.raises(BadRequest) as refused:
        DIRECTION.request(request, Target("bedrock", ARN))
    assert refused.value.param == "messages"


def test_thinking_goes_back_to_where_it_stood_whatever_is_cached() -> None:
    thoughts = [
        {"type": "thinking", "thinking": "a", "signature": "A"},
        {"type": "thinking", "thinking": "b", "signature": "B", "position": 2},
    ]
    parts = [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]
    answer = {"role": "assistant", "content": parts, "tool_calls": [CALL], "thinking_blocks": thoughts}
    made = json.loads(DIRECTION.request(body(answer, HELLO), Target("bedrock", MODELS[0])).body)
    kinds = [next(iter(block)) for block in made["messages"][1]["content"]]
    assert [kind for kind in kinds if kind != "cachePoint"] == [
        "reasoningContent",
        "text",
        "reasoningContent",
        "toolUse",
    ]


IN_REQUESTS = """
role content type text image_url url file file_data file_id filename input_audio data format tool_calls function_call
function name arguments id thinking_blocks thinking signature position tools tool_choice functions response_format
json_schema schema properties items anyOf stop temperature top_p max_tokens n seed metadata citations enabled
reasoning_effort user service_tier stream stream_options cache_control prompt_cache_breakpoint ttl parameters strict
"""
AS_VALUES = "user assistant tool system function text image_url file thinking none auto required json_schema wav 1h"

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
    for model in MODELS:
        target = Target("bedrock", model)
        try:
            made = DIRECTION.request(request, target)
        except BadRequest:
            continue
        assert json.loads(made.body)["messages"]
        unsupported = DIRECTION.unsupported(request, target)
        assert made.dropped[: len(unsupported)] == unsupported
