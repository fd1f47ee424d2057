"""A whole answer of Converse as a chat completion."""

from typing import Any

import msgspec

from extproc.translate.bedrock_errors import failure_in_answer
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic.answer import arguments_of, completion_id, thought_of
from extproc.translate.openai_anthropic.provider import Block as Said
from extproc.translate.openai_bedrock.path import shown_model
from extproc.translate.openai_bedrock.provider import (
    Answer,
    Block,
    Call,
    Message,
    Reasoning,
    annotation_of,
    broken_off,
    finish_reason,
    tier_of,
    usage_of,
)

_answer = msgspec.json.Decoder(Answer)


def chat_completion(body: bytes, known: Known) -> bytes | Failure:
    """The answer in OpenAI's API."""
    try:
        answer = _answer.decode(body)
        if answer.output is None or answer.output.message is None or answer.stop_reason is None:
            missing = Failure.of("malformed", "The provider's answer has no message.")
            return failure_in_answer(body) or missing
        if failure := broken_off(answer.stop_reason):
            return failure
        return msgspec.json.encode(_completion(answer, answer.output.message, answer.stop_reason, known))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Failure.of("malformed", "The provider's answer is not one in its API's form.")


def thinking(reasoning: Reasoning) -> Said | None:
    """A block of thinking, in the words in which clients have it."""
    if reasoning.redacted_content is not None:
        return Said("redacted_thinking", data=reasoning.redacted_content)
    if (said := reasoning.reasoning_text) is None:
        return None
    return Said("thinking", thinking=said.text or "", signature=said.signature or "")


def call(asked: Call) -> Said:
    """A call of a tool. Raises ValueError."""
    if not (asked.tool_use_id and asked.name):
        raise ValueError("a tool call has no id or name")
    return Said("tool_use", id=asked.tool_use_id, name=asked.name, input=asked.input)


def _completion(answer: Answer, message: Message, stop_reason: str, known: Known) -> dict[str, Any]:
    said, calls = _chat_message(message.content or [], functions=known.functions)
    reason = finish_reason(stop_reason, calls=calls, functions=known.functions)
    return {
        "id": completion_id(known),
        "object": "chat.completion",
        "created": known.created,
        "model": shown_model(known.model),
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": reason}],
        "usage": usage_of(answer.usage),
        **tier_of(answer.service_tier),
    }


def _chat_message(blocks: list[Block], *, functions: bool) -> tuple[dict[str, Any], bool]:
    texts, annotations = list[str](), list[Any]()
    calls, thoughts = list[dict[str, Any]](), list[dict[str, Any]]()
    length = 0
    for block in blocks:
        if (text := _text_of(block)) is not None:
            texts.append(text)
            cited = block.citations_content and block.citations_content.citations
            annotations += (annotation_of(one, length, length + len(text)) for one in cited or ())
            length += len(text)
        elif block.tool_use is not None and block.tool_use.type is None:
            asked = call(block.tool_use)
            function = {"name": asked.name, "arguments": arguments_of(asked)}
            calls.append({"id": asked.id, "type": "function", "function": function})
        elif block.reasoning_content is not None and (thought := thinking(block.reasoning_content)) is not None:
            thoughts.append(thought_of(thought, len(thoughts), len(calls) + (length > 0)) or {})
    made: dict[str, Any] = {}
    if calls:
        made |= {"function_call": calls[0]["function"]} if functions else {"tool_calls": calls}
    if thoughts:
        made["thinking_blocks"] = thoughts
    if reasoning := "".join(thought.get("thinking", "") for thought in thoughts):
        made["reasoning_content"] = reasoning
    content = "".join(texts) or (None if made else "")
    if annotations:
        made["annotations"] = annotations
    return {"role": "assistant", "content": content, "refusal": None, **made}, bool(calls)


def _text_of(block: Block) -> str | None:
    """The text of a block that is text."""
    if block.citations_content is not None:
        return "".join(part.text or "" for part in block.citations_content.content or ())
    return block.text
