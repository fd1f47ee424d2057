"""What is counted in an answer of OpenAI's Responses API, computed with a JSON parser, event by event."""

import json
from typing import Any

from stand_in import Counts, Metered
from stream_model import events_of

NOTHING: Counts = (None, None, None, None, None)


def expected(stream: bytes) -> Metered:
    """The counts for a whole stream; the client's bytes are the provider's."""
    counts, events, size = NOTHING, 0, 0
    for text in events_of(stream):
        value = json.loads(text)
        usage = value["usage"] if "usage" in value else _object(value.get("response")).get("usage")
        if isinstance(usage, dict):
            counts = _counts(usage)
        delta = value.get("delta")
        length = len(delta.encode()) if isinstance(delta, str) else 0
        events, size = events + (length > 0), size + length
    return Metered(stream, counts, events, size)


def expected_of_body(body: dict[str, Any]) -> Counts:
    """The counts for a whole JSON answer."""
    usage = body.get("usage")
    return _counts(usage) if isinstance(usage, dict) else NOTHING


def _counts(usage: dict[str, Any]) -> Counts:
    details, output_details = _object(usage.get("input_tokens_details")), _object(usage.get("output_tokens_details"))
    return (
        _number(usage.get("input_tokens")),
        _number(usage.get("output_tokens")),
        _number(details.get("cached_tokens")),
        _number(details.get("cache_write_tokens")),
        _number(output_details.get("reasoning_tokens")),
    )


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
