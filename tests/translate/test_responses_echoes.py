"""Conversations that move between targets that have responses and those that are translated to."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.translate import direction_of
from extproc.translate.direction import Direction, Known, Target
from extproc.translate.responses_openai.echoes import items_for_native
from tests.openai_spec.spec import problems
from tests.translate.golden import cases

KNOWN = Known("3f2a9c1e-8b1d-4c55-9d0a-0123456789ab", 1_767_225_600)
FOLDERS = ("responses_openai", "responses_anthropic", "responses_gemini")
OPENAIS = {
    "type": "reasoning",
    "id": "rs_68af4030baa48193b0b43b4c2a176a1a0e6967589f080e78",
    "summary": [{"type": "summary_text", "text": "Hm"}],
    "encrypted_content": "gAAAAABo",
}


def direction(api: str) -> Direction:
    found = direction_of("responses", api)
    assert found is not None
    return found


def outputs() -> list[tuple[str, list[dict[str, Any]]]]:
    """The output of every translated answer that there is."""
    found = []
    for folder in FOLDERS:
        api = folder.removeprefix("responses_")
        for case in cases(folder, "answer.provider.json"):
            made = direction(api).whole(case.read("answer.provider.json"), KNOWN)
            if isinstance(made, bytes):
                found.append((f"{folder}/{case}", json.loads(made)["output"]))
    return found


OUTPUTS = outputs()


@pytest.mark.parametrize("looks_up", [True, False])
@pytest.mark.parametrize("output", [output for _, output in OUTPUTS], ids=[name for name, _ in OUTPUTS])
def test_every_translated_answer_can_be_sent_to_a_target_with_responses(output: list[Any], looks_up: bool) -> None:
    sent = items_for_native(output, looks_up=looks_up)
    kept = output if sent is None else sent
    text = json.dumps(kept)
    assert '"rs_' not in text
    assert "headgate1." not in text
    if looks_up:
        assert KNOWN.request_id not in text
    assert [said(item) for item in kept] == [said(item) for item in output if item["type"] != "reasoning"]
    body = {"model": "m", "input": [{"role": "user", "content": "Hello"}, *kept]}
    assert not problems("POST", "/responses", json.dumps(body).encode())


def said(item: dict[str, Any]) -> Any:
    """What a model is shown of an item."""
    if item["type"] != "message":
        return {key: value for key, value in item.items() if key != "id"}
    content = item["content"]
    return (
        content if isinstance(content, str) else "\n".join(part.get("text", part.get("refusal")) for part in content)
    )


def test_they_are_of_every_kind() -> None:
    kinds = {item["type"] for _, output in OUTPUTS for item in output}
    assert kinds == {"reasoning", "message", "function_call", "custom_tool_call"}


def test_what_others_wrote_stays_as_it_is() -> None:
    items = [
        {"role": "user", "content": "Hello"},
        OPENAIS,
        {"type": "message", "id": "msg_68af4033", "role": "assistant", "content": [], "status": "completed"},
        {"type": "function_call", "id": "fc_68af4034", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "id": "rs_9f0c44ae5b3f4f7d8b5c1d2e3f405162", "summary": []},  # vLLM's
        {"type": "item_reference", "id": f"msg_{KNOWN.request_id}_0"},
        "no item",
        None,
    ]
    assert items_for_native(items, looks_up=True) is None
    assert items_for_native(items, looks_up=False) is None


@pytest.mark.parametrize("api", ["openai", "anthropic", "gemini", "bedrock", "cohere"])
def test_a_conversation_of_openais_goes_on_at_a_target_that_is_translated_to(api: str) -> None:
    body = {
        "model": "m",
        "input": [
            {"role": "user", "content": "Hello"},
            OPENAIS,
            {"type": "function_call", "id": "fc_68af4034", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "done"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}],
    }
    made = direction(api).request(body, Target("p", "any-model"))
    assert "input.reasoning" in made.dropped
    assert direction(api).unsupported(body, Target("p", "any-model")) == ()
    assert b"gAAAAABo" not in made.body
    assert b"fc_68af4034" not in made.body
    assert b"done" in made.body


_names = st.sampled_from(
    ["type", "id", "reasoning", f"rs_{KNOWN.request_id}_0", "encrypted_content", "headgate1.", ""]
)
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | _names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
)


@given(st.lists(_json, max_size=3), st.booleans())
def test_any_items_are_left_alone_or_made_fit_for_good(items: list[Any], looks_up: bool) -> None:
    made = items_for_native(items, looks_up=looks_up)
    assert made is None or items_for_native(made, looks_up=looks_up) is None
