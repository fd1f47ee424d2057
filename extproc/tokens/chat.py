"""Chat completions bodies: OpenAI's overhead per message, name, tool and tool call. Pure.

The rule for messages is OpenAI's cookbook's (How to count tokens with tiktoken); the rest is in docs/tokens.md.
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

_ROLES = frozenset(("system", "developer", "user", "assistant", "tool", "function"))  # one token each
_CALL = 3  # around a tool call
_PARALLEL = 13  # once, around several of them
_CHOSEN = 4  # around the name of a tool that must be used


def read_chat(tally: Tally, get: Callable[[str], Any]) -> None:
    """Adds what the model reads of a chat completions body."""
    tally.add(tally.rule.opening)
    messages = get("messages")
    for message in messages if isinstance(messages, list) else [messages]:
        if not tally.plain(message, _ROLES):
            _read_message(tally, message)
    tools = [_tool(tool) for tool in [*_list(get("tools")), *_list(get("functions"))]]
    read_tools(tally, tools, after_system=_has_system(messages))
    if tools:
        _read_choice(tally, get("tool_choice") or get("function_call"))
    _read_format(tally, get("response_format"))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _has_system(messages: Any) -> bool:
    return any(isinstance(message, dict) and message.get("role") == "system" for message in _list(messages))


def _read_message(tally: Tally, message: Any) -> None:
    tally.add(tally.rule.per_message)
    if not isinstance(message, dict):
        tally.text(message)
        return
    for name, value in message.items():
        read = _MEMBERS.get(name)
        if read and value is not None:
            read(tally, value)
    if message.get("name") and message.get("role") == "function" and tally.rule.family == "openai":
        tally.add(-2)  # a function's name takes the place of its role and of what surrounds it


def _read_role(tally: Tally, role: Any) -> None:
    if isinstance(role, str) and role in _ROLES:
        tally.add(1)
    else:
        tally.text(role)


def _read_name(tally: Tally, name: Any) -> None:
    tally.add(1)
    tally.text(name)


def _read_calls(tally: Tally, calls: Any) -> None:
    for call in _list(calls):
        _read_call(tally, (call.get("function") or call.get("custom")) if isinstance(call, dict) else call)
    if len(_list(calls)) > 1:
        tally.add(_PARALLEL)


def _read_call(tally: Tally, call: Any) -> None:
    tally.add(_CALL)
    if isinstance(call, dict):
        tally.text(call.get("name"))
        tally.text(call.get("arguments") or call.get("input"))
    else:
        tally.text(call)


def _read_content(tally: Tally, content: Any) -> None:
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
    image = part.get("image_url")
    url, detail = (image.get("url"), image.get("detail")) if isinstance(image, dict) else (image, None)
    given = url_data(url)
    tally.add(picture_tokens(picture_size(given[1]) if given else None, tally.rule, low=detail == "low"))


def _read_sound(tally: Tally, part: dict[str, Any]) -> None:
    sound = part.get("input_audio")
    tally.add(sound_tokens(sound.get("data") if isinstance(sound, dict) else sound))


def _read_file(tally: Tally, part: dict[str, Any]) -> None:
    file = part.get("file")
    data = file.get("file_data") if isinstance(file, dict) else None
    media_type, encoded = url_data(data) or ("", data)
    text = plain_text(media_type, encoded)
    if text is None:
        tally.add(document_tokens(encoded))
    else:
        tally.text(text)


_PARTS: dict[str, Callable[[Tally, dict[str, Any]], None]] = {
    "text": _read_text,
    "refusal": _read_refusal,
    "image_url": _read_image,
    "input_audio": _read_sound,
    "file": _read_file,
}


_MEMBERS: dict[str, Callable[[Tally, Any], None]] = {
    "role": _read_role,
    "name": _read_name,
    "content": _read_content,
    "refusal": Tally.text,
    "reasoning_content": Tally.text,  # vLLM's, and what others call it
    "reasoning": Tally.text,
    "tool_calls": _read_calls,
    "function_call": _read_call,
}


def _tool(tool: Any) -> tuple[Any, Any, Any]:
    """Name, description and schema of a tool, or of a function in the older form."""
    if not isinstance(tool, dict):
        return tool, None, None
    function = tool.get("function") or tool.get("custom")
    if not isinstance(function, dict):
        function = tool
    return function.get("name"), function.get("description"), function.get("parameters") or function.get("format")


def _read_choice(tally: Tally, choice: Any) -> None:
    if choice == "none":
        tally.add(1)
    elif isinstance(choice, dict):
        function = choice.get("function")
        tally.text(function.get("name") if isinstance(function, dict) else choice.get("name"))
        tally.add(_CHOSEN)


def _read_format(tally: Tally, response_format: Any) -> None:
    """A schema for the answer is shown to the model."""
    if isinstance(response_format, dict):
        tally.text(response_format.get("json_schema"))
