"""Anthropic's message out of what OpenAI's answers say: its frame, why it ended, what it used."""

from collections.abc import Iterator
from typing import Any

from extproc.translate.anthropic_openai.completion import CompletionDetails, Message, PromptDetails, Usage
from extproc.translate.direction import Known
from extproc.translate.failure import Failure


def usage_of(usage: Usage | None) -> dict[str, Any]:
    """Anthropic's usage, in which cached tokens are no part of the input's. What is not reported is null, never 0."""
    usage = usage or Usage()
    details = usage.prompt_tokens_details or PromptDetails()
    read = usage.prompt_cache_hit_tokens if details.cached_tokens is None else details.cached_tokens
    written = details.cache_write_tokens
    total = usage.prompt_tokens
    made: dict[str, Any] = {
        "input_tokens": None if total is None else max(total - (read or 0) - (written or 0), 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.completion_tokens,
    }
    reasoning = (usage.completion_tokens_details or CompletionDetails()).reasoning_tokens
    if reasoning is not None:
        made["output_tokens_details"] = {"thinking_tokens": reasoning}
    return made


_STOP_REASONS = {
    "length": "max_tokens",
    "model_length": "model_context_window_exceeded",  # Mistral
    "content_filter": "refusal",
}
CUT_OFF = frozenset({"length", "model_length", "content_filter"})  # the last tool call may not be whole
# The model has not finished, whatever there is of its answer.
_BROKEN_OFF: dict[str, Failure] = {
    "error": Failure.of("server", "The provider broke its answer off with an error."),
    "abort": Failure.of("server", "The provider broke its answer off."),
    "insufficient_system_resource": Failure.of("overloaded", "The provider ran out of resources for its answer."),
}


def broken_off(finish_reason: str) -> Failure | None:
    """What a finish reason says that is no end of an answer: vLLM's, OpenRouter's and DeepSeek's."""
    return _BROKEN_OFF.get(finish_reason)


def end_of(finish_reason: str | None, stop_reason: Any, refused: bool, calls: bool) -> dict[str, Any]:
    """`stop_reason` and what belongs to it. Servers say "stop" for tool calls too; a call is what counts."""
    stop: dict[str, Any] = {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None}
    if refused or finish_reason == "content_filter":
        stop["stop_reason"] = "refusal"
        stop["stop_details"] = {"type": "refusal", "category": None, "explanation": None}
    elif finish_reason in _STOP_REASONS:
        stop["stop_reason"] = _STOP_REASONS[finish_reason]
    elif calls:
        stop["stop_reason"] = "tool_use"
    elif isinstance(stop_reason, str):
        stop |= {"stop_reason": "stop_sequence", "stop_sequence": stop_reason}
    return stop


def message_of(known: Known, model: str, usage: Usage | None, started: bool = False) -> dict[str, Any]:
    """A message without content. One that has only `started` counts from zero, as far as no count is known."""
    counts = usage_of(usage)
    if started:
        counts |= {name: counts[name] or 0 for name in ("input_tokens", "output_tokens")}
    return {
        "id": f"msg_{known.request_id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": counts,
    }


_OF_DOCUMENTS = ("char_location", "page_location", "content_block_location")


def citations_of(message: Message) -> Iterator[dict[str, Any]]:
    """What the text cites: the pages that a model which searches by itself has found, whose `encrypted_index` is
    Anthropic's own, and documents that are cited in Anthropic's words."""
    annotations = message.annotations if isinstance(message.annotations, list) else ()
    for annotation in annotations:
        if not isinstance(annotation, dict):
            continue
        cited = annotation.get("file_citation")
        if isinstance(cited, dict) and cited.get("type") in _OF_DOCUMENTS:
            yield {name: value for name, value in cited.items() if name not in ("start_index", "end_index")}
        cited = annotation.get("url_citation")
        if isinstance(cited, dict) and isinstance(cited.get("url"), str):
            yield {
                "type": "web_search_result_location",
                "url": cited["url"],
                "title": cited.get("title") if isinstance(cited.get("title"), str) else None,
                "cited_text": cited.get("cited_text") if isinstance(cited.get("cited_text"), str) else "",
                "encrypted_index": "",
            }


def spare_id(request_id: str, number: int) -> str:
    """The id of an answer's tool call when the provider gives it none."""
    return f"toolu_{request_id}_{number}"
