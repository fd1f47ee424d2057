"""What Anthropic sends: answers and events of streams, as far as OpenAI's API has a place for them.

Members that are not listed are ignored, as Anthropic asks of its clients; so are kinds of blocks, deltas and events.
Null is the same as absent: other engines with this API send it.
"""

from typing import Any, Literal

import msgspec

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]

_FINISH: dict[str | None, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "length",  # the answer is not finished
    "refusal": "content_filter",
}
_TIERS = {"standard": "default", "priority": "priority"}


class OutputDetails(msgspec.Struct, gc=False):
    """Parts of `output_tokens`."""

    thinking_tokens: int | None = None


class Usage(msgspec.Struct):
    """Tokens; in a stream each event has the totals so far, of some members."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None
    service_tier: str | None = None


class StopDetails(msgspec.Struct, gc=False):
    """Why an answer was refused."""

    explanation: str | None = None


class Block(msgspec.Struct):
    """A block of content, at its start in a stream."""

    type: str
    text: str | None = None
    citations: list[dict[str, Any]] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")


class Message(msgspec.Struct):
    """A whole answer, or what a stream starts with. `type` is "error" where an error comes with status 200."""

    type: str
    model: str | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: Usage | None = None
    error: Any = None


class Delta(msgspec.Struct):
    """What an event adds."""

    type: str | None = None
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: dict[str, Any] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class Event(msgspec.Struct):
    """One event of a stream."""

    type: str
    index: int = -1
    delta: Delta | None = None
    content_block: Block | None = None
    message: Message | None = None
    usage: Usage | None = None
    error: Any = None


class EventType(msgspec.Struct, gc=False):
    """As much as is looked at of an event that does not fit."""

    type: str


def finish_reason(stop_reason: str | None, *, calls: bool, functions: bool) -> FinishReason:
    """OpenAI's word. `calls`: the answer calls a tool; `functions`: the client knows tools as functions."""
    reason = _FINISH.get(stop_reason, "tool_calls" if calls else "stop")
    return "function_call" if functions and reason == "tool_calls" else reason


def usage_of(usage: Usage | None) -> dict[str, Any] | None:
    """OpenAI's usage, in which the prompt's tokens include cached ones; None where the provider reports none."""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    prompt = usage.input_tokens + (read or 0) + (written or 0)
    made: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
    }
    cached = {"cached_tokens": read, "cache_write_tokens": written}
    if details := {name: count for name, count in cached.items() if count is not None}:
        made["prompt_tokens_details"] = details
    thought = usage.output_tokens_details and usage.output_tokens_details.thinking_tokens
    if thought is not None:
        made["completion_tokens_details"] = {"reasoning_tokens": thought}
    return made


def tier_of(usage: Usage | None) -> dict[str, str]:
    """The member `service_tier`, where the provider tells."""
    tier = usage and usage.service_tier
    return {"service_tier": _TIERS[tier]} if tier in _TIERS else {}


def annotation_of(citation: dict[str, Any], start: int, end: int) -> dict[str, Any]:
    """A citation as an annotation of the text from `start` to `end`, in characters of the message."""
    span = {"start_index": start, "end_index": end}
    url = citation.get("url") or citation.get("source")
    if isinstance(url, str):
        title = citation.get("title")
        cited = {**span, "url": url, "title": title if isinstance(title, str) else url}
        return {"type": "url_citation", "url_citation": cited | _quote(citation)}
    # OpenAI's chat completions cite nothing but URLs; documents keep Anthropic's words for the place in them.
    return {"type": "file_citation", "file_citation": {**span, **citation}}


def _quote(citation: dict[str, Any]) -> dict[str, Any]:
    return {"cited_text": citation["cited_text"]} if "cited_text" in citation else {}
