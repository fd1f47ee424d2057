"""A whole answer of Anthropic's as a chat completion."""

from typing import Any

import msgspec

from extproc.translate.anthropic_errors import failure_in_stream
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic.provider import (
    Block,
    Message,
    annotation_of,
    finish_reason,
    tier_of,
    usage_of,
)

_message = msgspec.json.Decoder(Message)


def chat_completion(body: bytes, known: Known) -> bytes | Failure:
    """The answer in OpenAI's API."""
    try:
        message = _message.decode(body)
        if message.type == "error":
            return failure_in_stream(message.error)
        if message.type != "message":
            return Failure.of("malformed", "The provider's answer is not a message.")
        return msgspec.json.encode(_completion(message, known))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Failure.of("malformed", "The provider's answer is not a message in its API's form.")


def _completion(message: Message, known: Known) -> dict[str, Any]:
    calls = any(block.type == "tool_use" for block in message.content or ())
    choice = {
        "index": 0,
        "message": _chat_message(message, functions=known.functions),
        "logprobs": None,
        "finish_reason": finish_reason(message.stop_reason, calls=calls, functions=known.functions),
    }
    return {
        "id": completion_id(known),
        "object": "chat.completion",
        "created": known.created,
        "model": message.model or "",
        "choices": [choice],
        "usage": usage_of(message.usage),
        **tier_of(message.usage),
    }


def completion_id(known: Known) -> str:
    """The answer's id: the request's, which is in the gateway's log, in OpenAI's form."""
    return f"chatcmpl-{known.request_id}"


def _chat_message(message: Message, *, functions: bool) -> dict[str, Any]:
    texts, made = list[str](), dict[str, Any]()
    calls, thoughts, annotations = list[Any](), list[dict[str, Any]](), list[Any]()
    length = 0
    for block in message.content or ():
        if block.type == "text":
            texts.append(block.text or "")
            end = length + len(texts[-1])
            annotations += (annotation_of(citation, length, end) for citation in block.citations or ())
            length = end
        elif block.type == "tool_use":
            calls.append(_call(block))
        elif (thought := thought_of(block, len(thoughts), len(calls) + (length > 0))) is not None:
            thoughts.append(thought)
    if calls:
        made |= {"function_call": calls[0]["function"]} if functions else {"tool_calls": calls}
    if thoughts:
        made["thinking_blocks"] = thoughts
    if reasoning := "".join(thought.get("thinking", "") for thought in thoughts):
        made["reasoning_content"] = reasoning
    refusal = message.stop_details and message.stop_details.explanation
    text = "".join(texts) or (None if made or refusal else "")
    if annotations:
        made["annotations"] = annotations
    return {"role": "assistant", "content": text, "refusal": refusal, **made}


def _call(block: Block) -> dict[str, Any]:
    if not (block.id and block.name):
        raise ValueError("a tool call has no id or name")
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments_of(block)}}


def arguments_of(block: Block) -> str:
    """The whole input of a tool, as text; digit for digit."""
    text = msgspec.json.format(bytes(block.input), indent=-1).decode()
    return "{}" if text == "null" else text


def thought_of(block: Block, number: int, others: int) -> dict[str, Any] | None:
    """Thinking as clients must send it back. Where it does not come before all else, it says where it stands among
    the blocks that are sent back: `others` before it are the text and tool calls."""
    if block.type == "thinking":
        made: dict[str, Any] = {"type": "thinking", "thinking": block.thinking or ""}
        made["signature"] = block.signature or ""
    elif block.type == "redacted_thinking":
        made = {"type": "redacted_thinking", "data": block.data or ""}
    else:
        return None
    return {**made, "position": number + others} if others else made
