"""OpenAI's Response out of what chat completions say: its frame, its output's items, why it ended, what it used."""

from collections.abc import Iterator
from typing import Any

import msgspec

from extproc.translate.anthropic_openai.completion import CompletionDetails, PromptDetails, Usage
from extproc.translate.anthropic_openai.message import CUT_OFF
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_errors import CONTEXT_LENGTH_CODE
from extproc.translate.responses_openai.completion import Message
from extproc.translate.responses_openai.content import Json
from extproc.translate.responses_openai.echo import UNSAID
from extproc.translate.sealed import Sealed, seal

_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
_encode = msgspec.json.encode


class Frame:
    """What all forms of one response have in common."""

    def __init__(self, known: Known) -> None:
        self._id = f"resp_{known.request_id}"
        self._created = known.created
        self._echo = (known.echo or UNSAID).encode()

    def response(self, model: str, status: str, output: list[Json], **members: Any) -> msgspec.Raw:
        """The response, as JSON. `members` are further ones."""
        own = {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": model,
            "output": output,
            **members,
        }
        return msgspec.Raw(_encode(own)[:-1] + b"," + self._echo[1:])


def end_of(finish_reason: str | None) -> tuple[str, Json]:
    """The status, and the members that belong to it."""
    if finish_reason not in CUT_OFF:
        return "completed", {}
    reason = "content_filter" if finish_reason == "content_filter" else "max_output_tokens"
    return "incomplete", {"incomplete_details": {"reason": reason}}


def used(usage: Usage | None) -> Json:
    """The member `usage`; absent where the provider reports none. Its API has no word for an unknown detail but 0."""
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return {}
    prompt = usage.prompt_tokens_details or PromptDetails()
    cached = usage.prompt_cache_hit_tokens if prompt.cached_tokens is None else prompt.cached_tokens
    completion = usage.completion_tokens_details or CompletionDetails()
    counts = {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": cached or 0, "cache_write_tokens": prompt.cache_write_tokens or 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": completion.reasoning_tokens or 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
    return {"usage": counts}


def served(tier: Any) -> Json:
    """The member `service_tier`, where the provider tells."""
    return {"service_tier": tier} if tier in _TIERS else {}


def error_of(failure: Failure) -> Json:
    """The member `error` of a response that has failed; OpenAI has few codes for it."""
    code = "server_error"
    if failure.kind == "rate_limit":
        code = "rate_limit_exceeded"
    elif failure.code == CONTEXT_LENGTH_CODE or failure.kind in ("invalid_request", "too_large"):
        code = "invalid_prompt"
    return {"code": code, "message": failure.message}


def item_id(known: Known, prefix: str, index: int) -> str:
    """The id of an item of the output."""
    return f"{prefix}_{known.request_id}_{index}"


def message_item(name: str, parts: list[Json], status: str) -> Json:
    """What the model says."""
    return {"id": name, "type": "message", "status": status, "role": "assistant", "content": parts}


def text_part(text: str, annotations: list[Json], logprobs: list[Json]) -> Json:
    """Text of a message."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def reasoning_item(name: str, text: str, sealed: Sealed, status: str) -> Json:
    """What the model thinks: its own words, no summary of them."""
    content = [{"type": "reasoning_text", "text": text}] if text else []
    item: Json = {"id": name, "type": "reasoning", "summary": [], "content": content}
    return {**item, "encrypted_content": seal(sealed), "status": status}


def call_item(name: str, call_id: str, function: str, arguments: str, status: str) -> Json:
    """A call of a function."""
    item = {"id": name, "type": "function_call", "status": status}
    return {**item, "call_id": call_id, "name": function, "arguments": arguments}


def custom_item(name: str, call_id: str, tool: str, text: str) -> Json:
    """A call of a custom tool."""
    return {"id": name, "type": "custom_tool_call", "call_id": call_id, "name": tool, "input": text}


def spare_call_id(known: Known, number: int) -> str:
    """The id of a call where the provider gives it none."""
    return f"call_{known.request_id}_{number}"


def annotations_of(message: Message) -> Iterator[Json]:
    """What the text cites; chat nests it."""
    found = message.annotations if isinstance(message.annotations, list) else ()
    for annotation in found:
        kind = annotation.get("type") if isinstance(annotation, dict) else None
        cited = annotation.get(kind) if isinstance(kind, str) else None
        if not isinstance(cited, dict):
            continue
        if kind == "url_citation" and isinstance(cited.get("url"), str):
            made = {"type": kind, "url": cited["url"], "title": _text(cited.get("title")) or cited["url"]}
            span = {name: _whole(cited.get(name)) for name in ("start_index", "end_index")}
            yield {**made, **span} | _quote(cited)
        elif kind == "file_citation":
            name = _text(cited.get("document_title")) or _text(cited.get("filename"))
            file = {"file_id": _text(cited.get("file_id")), "filename": name}
            yield {"type": kind, **file, "index": _whole(cited.get("document_index"))} | _quote(cited)


def logprobs_of(logprobs: Any) -> list[Json]:
    """How likely the text's tokens were; a response has bytes for each."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    made = list[Json]()
    for token in tokens if isinstance(tokens, list) else ():
        if (one := _token(token)) is not None:
            top = token.get("top_logprobs")
            others = [_token(other) for other in (top if isinstance(top, list) else ())]
            made.append({**one, "top_logprobs": [other for other in others if other]})
    return made


def _token(token: Any) -> Json | None:
    if not isinstance(token, dict) or not isinstance(token.get("logprob"), int | float):
        return None
    text, spelled = _text(token.get("token")), token.get("bytes")
    made: Json = {"token": text, "logprob": token["logprob"]}
    return {**made, "bytes": spelled if isinstance(spelled, list) else list(text.encode(errors="replace"))}


def _quote(cited: Json) -> Json:
    return {"cited_text": cited["cited_text"]} if isinstance(cited.get("cited_text"), str) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
