"""A whole answer of Cohere's as a chat completion."""

from typing import Any

import msgspec

from extproc.translate.cohere_errors import failure_in_stream
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic.answer import completion_id
from extproc.translate.openai_cohere.provider import (
    Answer,
    Message,
    annotations_of,
    broken_off,
    call_of,
    each,
    finish_reason,
    logprobs_of,
    usage_of,
)

_answer = msgspec.json.Decoder(Answer)


def chat_completion(body: bytes, known: Known) -> bytes | Failure:
    """The answer in OpenAI's API."""
    try:
        answer = _answer.decode(body)
        if isinstance(answer.message, str):
            return failure_in_stream(answer.message)
        if failure := broken_off(answer.finish_reason, None):
            return failure
        if answer.message is None or not answer.finish_reason:
            return Failure.of("malformed", "The provider's answer has no message, or no end.")
        return msgspec.json.encode(_completion(answer, answer.message, known))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Failure.of("malformed", "The provider's answer is not one in its API's form.")


def _completion(answer: Answer, message: Message, known: Known) -> dict[str, Any]:
    said, calls = _chat_message(message, functions=known.functions)
    choice = {
        "index": 0,
        "message": said,
        "logprobs": logprobs_of(answer.logprobs),
        "finish_reason": finish_reason(answer.finish_reason, calls=calls, functions=known.functions),
    }
    return {
        "id": completion_id(known),
        "object": "chat.completion",
        "created": known.created,
        "model": known.model,
        "choices": [choice],
        "usage": usage_of(answer.usage),
    }


def _chat_message(message: Message, *, functions: bool) -> tuple[dict[str, Any], bool]:
    texts, thoughts, offsets = list[str](), list[str](), dict[int, int]()
    length = 0
    for index, part in enumerate(each(message.content)):
        offsets[index] = length
        if part.thinking:
            thoughts.append(part.thinking)
        if part.text:
            texts.append(part.text)
            length += len(part.text)
    calls = [_call(*call_of(call)) for call in each(message.tool_calls)]
    made: dict[str, Any] = {}
    if calls:
        made |= {"function_call": calls[0]["function"]} if functions else {"tool_calls": calls}
    if reasoning := "".join((*thoughts, message.tool_plan or "")):
        made["reasoning_content"] = reasoning
    text = "".join(texts) or (None if made else "")
    annotations = list[Any]()
    for citation in each(message.citations):
        annotations += annotations_of(citation, offsets.get(citation.content_index or 0, 0))
    if annotations:
        made["annotations"] = annotations
    return {"role": "assistant", "content": text, "refusal": None, **made}, bool(calls)


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments or "{}"}}
