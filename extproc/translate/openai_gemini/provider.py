"""What Gemini sends: an answer, which in a stream is one event of many, as far as OpenAI's API has a place for it.

Members that are not listed are ignored; so are parts of other kinds. Null and zero are the same as absent.
"""

import hashlib
from typing import Any, Literal

import msgspec

from extproc.translate.direction import Known
from extproc.translate.failure import Failure

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]

_FILTERED = frozenset(
    {
        "BLOCKLIST",
        "IMAGE_OTHER",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "IMAGE_SAFETY",
        "LANGUAGE",
        "MODEL_ARMOR",
        "OTHER",  # its API says no more; what it does not want to answer ends so
        "PROHIBITED_CONTENT",
        "RECITATION",
        "SAFETY",
        "SPII",
    }
)
# The model's answer is none. envoy/module/begun.c has the same words.
_BROKEN_OFF = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)
_UNSPECIFIED = "_UNSPECIFIED"
_ID_LENGTH = 24  # hexadecimal digits; OpenAI takes ids of up to 40 characters


class FunctionCall(msgspec.Struct):
    """A call, whole."""

    name: str | None = None
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw(b"{}")


class Part(msgspec.Struct, rename="camel"):
    """A part of what the model said; `thought`: of its thinking."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


class Content(msgspec.Struct):
    """What the model said."""

    parts: list[Part] | None = None


class Token(msgspec.Struct, rename="camel"):
    """A token and how likely it was."""

    token: str | None = None
    log_probability: float | None = None


class TopTokens(msgspec.Struct):
    """The likeliest tokens for one place."""

    candidates: list[Token] | None = None


class Logprobs(msgspec.Struct, rename="camel"):
    """Of every token that was written, and the likeliest in its place."""

    chosen_candidates: list[Token] | None = None
    top_candidates: list[TopTokens] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """One of the answers, or some of it."""

    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None
    logprobs_result: Logprobs | None = None


class PromptFeedback(msgspec.Struct, rename="camel"):
    """Why there is no answer."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Usage(msgspec.Struct, rename="camel"):
    """Tokens; in a stream each event has the totals so far."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None


class Answer(msgspec.Struct, rename="camel"):
    """A whole answer, or an event of a stream; `error` where an error comes with status 200."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: Usage | None = None
    model_version: str | None = None
    error: Any = None

    @property
    def fails(self) -> bool:
        """Whether it is an error."""
        return isinstance(self.error, dict) or (isinstance(self.error, str) and self.error != "")


def end_of(candidate: Candidate) -> str | None:
    """Gemini's word for why the answer has ended; None: it has not."""
    reason = candidate.finish_reason
    return None if not reason or reason.endswith(_UNSPECIFIED) else reason


def broken_off(answer: Answer) -> Failure | None:
    """The failure of a model that wrote what is no answer."""
    for candidate in answer.candidates or ():
        if candidate.finish_reason in _BROKEN_OFF:
            said = f"The provider's model failed in its answer: {candidate.finish_reason}."
            return Failure.of("server", said)
    return None


def blocked(answer: Answer) -> str | None:
    """Why the prompt was not answered."""
    feedback = answer.prompt_feedback
    reason = feedback and feedback.block_reason
    if not feedback or not reason or reason.endswith(_UNSPECIFIED):
        return None
    return feedback.block_reason_message or f"The provider refused the prompt: {reason}."


def finish_reason(end: str, *, calls: bool, functions: bool) -> FinishReason:
    """OpenAI's word. `calls`: the answer calls a tool; `functions`: the client knows tools as functions."""
    if end == "MAX_TOKENS":
        return "length"
    if end in _FILTERED:
        return "content_filter"
    if not calls:
        return "stop"
    return "function_call" if functions else "tool_calls"


def refusal_of(candidate: Candidate) -> str | None:
    """What the provider says of an answer that it has cut off."""
    return candidate.finish_message or None if candidate.finish_reason in _FILTERED else None


def call_of(call: FunctionCall, known: Known, choice: int, number: int) -> tuple[str, dict[str, str]]:
    """A call's id, made of its place where Gemini gives none, and its function. Raises ValueError."""
    arguments = msgspec.json.format(bytes(call.args), indent=-1).decode()
    if arguments == "null":
        arguments = "{}"
    if not call.name or not arguments.startswith("{"):
        raise ValueError("a call has no name, or arguments that are no object")
    place = f"{known.request_id}/{choice}/{number}".encode(errors="replace")
    call_id = call.id or f"call_{hashlib.sha256(place).hexdigest()[:_ID_LENGTH]}"
    return call_id, {"name": call.name, "arguments": arguments}


def logprobs_of(result: Logprobs | None) -> dict[str, Any] | None:
    """OpenAI's `logprobs` of a choice."""
    if result is None or not result.chosen_candidates:
        return None
    tops = [top.candidates or [] for top in result.top_candidates or ()]
    content = [
        {**_token(chosen), "top_logprobs": [_token(one) for one in (tops[at] if at < len(tops) else ())]}
        for at, chosen in enumerate(result.chosen_candidates)
    ]
    return {"content": content, "refusal": None}


def _token(token: Token) -> dict[str, Any]:
    text = token.token or ""
    return {"token": text, "logprob": token.log_probability or 0.0, "bytes": list(text.encode())}


def usage_of(usage: Usage | None) -> dict[str, Any] | None:
    """OpenAI's usage, in which thinking is part of the answer; None where the provider reports none."""
    if usage is None or usage.prompt_token_count is None:
        return None
    prompt = usage.prompt_token_count + (usage.tool_use_prompt_token_count or 0)
    thought = usage.thoughts_token_count
    completion = (usage.candidates_token_count or 0) + (thought or 0)
    made: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if usage.cached_content_token_count is not None:
        made["prompt_tokens_details"] = {"cached_tokens": usage.cached_content_token_count}
    if thought is not None:
        made["completion_tokens_details"] = {"reasoning_tokens": thought}
    return made
