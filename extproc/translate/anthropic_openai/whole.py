"""A whole chat completion as an Anthropic message."""

from collections.abc import Iterable
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
    thinking_blocks_of,
)
from extproc.translate.anthropic_openai.message import CUT_OFF, broken_off, citations_of, end_of, message_of, spare_id
from extproc.translate.call_signature import signature_in
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_errors import failure_in
from extproc.translate.sealed import Sealed, seal

Block = dict[str, Any]


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


def _content(choice: Choice, message: Message, known: Known) -> list[Block] | Failure:
    blocks = _words(message)
    for number, call in enumerate(message.tool_calls or ()):
        block = _tool_use(call, spare_id(known.request_id, number), choice.finish_reason in CUT_OFF)
        if isinstance(block, Failure):
            return block
        blocks.append(block)
    _put_thoughts(blocks, thinking_blocks_of(message))
    return _signed(blocks, message)


def _words(message: Message) -> list[Block]:
    """Text with what it cites; and thinking, unless it comes in blocks."""
    blocks, in_blocks = list[Block](), any(thinking_blocks_of(message))
    for kind, text in pieces_of(message):
        if kind == "thinking" and in_blocks:
            continue
        if blocks and blocks[-1]["type"] == kind:
            blocks[-1][kind] += text
        else:
            blocks.append({"type": kind, kind: text} | ({"signature": ""} if kind == "thinking" else {}))
    citations = list(citations_of(message))
    if citations:
        if not blocks or blocks[-1]["type"] != "text":
            blocks.append({"type": "text", "text": ""})
        blocks[-1]["citations"] = citations
    return blocks


def _put_thoughts(blocks: list[Block], thoughts: Iterable[Block]) -> None:
    """Blocks of thinking where they stood in the answer: first, or at the `position` that our answers give."""
    for number, thought in enumerate(thoughts):
        position = thought.get("position")
        at = position if isinstance(position, int) and position >= number else number
        if thought.get("type") == "redacted_thinking":
            blocks.insert(at, {"type": "redacted_thinking", "data": str(thought.get("data") or "")})
            continue
        said = {name: str(thought.get(name) or "") for name in ("thinking", "signature")}
        blocks.insert(at, {"type": "thinking", **said})


def _signed(blocks: list[Block], message: Message) -> list[Block]:
    """With what Google's models sign calls with, as thinking before the call."""
    signatures = [signature_in(call.extra_content) for call in message.tool_calls or ()]
    made = list[Block]()
    calls = iter(signatures)
    for block in blocks:
        signature = next(calls) if block["type"] == "tool_use" else None
        if signature is not None:
            if not made or made[-1]["type"] != "thinking" or made[-1]["signature"]:
                made.append({"type": "thinking", "thinking": ""})
            made[-1]["signature"] = seal(Sealed(signatures={block["id"]: signature}))
        made.append(block)
    return made


def _tool_use(call: ToolCall, spare: str, cut_off: bool) -> Block | Failure:
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
