"""What Cohere sends: answers and events of streams, as far as OpenAI's API has a place for them.

Members that are not listed are ignored; so are parts and citations of other kinds. Null is the same as absent. What
an event adds may come as it is or as a list of it.
"""

import math
from typing import Any, Literal, TypeVar

import msgspec

from extproc.translate.cohere_errors import failure_in_stream
from extproc.translate.failure import Failure, Kind

T = TypeVar("T")

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]

_FINISH: dict[str | None, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}
# The answer is none. envoy/module/begun_cohere.c has the same words.
_BROKEN_OFF: dict[str | None, Kind] = {"ERROR": "server", "TIMEOUT": "timeout"}
_BROKEN_OFF_MESSAGE = "The provider failed in its answer: {}."


class Part(msgspec.Struct):
    """A part of what the model said, or some of it."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class Function(msgspec.Struct):
    """What is called."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    """A call, or some of it."""

    id: str | None = None
    function: Function | None = None


class Citation(msgspec.Struct):
    """Where some of the answer is from; `start` and `end` are characters of its part of the content."""

    start: int | None = None
    end: int | None = None
    text: str | None = None
    sources: list[dict[str, Any]] | None = None
    content_index: int | None = None
    type: str | None = None


class Logprobs(msgspec.Struct):
    """How likely a piece of text was; it may be of several tokens."""

    text: str | None = None
    logprobs: list[float] | None = None


class BilledUnits(msgspec.Struct):
    """What Cohere charges for."""

    input_tokens: float | None = None
    output_tokens: float | None = None


class Usage(msgspec.Struct):
    """Tokens; `tokens` also counts what Cohere puts around a request, and charges nothing for."""

    billed_units: BilledUnits | None = None
    tokens: BilledUnits | None = None
    cached_tokens: float | None = None


class Message(msgspec.Struct):
    """A whole message, or what an event adds to it."""

    content: list[Part] | Part | None = None
    tool_plan: str | None = None
    tool_calls: list[ToolCall] | ToolCall | None = None
    citations: list[Citation] | Citation | None = None


class Answer(msgspec.Struct):
    """A whole answer; `message` is text where an error comes with status 200."""

    message: Message | str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    logprobs: list[Logprobs] | None = None


class Delta(msgspec.Struct):
    """What an event adds; at the end, why it is one."""

    message: Message | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    error: str | None = None


class Event(msgspec.Struct):
    """One event of a stream; an error has a `message` and no `type`."""

    type: str | None = None
    index: int | None = None
    delta: Delta | None = None
    logprobs: Logprobs | None = None
    message: Any = None


def each(found: list[T] | T | None) -> list[T]:
    """What came as a list, or alone."""
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def broken_off(reason: str | None, said: str | None) -> Failure | None:
    """The failure of an answer that ends so, with what the provider says of it."""
    kind = _BROKEN_OFF.get(reason)
    if kind is None and not said:
        return None
    return failure_in_stream(said or _BROKEN_OFF_MESSAGE.format(reason), kind or "server")


def finish_reason(reason: str | None, *, calls: bool, functions: bool) -> FinishReason:
    """OpenAI's word. `calls`: the answer calls a tool; `functions`: the client knows tools as functions."""
    found = _FINISH.get(reason, "tool_calls" if calls else "stop")
    return "function_call" if functions and found == "tool_calls" else found


def call_of(call: ToolCall) -> tuple[str, str, str]:
    """A call's id, name and the arguments that it starts with. Raises ValueError."""
    function = call.function
    if not call.id or function is None or not function.name:
        raise ValueError("a call has no id or name")
    return call.id, function.name, function.arguments or ""


def annotations_of(citation: Citation, offset: int) -> list[dict[str, Any]]:
    """OpenAI's annotations, one of each source; `offset`: the characters of the message before the cited part."""
    if citation.start is None or citation.end is None or citation.type not in (None, "TEXT_CONTENT"):
        return []
    span = {"start_index": offset + citation.start, "end_index": offset + citation.end}
    return [_annotation(source, span) for source in citation.sources or ()]


def _annotation(source: dict[str, Any], span: dict[str, int]) -> dict[str, Any]:
    found = source.get("document") or source.get("tool_output")
    url = found.get("url") if isinstance(found, dict) else None
    if isinstance(found, dict) and isinstance(url, str):
        title = found.get("title")
        cited = {**span, "url": url, "title": title if isinstance(title, str) else url}
        return {"type": "url_citation", "url_citation": cited}
    # OpenAI's chat completions cite nothing but URLs; others keep Cohere's words for the source.
    return {"type": "file_citation", "file_citation": {**span, **source}}


def logprobs_of(found: list[Logprobs] | None) -> dict[str, Any] | None:
    """OpenAI's `logprobs` of a choice: pieces of several tokens are as likely as all of these are together."""
    if not found:
        return None
    return {"content": [_token(one) for one in found], "refusal": None}


def _token(piece: Logprobs) -> dict[str, Any]:
    text = piece.text or ""
    logprob = math.fsum(piece.logprobs or ())
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": []}


def usage_of(usage: Usage | None) -> dict[str, Any] | None:
    """OpenAI's usage, of what is charged for; None where the provider reports none. Raises ValueError."""
    if usage is None:
        return None
    counts = _counts_of(usage.billed_units) or _counts_of(usage.tokens)
    if counts is None:
        return None
    prompt, completion = counts
    made: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if usage.cached_tokens is not None:
        made["prompt_tokens_details"] = {"cached_tokens": min(whole_number(usage.cached_tokens), prompt)}
    return made


def _counts_of(found: BilledUnits | None) -> tuple[int, int] | None:
    prompt, completion = (found.input_tokens, found.output_tokens) if found else (None, None)
    if prompt is None or completion is None:
        return None
    return whole_number(prompt), whole_number(completion)


def whole_number(count: float) -> int:
    """A count, which comes as a number with a fraction. Raises ValueError for what is none."""
    if not 0 <= count < 2**53:
        raise ValueError("a count is out of range")
    return int(count)
