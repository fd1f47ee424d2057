"""A whole answer of Gemini's as a chat completion."""

from typing import Any

import msgspec

from extproc.translate.call_signature import signed
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.gemini_errors import failure_in_stream
from extproc.translate.openai_anthropic.answer import completion_id
from extproc.translate.openai_gemini.path import bare_name
from extproc.translate.openai_gemini.provider import (
    Answer,
    Candidate,
    blocked,
    broken_off,
    call_of,
    end_of,
    finish_reason,
    logprobs_of,
    refusal_of,
    usage_of,
)

_answer = msgspec.json.Decoder(Answer)


def chat_completion(body: bytes, known: Known) -> bytes | Failure:
    """The answer in OpenAI's API."""
    try:
        answer = _answer.decode(body)
        if answer.fails:
            return failure_in_stream(answer.error)
        if failure := broken_off(answer):
            return failure
        choices = _choices(answer, known)
        if not choices:
            return Failure.of("malformed", "The provider's answer has no candidates.")
        return msgspec.json.encode(_completion(answer, choices, known))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Failure.of("malformed", "The provider's answer is not one in its API's form.")


def _completion(answer: Answer, choices: list[dict[str, Any]], known: Known) -> dict[str, Any]:
    return {
        "id": completion_id(known),
        "object": "chat.completion",
        "created": known.created,
        "model": answer.model_version or bare_name(known.model),
        "choices": choices,
        "usage": usage_of(answer.usage_metadata),
    }


def _choices(answer: Answer, known: Known) -> list[dict[str, Any]]:
    if (why := blocked(answer)) and not any(end_of(candidate) for candidate in answer.candidates or ()):
        message = {"role": "assistant", "content": None, "refusal": why}
        return [{"index": 0, "message": message, "logprobs": None, "finish_reason": "content_filter"}]
    choices = [_choice(candidate, known) for candidate in answer.candidates or ()]
    if len({choice["index"] for choice in choices}) < len(choices):
        raise ValueError("two candidates have the same index")
    return sorted(choices, key=lambda choice: int(choice["index"]))


def _choice(candidate: Candidate, known: Known) -> dict[str, Any]:
    end, index = end_of(candidate), candidate.index or 0
    if end is None:
        raise ValueError("a candidate has no end")
    message, calls = _message(candidate, known, index)
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs_of(candidate.logprobs_result),
        "finish_reason": finish_reason(end, calls=calls, functions=known.functions),
    }


def _message(candidate: Candidate, known: Known, index: int) -> tuple[dict[str, Any], bool]:
    texts, thoughts, calls = list[str](), list[str](), list[dict[str, Any]]()
    signature: str | None = None
    for part in (candidate.content and candidate.content.parts) or ():
        if part.function_call is not None:
            call_id, function = call_of(part.function_call, known, index, len(calls))
            made = {"id": call_id, "type": "function", "function": function, **signed(part.thought_signature)}
            calls.append(made)
            continue
        signature = part.thought_signature or signature
        if part.text:
            (thoughts if part.thought else texts).append(part.text)
    said: dict[str, Any] = {}
    if calls:
        said |= {"function_call": calls[0]["function"]} if known.functions else {"tool_calls": calls}
    if thoughts:
        said["reasoning_content"] = "".join(thoughts)
    refusal = refusal_of(candidate)
    text = "".join(texts) or (None if said or refusal else "")
    message = {"role": "assistant", "content": text, "refusal": refusal, **said, **signed(signature)}
    return message, bool(calls)
