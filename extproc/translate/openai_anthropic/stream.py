"""A stream of Anthropic's as chat completion chunks, event by event.

Nothing leaves before the answer's first word, so that until then another target can be tried.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from extproc.translate.anthropic_errors import failure_in_stream
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic.answer import arguments_of, completion_id, thought_of
from extproc.translate.openai_anthropic.chunks import DONE, Chunks, error_event
from extproc.translate.openai_anthropic.provider import (
    Block,
    Delta,
    Event,
    EventType,
    Usage,
    annotation_of,
    finish_reason,
    usage_of,
)
from extproc.translate.sse import EventReader, EventTooLargeError

_event = msgspec.json.Decoder(Event)
_event_type = msgspec.json.Decoder(EventType)
_KNOWN = {
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "error",
}
_NO_STREAM = "The provider answered with something else than an event stream."


class _OpenBlock:
    """A block between its start and its stop."""

    __slots__ = ("block", "call", "citations", "starts_at", "thoughts", "wrote")

    def __init__(self, block: Block, call: int, starts_at: int) -> None:
        self.block = block
        self.call = call  # how many tool calls are before it
        self.starts_at = starts_at  # in the message's text, in characters
        self.citations = block.citations or []
        self.thoughts = [block.thinking or ""]
        self.wrote = False  # anything of a tool's input


class ChunkDecoder:
    """One stream."""

    def __init__(self, known: Known) -> None:
        self.started = False
        self.failure: Failure | None = None
        self._known = known
        self._functions = known.functions
        self._reader = EventReader()
        self._chunks: Chunks | None = None  # from message_start on
        self._blocks = dict[int, _OpenBlock]()
        self._calls = 0
        self._thoughts = 0
        self._annotations = 0
        self._length = 0
        self._usage: Usage | None = None
        self._stop_reason: str | None = None
        self._refusal: str | None = None
        self._done = False

    def feed(self, data: bytes) -> bytes:
        """What the client gets for these bytes; may be nothing."""
        if self._done:
            return b""
        made = list[bytes]()
        try:
            for _, text in self._reader.feed(data):
                made.append(self._take(text))
                if self._done:
                    break
        except EventTooLargeError:
            made.append(self._fail(Failure.of("malformed", "An event of the provider's stream is too large.")))
        return b"".join(made)

    def end(self) -> bytes:
        """The provider has ended its answer. One that stops half-way is a failure."""
        if self._done:
            return b""
        what = "The provider's stream ended before the answer did." if self._chunks else _NO_STREAM
        return self._fail(Failure.of("malformed", what))

    def _take(self, text: bytes) -> bytes:
        try:
            event = _event.decode(text)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self._take_odd(text)
        if event.type == "content_block_delta":  # nearly all of them
            return self._delta(event)
        step = _STEPS.get(event.type)
        return step(self, event) if step is not None else b""

    def _take_odd(self, text: bytes) -> bytes:
        """An event that is not as its API says: to be ignored if it is of a kind that is not known."""
        try:
            if _event_type.decode(text).type not in _KNOWN:
                return b""
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass
        return self._malformed("cannot be read")

    def _start(self, event: Event) -> bytes:
        if event.message is None or self._chunks is not None:
            return self._malformed("starts a message where none can start")
        self._usage = event.message.usage
        self._chunks = Chunks(completion_id(self._known), self._known.created, event.message.model or "", self._usage)
        return b""

    def _block_start(self, event: Event) -> bytes:
        block = event.content_block
        if block is None or self._chunks is None or event.index in self._blocks:
            return self._malformed("starts a block where none can start")
        open_block = _OpenBlock(block, self._calls, self._length)
        self._blocks[event.index] = open_block
        if block.type == "tool_use":
            if not (block.id and block.name):
                return self._malformed("calls a tool without an id or a name")
            self._calls += 1
            return self._say(self._chunks.call(open_block.call, block, functions=self._functions), empty=None)
        if block.type == "text" and block.text:
            return self._text(block.text)
        if block.type == "thinking" and block.thinking:
            return self._say(self._chunks.reasoning(block.thinking), empty=None)
        return b""

    def _delta(self, event: Event) -> bytes:
        open_block, delta = self._blocks.get(event.index), event.delta
        if open_block is None or delta is None:
            return self._malformed("adds to a block that is not open")
        kind = delta.type
        if kind == "text_delta":
            if open_block.block.type != "text":
                return self._malformed("adds text to another kind of block")
            return self._text(delta.text) if delta.text else b""
        return self._other_delta(open_block, delta)

    def _other_delta(self, open_block: _OpenBlock, delta: Delta) -> bytes:
        block, chunks = open_block.block, self._chunks
        assert chunks is not None  # noqa: S101 - a block is open
        if delta.type == "input_json_delta" and block.type == "tool_use":
            if not delta.partial_json or (self._functions and open_block.call):
                return b""
            open_block.wrote = True
            return chunks.arguments(open_block.call, delta.partial_json, functions=self._functions)
        if block.type == "thinking":
            if delta.type == "thinking_delta" and delta.thinking:
                open_block.thoughts.append(delta.thinking)
                return self._say(chunks.reasoning(delta.thinking), empty=None)
            if delta.type == "signature_delta":
                block.signature = delta.signature
        elif delta.type == "citations_delta" and delta.citation is not None:
            open_block.citations.append(delta.citation)
        return b""

    def _block_stop(self, event: Event) -> bytes:
        open_block, chunks = self._blocks.pop(event.index, None), self._chunks
        if open_block is None or chunks is None:
            return self._malformed("ends a block that is not open")
        block = open_block.block
        if block.type == "tool_use":
            if open_block.wrote or (self._functions and open_block.call):
                return b""
            return chunks.arguments(open_block.call, arguments_of(block), functions=self._functions)
        if block.type == "text":
            return self._annotate(open_block, chunks)
        block.thinking = "".join(open_block.thoughts)
        thought = thought_of(block, self._thoughts, open_block.call + (open_block.starts_at > 0))
        if thought is None:
            return b""
        self._thoughts += 1
        return self._say(chunks.thought(self._thoughts - 1, thought), empty=None)

    def _annotate(self, open_block: _OpenBlock, chunks: Chunks) -> bytes:
        made = [annotation_of(one, open_block.starts_at, self._length) for one in open_block.citations]
        if not made:
            return b""
        self._annotations += len(made)
        return self._say(chunks.annotations(self._annotations - len(made), made))

    def _message_delta(self, event: Event) -> bytes:
        if self._chunks is None:
            return self._malformed("comes before the start of the message")
        if event.delta is not None:
            self._stop_reason = event.delta.stop_reason or self._stop_reason
            self._refusal = (event.delta.stop_details and event.delta.stop_details.explanation) or self._refusal
        self._usage = _merged(self._usage, event.usage)
        return b""

    def _stop(self, _: Event) -> bytes:
        chunks = self._chunks
        if chunks is None or self._blocks:
            return self._malformed("ends a message that has not started, or a block of which has not ended")
        refusal = b"" if self._refusal is None else self._say(chunks.refusal(self._refusal), empty=None)
        reason = finish_reason(self._stop_reason, calls=self._calls > 0, functions=self._functions)
        last = self._say(chunks.finish(reason))
        self._done = True
        return b"".join((refusal, last, chunks.usage(usage_of(self._usage)), DONE))

    def _error(self, event: Event) -> bytes:
        return self._fail(failure_in_stream(event.error))

    def _text(self, text: str) -> bytes:
        self._length += len(text)
        assert self._chunks is not None  # noqa: S101 - a block is open
        chunk = self._chunks.text(text)
        return chunk if self.started else self._say(chunk)

    def _say(self, chunk: bytes, empty: str | None = "") -> bytes:
        """The chunk, after the one with the role if it is the first; `empty` is what that has for content."""
        if self.started:
            return chunk
        self.started = True
        assert self._chunks is not None  # noqa: S101 - there is a chunk
        return self._chunks.role(empty) + chunk

    def _malformed(self, what: str) -> bytes:
        return self._fail(Failure.of("malformed", f"An event of the provider's stream {what}."))

    def _fail(self, failure: Failure) -> bytes:
        self.failure, self._done = failure, True
        return error_event(failure) if self.started else b""


def _merged(old: Usage | None, new: Usage | None) -> Usage | None:
    """The totals so far: members that the newer event does not have keep their value."""
    if old is None or new is None:
        return new or old
    changed: dict[str, Any] = {
        name: value for name, value in msgspec.structs.asdict(new).items() if value is not None
    }
    return msgspec.structs.replace(old, **changed)


_STEPS: dict[str, Callable[[ChunkDecoder, Event], bytes]] = {
    "message_start": ChunkDecoder._start,
    "content_block_start": ChunkDecoder._block_start,
    "content_block_stop": ChunkDecoder._block_stop,
    "message_delta": ChunkDecoder._message_delta,
    "message_stop": ChunkDecoder._stop,
    "error": ChunkDecoder._error,
}
