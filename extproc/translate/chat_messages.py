"""Messages of chat completions, before any provider's form of them: which reader each has, its content, its calls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from extproc.refusal import BadRequest
from extproc.translate.walk import Walk, checked_kind, list_of, named, not_one_of, object_of, text_of

Reader = TypeVar("Reader")

_CALL = ("id", "type", "function", "custom", "index", "extra_content")


@dataclass(frozen=True, slots=True)
class Call:
    """A call in an assistant's message; `id` is None for the deprecated `function_call`."""

    id: str | None
    name: str
    text: str  # the arguments, or the input of a custom tool
    is_custom: bool
    holder: dict[str, Any]  # the member of `tool_calls`, with hints and signature
    path: str

    @property
    def input(self) -> Any:
        """What the tool is given as an object, digit for digit. What a model wrote that is no JSON object stays
        readable to the next one: as the text of a member `arguments`."""
        if self.is_custom:
            return {"input": self.text}
        if not self.text.strip():
            return {}
        return msgspec.Raw(self.text.encode()) if is_object(self.text) else {"arguments": self.text}


def reader_of(message: Any, path: str, readers: Mapping[str, Reader]) -> Reader:
    """What reads a message of its role. Raises BadRequest."""
    role = object_of(message, path).get("role")
    reader = readers.get(role) if isinstance(role, str) else None
    if reader is None:
        raise not_one_of(role, f"{path}.role", readers)
    return reader


def content_in(message: dict[str, Any], path: str) -> Any:
    """The content, which there must be. Raises BadRequest."""
    content = message.get("content")
    if content is None:
        raise BadRequest(f"'{path}' has no content.", param=f"{path}.content", code="missing_required_parameter")
    return content


def calls_in(message: dict[str, Any], path: str, walk: Walk, hints: tuple[str, ...]) -> Iterator[Call]:
    """The calls, in their order. `hints` are members that OpenAI's API does not have. Raises BadRequest."""
    calls = message.get("tool_calls")
    for number, call in enumerate([] if calls is None else list_of(calls, f"{path}.tool_calls")):
        here = f"{path}.tool_calls[{number}]"
        kind = checked_kind(object_of(call, here).get("type", "function"), f"{here}.type", ("function", "custom"))
        walk.only(call, (*_CALL, *hints), here)
        call_id = named(call.get("id"), f"{here}.id")
        yield _call(call.get(kind), f"{here}.{kind}", call_id, call, here, walk, is_custom=kind == "custom")
    if (function := message.get("function_call")) is not None:
        here = f"{path}.function_call"
        yield _call(function, here, None, {}, here, walk, is_custom=False)


def answers_nothing(path: str, name: str) -> BadRequest:
    """What to raise for a result of what has not been called."""
    return BadRequest(
        f"'{path}' names '{name[:100]}', which no message before it has called.", param=path, code="invalid_value"
    )


def is_object(text: str) -> bool:
    """Whether it is a JSON object."""
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False


def _call(
    function: Any, path: str, call_id: str | None, holder: dict[str, Any], here: str, walk: Walk, *, is_custom: bool
) -> Call:
    name = named(object_of(function, path).get("name"), f"{path}.name")
    if is_custom:
        text = text_of(function.get("input"), f"{path}.input")
    else:
        walk.only(function, ("name", "arguments", "parsed_arguments"), path)
        text = text_of(function.get("arguments", ""), f"{path}.arguments")
    return Call(call_id, name, text, is_custom, holder, here)
