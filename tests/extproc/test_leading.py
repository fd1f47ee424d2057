"""What of a prompt says where it goes: the same for all turns of a conversation, whatever its client's API."""

import json
from typing import Any

import pytest

from extproc.document import Document
from extproc.leading import FIRST_CHARS, SYSTEM_CHARS, leading_of
from extproc.surface import Surface
from extproc.surfaces import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES

SYSTEM = "You are terse. " * 20
TURN = {"role": "user", "content": "What is a weir?"}
MORE = [{"role": "assistant", "content": "A low dam."}, {"role": "user", "content": "And a sluice?"}]


def leading(surface: Surface, **members: Any) -> str | None:
    return leading_of(surface, Document(json.dumps({"model": "m", **members}).encode()))


@pytest.mark.parametrize("role", ["system", "developer"])
def test_turns_of_a_chat_begin_alike(role: str) -> None:
    system = {"role": role, "content": SYSTEM}
    first = leading(CHAT, messages=[system, TURN])
    assert first == leading(CHAT, messages=[system, TURN, *MORE], temperature=1, stream=True)
    assert first != leading(CHAT, messages=[system, {"role": "user", "content": "What is a lock?"}])
    assert first != leading(CHAT, messages=[{"role": role, "content": "You are verbose."}, TURN])
    assert first != leading(CHAT, messages=[TURN])


def test_it_is_the_same_in_parts_and_in_other_apis() -> None:
    parts = [{"type": "text", "text": TURN["content"]}]
    first = leading(CHAT, messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": parts}])
    assert first == leading(CHAT, messages=[{"role": "system", "content": SYSTEM}, TURN])
    blocks = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]
    assert first == leading(MESSAGES, system=SYSTEM, messages=[TURN, *MORE])
    assert first == leading(MESSAGES, system=blocks, messages=[TURN])
    assert first == leading(RESPONSES, instructions=SYSTEM, input=TURN["content"])
    said = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": TURN["content"]}]}]
    assert first == leading(RESPONSES, instructions=SYSTEM, input=[*said, *MORE])


def test_questions_about_one_document_begin_alike() -> None:
    document = "A long report. " * 1000
    one, other = ({"role": "user", "content": f"{document}{question}"} for question in ("Who?", "Why?"))
    assert leading(CHAT, messages=[one]) == leading(CHAT, messages=[other])
    assert leading(COMPLETIONS, prompt=one["content"]) == leading(COMPLETIONS, prompt=[other["content"], "x"])
    assert leading(COMPLETIONS, prompt=list(range(900))) == leading(COMPLETIONS, prompt=[[*range(300), 7], [1]])


def test_a_long_system_prompt_does_not_hide_the_first_message() -> None:
    system = {"role": "system", "content": "x" * 3 * SYSTEM_CHARS}
    other = {"role": "user", "content": "What is a lock?"}
    assert leading(CHAT, messages=[system, TURN]) != leading(CHAT, messages=[system, other])
    assert leading(CHAT, messages=[system] * 5 + [TURN]) != leading(CHAT, messages=[system] * 5 + [other])


def test_pictures_are_told_apart_by_their_ends() -> None:
    def asked(end: str) -> str | None:
        url = f"data:image/png;base64,{'A' * 5000}{end}"
        parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is it?"}]
        return leading(CHAT, messages=[{"role": "user", "content": parts}])

    assert asked("one") == asked("one") != asked("two")
    anthropic = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    responses = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    assert leading(MESSAGES, messages=[{"role": "user", "content": [anthropic]}]) == "\0AAAA"
    assert "AAAA" in (leading(RESPONSES, input=[{"role": "user", "content": [responses]}]) or "")


def test_nothing_goes_on_from_what_is_embedded() -> None:
    assert leading(EMBEDDINGS, input="text") is None


@pytest.mark.parametrize(
    "members",
    [
        {"messages": []},
        {"messages": [None]},
        {"messages": [7, {"role": "user"}]},
        {"messages": [{"role": ["system"], "content": {"text": 1}}]},
        {"messages": [{"content": [None, 1, "x", {"text": 5}, {"image_url": 5}, {"image_url": {"url": {}}}]}]},
        {"messages": [{"role": "system"}] * 100},
        {"messages": {"role": "user"}},
    ],
)
def test_whatever_clients_write_has_a_beginning(members: dict[str, Any]) -> None:
    assert leading(CHAT, **members) is not None
    assert leading(MESSAGES, system=[[]], **members) is not None
    assert leading(RESPONSES, instructions={}, input=members["messages"]) is not None
    assert leading(COMPLETIONS, prompt=members["messages"]) is not None


def test_it_is_short_whatever_the_body() -> None:
    parts = [{"type": "text", "text": "x" * 100_000}] * 3
    for messages in ([{"role": "system", "content": parts}] * 3, [{"role": "user", "content": parts}] * 3):
        found = leading(CHAT, messages=messages)
        assert found
        assert len(found) <= SYSTEM_CHARS + FIRST_CHARS + 1
