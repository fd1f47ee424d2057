"""Anthropic's stream events as bytes (https://platform.claude.com/docs/en/build-with-claude/streaming)."""

from typing import Any

import msgspec

from extproc.translate.failure import Failure
from headgate.error_shapes import Problem, rendered

_encode = msgspec.json.encode

_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "arguments": ("input_json_delta", "partial_json"),
}
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
DELTA_END = b"}}\n\n"


def event(kind: str, **members: Any) -> bytes:
    """One event."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **members}))


def start_of(message: dict[str, Any]) -> bytes:
    """The first event: the message, still without content."""
    return event("message_start", message=message)


def block_start(index: int, block: dict[str, Any]) -> bytes:
    """A block opens, still empty."""
    return event("content_block_start", index=index, content_block=block)


def block_stop(index: int) -> bytes:
    """The open block is whole."""
    return event("content_block_stop", index=index)


def delta_prefix(index: int, kind: str) -> bytes:
    """A delta of text, thinking or arguments up to the JSON string of the piece; DELTA_END follows that."""
    name, member = _DELTAS[kind]
    return (
        'event: content_block_delta\ndata: {"type":"content_block_delta",'
        f'"index":{index},"delta":{{"type":"{name}","{member}":'
    ).encode()


def citation(index: int, cited: dict[str, Any]) -> bytes:
    """What the text of a block cites."""
    return event("content_block_delta", index=index, delta={"type": "citations_delta", "citation": cited})


def signature(index: int, text: str) -> bytes:
    """What the provider wants back with the thinking of a block."""
    return event("content_block_delta", index=index, delta={"type": "signature_delta", "signature": text})


def end_of_message(stop: dict[str, Any], usage: dict[str, Any]) -> bytes:
    """The last two events."""
    return event("message_delta", delta=stop, usage=usage) + STOP


def error(failure: Failure, request_id: str) -> bytes:
    """The last event of a stream that fails: the body that the error would have had before the stream's start."""
    problem = Problem(failure.status, failure.message, "", failure.param, failure.code)
    return b"event: error\ndata: %b\n\n" % rendered("anthropic", problem, request_id)
