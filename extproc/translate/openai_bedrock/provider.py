"""What Converse sends: answers and events of streams, as far as OpenAI's API has a place for them.

Members that are not listed are ignored; so are blocks of other kinds. Null is the same as absent.
"""

from typing import Any, Literal

import msgspec

from extproc.translate.failure import Failure

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]

_FINISH: dict[str, FinishReason] = {
    "content_filtered": "content_filter",
    "end_turn": "stop",
    "guardrail_intervened": "content_filter",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
}
# The model's answer is none. envoy/module/frames.c has the same words.
_BROKEN_OFF = ("malformed_model_output", "malformed_tool_use")
_TIERS = ("default", "flex", "priority")


class Usage(msgspec.Struct, rename="camel"):
    """Tokens; those of the cache are none of `input_tokens`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None


class Tier(msgspec.Struct):
    """The service that the answer was made at."""

    type: str | None = None


class Text(msgspec.Struct):
    """Some text."""

    text: str | None = None


class Citation(msgspec.Struct, rename="camel"):
    """A source of some text."""

    title: str | None = None
    source: str | None = None
    source_content: list[Text] | None = None
    location: dict[str, Any] | None = None


class Cited(msgspec.Struct):
    """Text with its sources."""

    content: list[Text] | None = None
    citations: list[Citation] | None = None


class Call(msgspec.Struct, rename="camel"):
    """A call of a tool; `type` where the tool is the provider's own."""

    tool_use_id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")
    type: str | None = None


class ReasoningText(msgspec.Struct):
    """Thinking, and the proof that the model thought so."""

    text: str | None = None
    signature: str | None = None


class Reasoning(msgspec.Struct, rename="camel"):
    """Thinking; in base64 where it is not shown."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class Block(msgspec.Struct, rename="camel"):
    """A block of an answer."""

    text: str | None = None
    tool_use: Call | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Cited | None = None


class Message(msgspec.Struct):
    """What the model said."""

    content: list[Block] | None = None


class Output(msgspec.Struct):
    """Around the message."""

    message: Message | None = None


class Answer(msgspec.Struct, rename="camel"):
    """A whole answer."""

    output: Output | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    service_tier: Tier | None = None


class BlockStart(msgspec.Struct, rename="camel"):
    """How a block starts; most kinds of blocks do without."""

    tool_use: Call | None = None


class CallDelta(msgspec.Struct):
    """Some of a call's input."""

    input: str | None = None


class ReasoningDelta(msgspec.Struct, rename="camel"):
    """Some thinking."""

    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class Delta(msgspec.Struct, rename="camel"):
    """What is added to a block."""

    text: str | None = None
    tool_use: CallDelta | None = None
    reasoning_content: ReasoningDelta | None = None
    citation: Citation | None = None


class Event(msgspec.Struct, rename="camel"):
    """One event of a stream, of any name."""

    content_block_index: int = -1
    start: BlockStart | None = None
    delta: Delta | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    service_tier: Tier | None = None


def broken_off(stop_reason: str | None) -> Failure | None:
    """The failure of a model that wrote what is no answer."""
    if stop_reason not in _BROKEN_OFF:
        return None
    return Failure.of("server", f"The provider's model failed in its answer: {stop_reason}.")


def finish_reason(stop_reason: str, *, calls: bool, functions: bool) -> FinishReason:
    """OpenAI's word. `calls`: the answer calls a tool; `functions`: the client knows tools as functions."""
    reason = _FINISH.get(stop_reason, "tool_calls" if calls else "stop")
    return "function_call" if functions and reason == "tool_calls" else reason


def usage_of(usage: Usage | None) -> dict[str, Any] | None:
    """OpenAI's usage, in which the prompt's tokens include cached ones; None where the provider reports none."""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    read, written = usage.cache_read_input_tokens, usage.cache_write_input_tokens
    prompt = usage.input_tokens + (read or 0) + (written or 0)
    made: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
    }
    cached = {"cached_tokens": read, "cache_write_tokens": written}
    if details := {name: count for name, count in cached.items() if count is not None}:
        made["prompt_tokens_details"] = details
    return made


def tier_of(tier: Tier | None) -> dict[str, str]:
    """The member `service_tier`, where the provider tells."""
    return {"service_tier": tier.type} if tier is not None and tier.type in _TIERS else {}


def annotation_of(citation: Citation, start: int, end: int) -> dict[str, Any]:
    """A citation as an annotation of the text from `start` to `end`, in characters of the message."""
    quoted = "".join(text.text or "" for text in citation.source_content or ())
    said: dict[str, Any] = {"start_index": start, "end_index": end}
    said |= {"cited_text": quoted} if quoted else {}
    web = (citation.location or {}).get("web")
    url = web.get("url") if isinstance(web, dict) else None
    if isinstance(url, str):
        return {"type": "url_citation", "url_citation": {**said, "url": url, "title": citation.title or url}}
    # OpenAI's chat completions cite nothing but URLs; documents have Anthropic's words for the place in them.
    said |= _place_of(citation) or {
        name: value for name, value in (("title", citation.title), ("source", citation.source)) if value is not None
    }
    return {"type": "file_citation", "file_citation": said}


# Converse's word for a place in a document -> Anthropic's, and its names for where the place starts and ends
_PLACES = {
    "documentChar": ("char_location", "start_char_index", "end_char_index"),
    "documentPage": ("page_location", "start_page_number", "end_page_number"),
    "documentChunk": ("content_block_location", "start_block_index", "end_block_index"),
}


def _place_of(citation: Citation) -> dict[str, Any] | None:
    for name, (kind, start, end) in _PLACES.items():
        if isinstance(place := (citation.location or {}).get(name), dict):
            of_document = {"document_index": place.get("documentIndex"), "document_title": citation.title}
            return {"type": kind, **of_document, start: place.get("start"), end: place.get("end")}
    return None
