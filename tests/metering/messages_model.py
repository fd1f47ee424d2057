"""What is counted in an answer of Anthropic's Messages API, computed with a JSON parser, event by event."""

import json
from typing import Any

from stand_in import Counts, Metered
from stream_model import events_of

_PROMPT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_GENERATED = ("text", "partial_json", "thinking", "content")


def expected(stream: bytes) -> Metered:
    """The counts for a whole stream; the client's bytes are the provider's."""
    said: dict[str, int] = {}
    events = size = 0
    for text in events_of(stream):
        value = json.loads(text)
        usage = _object(value.get("usage"))
        if "usage" not in value:
            usage = _object(_object(value.get("message")).get("usage"))
            usage = {name: number for name, number in usage.items() if name in _PROMPT}
        said |= _said(usage)
        generated = [text for name, text in _object(value.get("delta")).items() if name in _GENERATED]
        lengths = [len(text.encode()) for text in generated if isinstance(text, str)]
        events, size = events + any(lengths), size + sum(lengths)
    return Metered(stream, _counts(said), events, size)


def expected_of_body(body: dict[str, Any]) -> Counts:
    """The counts for a whole JSON answer."""
    return _counts(_numbers(_object(body.get("usage"))))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _said(usage: dict[str, Any]) -> dict[str, int]:
    """One report's numbers; nothing of the prompt where it says that there was none."""
    numbers = _numbers(usage)
    if not any(numbers.get(name) for name in _PROMPT):
        return {name: number for name, number in numbers.items() if name not in _PROMPT}
    return numbers


def _numbers(usage: dict[str, Any]) -> dict[str, int]:
    numbers = {name: usage.get(name) for name in (*_PROMPT, "output_tokens")}
    numbers["thinking_tokens"] = _object(usage.get("output_tokens_details")).get("thinking_tokens")
    return {name: number for name, number in numbers.items() if isinstance(number, int)}


def _counts(said: dict[str, int]) -> Counts:
    cached, written = said.get("cache_read_input_tokens"), said.get("cache_creation_input_tokens")
    prompt = said["input_tokens"] + (cached or 0) + (written or 0) if "input_tokens" in said else None
    return prompt, said.get("output_tokens"), cached, written, said.get("thinking_tokens")
