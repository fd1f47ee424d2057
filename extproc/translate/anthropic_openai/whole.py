"""A whole chat completion as an Anthropic message."""

from typing import Any

import msgspec

from extproc.translate.anthropic_openai.arguments import object_of
from extproc.translate.anthropic_openai.completion import (
    Choice,
    Message,
    ToolCall,
    arguments_of,
    decoded,
    is_error,
    pieces_of,
)
from extproc.translate.anthropic_openai.message import CUT_OFF, broken_off, citations_of, end_of, message_of, spare_id
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_errors import failure_in


def whole_of(body: bytes, known: Known) -> bytes | Failure:
    """The message, or why there is none."""
    completion = decoded(body)
    if completion is None:
        return Failure.of("malformed", "The provider's answer is not a chat completion.")
    if is_error(completion):
        return failure_in(body)
    choice = next((choice for choice in completion.choices or () if not choice.index), None)
    if choice is None or choice.message is None:
        return Failure.of("malformed", "The provider's answer is a chat completion without a message.")
    failure = broken_off(choice.finish_reason or "")
    if failure is not None:
        return failure
    content = _content(choice, choice.message, known)
    if isinstance(content, Failure):
        return content
    calls = bool(choice.message.tool_calls)
    message = message_of(known, completion.model or "", completion.usage)
    message |= end_of(choice.finish_reason, choice.stop_reason, bool(choice.message.refusal), calls)
    return msgspec.json.encode({**message, "content": content})


def _content(choice: Choice, message: Message, known: Known) -> list[dict[str, Any]] | Failure:
    blocks: list[dict[str, Any]] = []
    for kind, text in pieces_of(message):
        if blocks and blocks[-1]["type"] == kind:
            blocks[-1][kind] += text
        else:
            blocks.append({"type": kind, kind: text} | ({"signature": ""} if kind == "thinking" else {}))
    citations = list(citations_of(message))
    if citations:
        if not blocks or blocks[-1]["type"] != "text":
            blocks.append({"type": "text", "text": ""})
        blocks[-1]["citations"] = citations
    for number, call in enumerate(message.tool_calls or ()):
        block = _tool_use(call, spare_id(known.request_id, number), choice.finish_reason in CUT_OFF)
        if isinstance(block, Failure):
            return block
        blocks.append(block)
    return blocks


def _tool_use(call: ToolCall, spare: str, cut_off: bool) -> dict[str, Any] | Failure:
    if call.function is None or not call.function.name:
        return Failure.of("malformed", "The provider's answer calls a tool without a name.")
    text = object_of(arguments_of(call.function), cut_off)
    if text is None:
        name = call.function.name
        return Failure.of("malformed", f"The provider's arguments for the tool '{name}' are not a JSON object.")
    return {
        "type": "tool_use",
        "id": call.id or spare,
        "name": call.function.name,
        "input": msgspec.Raw(text.encode()),
    }
