import json
from typing import Any

import pytest
from anthropic.types import MessageTokensCount
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.refusal import BadRequest
from extproc.translate.anthropic_openai import AnthropicToOpenAI
from extproc.translate.anthropic_openai.count import count_answer, uncounted
from tests.translate.golden import TARGET
from tests.translate.message_bodies import ANY_JSON, MESSAGE_BODIES
from tests.translate.openai_requests import checked_openai

DIRECTION = AnthropicToOpenAI()
HI = {"role": "user", "content": "Hi"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def asked(**members: Any) -> dict[str, Any]:
    return {"model": "chat", "max_tokens": 9, "messages": [HI], **members}


def said(*blocks: Any, role: str = "user") -> dict[str, Any]:
    return asked(messages=[{"role": role, "content": list(blocks)}])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"messages": [HI], "max_tokens": 9}, "Missing required parameter: 'model'."),
        ({"model": "chat", "max_tokens": 9}, "Missing required parameter: 'messages'."),
        ({"model": "chat", "messages": [HI]}, "Missing required parameter: 'max_tokens'."),
        (asked(max_tokens="9"), "Invalid type for 'max_tokens': expected an integer, found a string."),
        (
            asked(max_tokens=-1),
            "Invalid value for 'max_tokens': expected a number that is not negative, found '-1'.",
        ),
        (asked(messages=[]), "The parameter 'messages' is an empty array; at least one message is needed."),
        (asked(messages=["Hi"]), "Invalid type for 'messages[0]': expected an object, found a string."),
        (asked(messages=[HI, {"role": "user"}]), "Missing required parameter: 'messages[1].content'."),
        (
            asked(messages=[{"role": "tool", "content": "x"}]),
            "Invalid value for 'messages[0].role': expected 'user', 'assistant' or 'system', found 'tool'.",
        ),
        (
            asked(messages=[{"role": "user", "content": None}]),
            "Invalid type for 'messages[0].content': expected a string or an array, found null.",
        ),
        (
            said("Hi"),
            "Invalid type for 'messages[0].content[0]': expected an object, found a string.",
        ),
        (said({"text": "Hi"}), "Missing required parameter: 'messages[0].content[0].type'."),
        (said({"type": "text"}), "Missing required parameter: 'messages[0].content[0].text'."),
        (
            said({"type": "tool_use", "id": "a", "name": "f", "input": {}}),
            (
                "Invalid value for 'messages[0].content[0].type': expected 'text', 'image', 'document', "
                "'search_result' or 'tool_result', found 'tool_use'."
            ),
        ),
        (
            said({"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": ""}}),
            (
                "Invalid value for 'messages[0].content[0].source.media_type': expected 'image/jpeg', 'image/png', "
                "'image/gif' or 'image/webp', found 'image/bmp'."
            ),
        ),
        (
            said({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "image", "source": {}}]}),
            "Missing required parameter: 'messages[0].content[0].content[0].source.type'.",
        ),
        (
            said({"type": "tool_use", "id": "a", "name": "f", "input": "{}"}, role="assistant"),
            "Invalid type for 'messages[0].content[0].input': expected an object, found a string.",
        ),
        (asked(system=[{"type": "text", "text": 1}]), "Invalid type for 'system[0].text': expected a string, found "),
        (asked(tools=[{"name": "f"}]), "Missing required parameter: 'tools[0].input_schema'."),
        (
            asked(tool_choice={"type": "required"}, tools=[TOOL]),
            "Invalid value for 'tool_choice.type': expected 'auto', 'any', 'tool' or 'none', found 'required'.",
        ),
        (
            asked(tool_choice={"type": "any"}),
            "Invalid value for 'tool_choice.type': expected 'auto' or 'none', as there are no 'tools', found 'any'.",
        ),
        (
            asked(tool_choice={"type": "tool", "name": "g"}, tools=[TOOL]),
            "Invalid value for 'tool_choice.name': expected the name of one of the 'tools', found 'g'.",
        ),
        (asked(thinking={"type": "enabled"}), "Missing required parameter: 'thinking.budget_tokens'."),
        (
            asked(output_config={"effort": "extreme"}),
            (
                "Invalid value for 'output_config.effort': expected 'low', 'medium', 'high', 'xhigh' or 'max', found "
                "'extreme'."
            ),
        ),
        (
            asked(stop_sequences=["a", 1]),
            "Invalid type for 'stop_sequences[1]': expected a string, found an integer.",
        ),
        (asked(service_tier="flex"), "Invalid value for 'service_tier': expected 'auto' or 'standard_only', found "),
    ],
)
def test_a_malformed_request_is_refused_with_what_was_found_and_what_is_allowed(
    body: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        DIRECTION.unsupported(body)
    assert refused.value.message.startswith(message)
    assert refused.value.param
    assert f"'{refused.value.param}'" in message


@pytest.mark.parametrize(
    "members",
    [
        {"top_k": None, "container": None, "inference_geo": None, "thinking": None, "tools": None, "system": None},
        {"mcp_servers": [], "context_management": {"edits": []}, "speed": "standard", "service_tier": "auto"},
        {"tools": [{**TOOL, "defer_loading": False, "allowed_callers": ["direct"], "input_examples": []}]},
        {"output_config": {"effort": None, "format": None}, "metadata": {"user_id": None}},
    ],
)
def test_what_asks_for_nothing_is_not_unsupported(members: dict[str, Any]) -> None:
    made = DIRECTION.request(asked(**members), TARGET)
    assert made.dropped == ()
    assert json.loads(made.body).keys() <= {"model", "messages", "max_completion_tokens", "tools"}


def test_cache_hints_are_named_and_never_a_reason_to_refuse() -> None:
    hint = {"type": "ephemeral"}
    body = asked(
        cache_control=hint,
        system=[{"type": "text", "text": "Be kind.", "cache_control": hint}],
        tools=[{**TOOL, "cache_control": hint, "eager_input_streaming": True}],
    )
    assert DIRECTION.unsupported(body) == ()
    assert DIRECTION.request(body, TARGET).dropped == ("cache_control", "eager_input_streaming")


def test_a_name_of_the_clients_making_is_no_header_of_its_making() -> None:
    name = "a\r\nset-cookie: b,ä" + "c" * 100
    assert DIRECTION.unsupported(asked(**{name: 1})) == ("a??set-cookie??b??" + "c" * 46,)


def test_a_choice_among_tools_that_are_dropped_is_dropped_too() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    body = asked(tools=[search], tool_choice={"type": "any"})
    assert DIRECTION.unsupported(body) == ("tools[0].type", "tool_choice.type")
    assert json.loads(DIRECTION.request(body, TARGET).body).keys() == {"model", "messages", "max_completion_tokens"}


def test_what_json_can_spell_and_utf_8_cannot_is_carried_over() -> None:
    made = DIRECTION.request(
        json.loads(r'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"\ud83d"}]}'), TARGET
    )
    assert json.loads(made.body)["messages"][0]["content"] == "\ud83d"


def test_a_count_has_the_same_rules_but_needs_no_max_tokens() -> None:
    body = {"model": "chat", "messages": [HI, {"role": "assistant", "content": "H"}]}
    assert uncounted(body) == ()
    assert uncounted({**body, "tools": [{"type": "bash_20250124", "name": "bash"}]}) == ("tools[0].type",)
    with pytest.raises(BadRequest):
        uncounted({**body, "system": 1})
    assert MessageTokensCount.model_validate_json(count_answer(12)).input_tokens == 12


@settings(max_examples=400, deadline=None)
@given(MESSAGE_BODIES)
def test_any_request_is_refused_or_becomes_one_that_openai_knows(body: dict[str, Any]) -> None:
    try:
        unsupported = DIRECTION.unsupported(body)
    except BadRequest:
        with pytest.raises(BadRequest):
            DIRECTION.request(body, TARGET)
        return
    made = DIRECTION.request(body, TARGET)
    assert made.dropped[: len(unsupported)] == unsupported
    translated = json.loads(made.body)
    assert checked_openai(translated) == translated


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(list(asked(system=1, tools=1, thinking=1))), ANY_JSON, max_size=6))
def test_any_json_object_is_refused_or_translated(body: dict[str, Any]) -> None:
    try:
        made = DIRECTION.request(body, TARGET)
    except BadRequest:
        return
    assert json.loads(made.body)["model"] == TARGET.model
