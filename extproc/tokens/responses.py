"""Responses bodies: instructions, the input's items, tools, the answer's schema. Pure.

What the provider adds of its own (earlier responses, stored prompts and files, what its own tools find) is not in the
body and is not counted. Messages, calls and pictures cost what they do in chat.
"""

from collections.abc import Callable
from typing import Any

from extproc.tokens.pictures import (
    document_tokens,
    picture_size,
    picture_tokens,
    plain_text,
    sound_tokens,
    url_data,
)
from extproc.tokens.tally import Tally
from extproc.tokens.tools import read_tools

_ROLES = frozenset(("system", "developer", "user", "assistant"))  # one token each
_CALL = 3  # around a tool call, and around its output
_CHOSEN = 4  # around the name of a tool that must be used
_SEALED_CHARS = 4  # of encrypted reasoning, for each token


def read_responses(tally: Tally, get: Callable[[str], Any]) -> None:
    """Adds what the model reads of a responses body."""
    tally.add(tally.rule.opening)
    instructions, given = get("instructions"), get("input")
    if instructions:
        tally.add(tally.rule.per_message + 1)
        tally.text(instructions)
    for item in given if isinstance(given, list) else [{"role": "user", "content": given}] if given else []:
        if not tally.plain(item, _ROLES):
            _read_item(tally, item)
    tools = get("tools")
    found = [_tool(tool) for tool in tools] if isinstance(tools, list) else []
    read_tools(tally, found, after_system=bool(instructions))
    if found:
        _read_choice(tally, get("tool_choice"))
    text = get("text")
    answer = text.get("format") if isinstance(text, dict) else None
    if isinstance(answer, dict) and answer.get("schema") is not None:
        tally.text({"name": answer.get("name"), "schema": answer.get("schema")})


def _read_item(tally: Tally, item: Any) -> None:
    kind = item.get("type", "message") if isinstance(item, dict) else None
    read = _ITEMS.get(kind) if isinstance(kind, str) else None
    if read:
        read(tally, item)
    else:
        tally.text(item)


def _read_message(tally: Tally, item: dict[str, Any]) -> None:
    tally.add(tally.rule.per_message)
    role = item.get("role")
    if isinstance(role, str) and role in _ROLES:
        tally.add(1)
    else:
        tally.text(role)
    _read_parts(tally, item.get("content"))


def _read_parts(tally: Tally, content: Any) -> None:
    for part in content if isinstance(content, list) else [content]:
        kind = part.get("type") if isinstance(part, dict) else None
        read = _PARTS.get(kind) if isinstance(kind, str) else None
        if read and isinstance(part, dict):
            read(tally, part)
        else:
            tally.text(part)


def _read_text(tally: Tally, part: dict[str, Any]) -> None:
    tally.text(part.get("text"))


def _read_refusal(tally: Tally, part: dict[str, Any]) -> None:
    tally.text(part.get("refusal"))


def _read_image(tally: Tally, part: dict[str, Any]) -> None:
    given = url_data(part.get("image_url"))
    size = picture_size(given[1]) if given else None
    tally.add(picture_tokens(size, tally.rule, low=part.get("detail") == "low"))


def _read_sound(tally: Tally, part: dict[str, Any]) -> None:
    sound = part.get("input_audio")
    tally.add(sound_tokens(sound.get("data") if isinstance(sound, dict) else sound))


def _read_file(tally: Tally, part: dict[str, Any]) -> None:
    data = part.get("file_data")
    media_type, encoded = url_data(data) or ("", data)
    text = plain_text(media_type, encoded)
    if text is None:
        tally.add(document_tokens(encoded))
    else:
        tally.text(text)


def _read_call(tally: Tally, item: dict[str, Any]) -> None:
    tally.add(_CALL)
    tally.text(item.get("name"))
    tally.text(item.get("arguments") or item.get("input"))


def _read_output(tally: Tally, item: dict[str, Any]) -> None:
    tally.add(_CALL)
    output = item.get("output")
    _read_parts(tally, [output] if isinstance(output, dict) else output)


def _read_reasoning(tally: Tally, item: dict[str, Any]) -> None:
    sealed = item.get("encrypted_content")
    if isinstance(sealed, str):
        tally.add(-(-len(sealed) // _SEALED_CHARS))
        return
    for name in ("summary", "content"):
        _read_parts(tally, item.get(name))


def _read_made_image(tally: Tally, item: dict[str, Any]) -> None:
    tally.add(picture_tokens(picture_size(item.get("result")), tally.rule))


def _read_reference(_tally: Tally, _item: dict[str, Any]) -> None:
    """What it stands for is the provider's."""


_PARTS: dict[str, Callable[[Tally, dict[str, Any]], None]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "summary_text": _read_text,
    "reasoning_text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "computer_screenshot": _read_image,
    "input_file": _read_file,
    "input_audio": _read_sound,
}

_ITEMS: dict[str, Callable[[Tally, dict[str, Any]], None]] = {
    "message": _read_message,
    "function_call": _read_call,
    "custom_tool_call": _read_call,
    "function_call_output": _read_output,
    "custom_tool_call_output": _read_output,
    "computer_call_output": _read_output,
    "reasoning": _read_reasoning,
    "compaction": _read_reasoning,
    "image_generation_call": _read_made_image,
    "item_reference": _read_reference,
}


def _tool(tool: Any) -> tuple[Any, Any, Any]:
    """Name, description and schema; one of the provider's own has a type and settings instead."""
    if not isinstance(tool, dict):
        return tool, None, None
    if "name" not in tool:
        return tool.get("type"), None, tool
    return tool.get("name"), tool.get("description"), tool.get("parameters") or tool.get("format")


def _read_choice(tally: Tally, choice: Any) -> None:
    if choice == "none":
        tally.add(1)
    elif isinstance(choice, dict):
        tally.text(choice.get("name"))
        tally.add(_CHOSEN)
