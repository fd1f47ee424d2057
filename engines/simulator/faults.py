"""The top-level body field `simulate`: what an answer should do wrong, or how it should be shaped. Pure.

Gateways pass unknown fields on, so a test asks for a failure where it asks for an answer. Every field is
described in docs/simulator.md; a test holds that table to this struct.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]
Point = Literal["before_headers", "after_headers"] | Count


class Simulate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request's wishes. A field that is not given changes nothing."""

    status: Annotated[int, Meta(ge=300, le=599)] | None = None
    retry_after: int | float | str | None = None
    error: dict[str, Any] | None = None
    delay_s: Seconds = 0.0
    ttft_s: Seconds | None = None
    token_s: Seconds | None = None
    tokens: Count | None = None
    text: str | None = None
    ignore_max_tokens: bool = False
    reasoning: Count = 0
    tokens_per_event: Positive = 1
    silence: Point | None = None
    cut_after: Point | None = None
    malformed_after: Count | None = None
    content_type: str | None = None
    plain_json: bool = False
    content_encoding: Literal["gzip"] | None = None
    no_usage: bool = False
    null_usage: bool = False
    nested_usage: bool = False
    usage_first: bool = False
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    spaces: bool = False
    crlf: bool = False
    frame_bytes: Positive | None = None
    frames_per_event: Positive | None = None
    coalesce: Positive | None = None
    headers: dict[str, str] = {}
    body_bytes: Count | None = None


NOTHING = Simulate()
"""The wishes of a request without `simulate`."""


def is_html_page(simulate: Simulate) -> bool:
    """Whether the asked content type is one that comes with a page: anything that is neither JSON nor SSE."""
    kind = simulate.content_type
    return kind is not None and "json" not in kind and "event-stream" not in kind


def html_page(status: int) -> bytes:
    """Return a page such as a proxy in front of a dead engine sends."""
    return (
        f"<!doctype html>\n<html><head><title>{status}</title></head>"
        f"<body><h1>{status}</h1><p>A page of headgate-simulator.</p></body></html>\n"
    ).encode()


def spaced(body: bytes) -> bytes:
    """Return the JSON with `, ` and `: ` between its parts, as Python's `json` writes it."""
    return msgspec.json.format(body, indent=0)
