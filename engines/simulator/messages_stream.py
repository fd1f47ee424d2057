"""The events of a streamed message of Anthropic's API, as the bytes of whole SSE events. Pure.

As in chat's streams a delta is encoded once per block, with a hole for its token.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from engines.simulator.answer import Answer, Choice
from engines.simulator.bodies import StreamOptions
from engines.simulator.faults import spaced
from engines.simulator.messages_reply import ending, message, signature_of, tool_use, with_usage
from engines.simulator.stream import Event

_HOLE: Final = "\0piece"
_encode: Final = msgspec.json.encode


class _Block(NamedTuple):
    """A block of the answer: how it opens, the delta that its tokens stand in, what comes before its end."""

    opening: dict[str, Any]
    delta: dict[str, Any]
    pieces: tuple[str, ...]
    last: dict[str, Any] | None = None


def message_events(answer: Answer, _options: StreamOptions | None) -> Iterator[Event]:
    """Yield the events of an answer, the last one being `message_stop`."""
    choice, done = answer.choices[0], 0
    start = {"type": "message_start", "message": message(answer, [], None, 0)}
    yield Event(0, _event(answer, start), False)
    for index, block in enumerate(_blocks(choice)):
        opening = {"type": "content_block_start", "index": index, "content_block": block.opening}
        yield Event(done, _event(answer, opening), False)
        if not index:
            yield Event(done, _event(answer, {"type": "ping"}), False)
        yield from _deltas(answer, index, block, done)
        done += len(block.pieces)
        if block.last is not None:
            yield Event(done, _event(answer, _delta(index, block.last)), False)
        yield Event(done, _event(answer, {"type": "content_block_stop", "index": index}), False)
    delta = with_usage({"type": "message_delta"}, {"delta": ending(choice)}, answer, choice.tokens)
    yield Event(done, _event(answer, delta), False)
    yield Event(done, _event(answer, {"type": "message_stop"}), False)


def broken_message_event(answer: Answer) -> bytes:
    """Return an event whose JSON ends in the middle."""
    newline = b"\r\n" if answer.simulate.crlf else b"\n"
    data = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"'
    return b"event: content_block_delta" + newline + data + newline * 2


def _blocks(choice: Choice) -> Iterator[_Block]:
    if choice.reasoning:
        opening = {"type": "thinking", "thinking": "", "signature": ""}
        delta = {"type": "thinking_delta", "thinking": _HOLE}
        signature = {"type": "signature_delta", "signature": signature_of(choice)}
        yield _Block(opening, delta, choice.reasoning, signature)
    if any(choice.pieces):
        yield _Block({"type": "text", "text": ""}, {"type": "text_delta", "text": _HOLE}, choice.pieces)
    for call in choice.calls:
        yield _Block(tool_use(call), {"type": "input_json_delta", "partial_json": _HOLE}, call.pieces)


def _deltas(answer: Answer, index: int, block: _Block, done: int) -> Iterator[Event]:
    """Yield one event per token, each put into the hole of the same delta."""
    head, tail = _event(answer, _delta(index, block.delta)).split(_encode(_HOLE))
    for step, piece in enumerate(block.pieces, done):
        yield Event(step, head + _encode(piece) + tail, True)


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _event(answer: Answer, body: dict[str, Any]) -> bytes:
    newline = b"\r\n" if answer.simulate.crlf else b"\n"
    data, kind = _encode(body), str(body["type"])
    if answer.simulate.spaces:
        data = spaced(data)
    return b"event: " + kind.encode() + newline + b"data: " + data + newline * 2
