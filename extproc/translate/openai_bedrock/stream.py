"""A stream of Converse's as chat completion chunks, frame by frame.

Nothing leaves before the answer's first word, so that until then another target can be tried. The message's end comes
before its usage: the stream is whole from then on, and done with the usage.
"""

import base64
from collections.abc import Callable

import msgspec

from extproc.translate.bedrock_errors import failure_in_stream
from extproc.translate.direction import Known
from extproc.translate.eventstream import Frame, FrameError, FrameReader
from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic.answer import completion_id, thought_of
from extproc.translate.openai_anthropic.chunks import DONE, Chunks, error_event
from extproc.translate.openai_anthropic.provider import Block as Said
from extproc.translate.openai_bedrock.answer import call
from extproc.translate.openai_bedrock.path import shown_model
from extproc.translate.openai_bedrock.provider import (
    Citation,
    Delta,
    Event,
    ReasoningDelta,
    annotation_of,
    broken_off,
    finish_reason,
    usage_of,
)

_event = msgspec.json.Decoder(Event)
_NO_STREAM = "The provider answered with something else than an event stream."


class _Block:
    """A block between its start and its stop."""

    __slots__ = ("call", "citations", "others", "redacted", "signature", "starts_at", "thoughts", "wrote")

    def __init__(self, others: int, starts_at: int) -> None:
        self.call: int | None = None  # its number, of a tool call
        self.others = others  # blocks before it that are sent back: the text, and calls
        self.starts_at = starts_at  # in the message's text, in characters
        self.citations = list[Citation]()
        self.thoughts: list[str] | None = None
        self.signature = ""
        self.redacted: bytes | None = None
        self.wrote = False  # anything of a tool's input


class ChunkDecoder:
    """One stream."""

    def __init__(self, known: Known) -> None:
        self.started = False
        self.failure: Failure | None = None
        self._known = known
        self._functions = known.functions
        self._reader = FrameReader()
        self._chunks: Chunks | None = None  # from messageStart on
        self._blocks = dict[int, _Block]()
        self._skipped = set[int]()  # blocks of the provider's own tools
        self._calls = 0
        self._thoughts = 0
        self._annotations = 0
        self._length = 0
        self._stop_reason: str | None = None
        self._done = False

    def feed(self, data: bytes) -> bytes:
        """What the client gets for these bytes; may be nothing."""
        if self._done:
            return b""
        made = list[bytes]()
        try:
            for frame in self._reader.feed(data):
                made.append(self._take(frame))
                if self._done:
                    break
        except FrameError:
            made.append(self._malformed("cannot be read"))
        return b"".join(made)

    def end(self) -> bytes:
        """The provider has ended its answer. One that stops half-way is a failure; usage may be missing."""
        if self._done:
            return b""
        if self._stop_reason is not None and not self._reader.holds_part and self._chunks is not None:
            return self._finish(self._chunks, None)
        what = "The provider's stream ended before the answer did." if self._chunks else _NO_STREAM
        return self._fail(Failure.of("malformed", what))

    def _take(self, frame: Frame) -> bytes:
        if frame.kind == "exception":
            return self._fail(failure_in_stream(frame.name, frame.payload))
        if frame.kind == "error":
            text = msgspec.json.encode({"message": frame.texts.get(":error-message", "")})
            return self._fail(failure_in_stream(frame.name, text))
        step = _STEPS.get(frame.name) if frame.kind == "event" else None
        if step is None:
            return b""
        try:
            event = _event.decode(frame.payload)
            if self._chunks is None and step is not ChunkDecoder._start:
                return self._malformed("comes before the start of the message")
            return step(self, event)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self._malformed("cannot be read")

    def _start(self, _: Event) -> bytes:
        if self._chunks is not None:
            return self._malformed("starts a message where none can start")
        known = self._known
        self._chunks = Chunks(completion_id(known), known.created, shown_model(known.model), None)
        return b""

    def _block_start(self, event: Event) -> bytes:
        asked = None if event.start is None else event.start.tool_use
        if asked is None:
            return b""
        if asked.type is not None:
            self._skipped.add(event.content_block_index)
            return b""
        if event.content_block_index in self._blocks:
            return self._malformed("starts a block where none can start")
        block = self._block(event.content_block_index)
        block.call, self._calls = self._calls, self._calls + 1
        assert self._chunks is not None  # noqa: S101 - the caller has looked
        return self._say(self._chunks.call(block.call, call(asked), functions=self._functions), empty=None)

    def _delta(self, event: Event) -> bytes:
        delta, chunks = event.delta, self._chunks
        assert chunks is not None  # noqa: S101 - the caller has looked
        if delta is None or event.content_block_index in self._skipped:
            return b""
        block = self._block(event.content_block_index)
        if delta.text:
            self._length += len(delta.text)
            return self._say(chunks.text(delta.text))
        if delta.tool_use is not None:
            return self._input(block, delta, chunks)
        if delta.reasoning_content is not None:
            return self._reasoning(block, delta.reasoning_content, chunks)
        if delta.citation is not None:
            block.citations.append(delta.citation)
            return self._say(b"")
        return b""

    def _input(self, block: _Block, delta: Delta, chunks: Chunks) -> bytes:
        text = None if delta.tool_use is None else delta.tool_use.input
        if block.call is None:
            return self._malformed("adds to a tool call that has not started")
        if not text or (self._functions and block.call):
            return b""
        block.wrote = True
        return chunks.arguments(block.call, text, functions=self._functions)

    def _reasoning(self, block: _Block, delta: ReasoningDelta, chunks: Chunks) -> bytes:
        if delta.redacted_content is not None:
            block.redacted = (block.redacted or b"") + base64.b64decode(delta.redacted_content, validate=True)
            return self._say(b"", empty=None)
        block.thoughts = block.thoughts or []
        block.signature += delta.signature or ""
        if not delta.text:
            return self._say(b"", empty=None) if delta.signature else b""
        block.thoughts.append(delta.text)
        return self._say(chunks.reasoning(delta.text), empty=None)

    def _block_stop(self, event: Event) -> bytes:
        block, chunks = self._blocks.pop(event.content_block_index, None), self._chunks
        self._skipped.discard(event.content_block_index)
        return b"" if block is None or chunks is None else self._close(block, chunks)

    def _close(self, block: _Block, chunks: Chunks) -> bytes:
        """What is said of a block once it is complete."""
        if block.call is not None:
            if block.wrote or (self._functions and block.call):
                return b""
            return chunks.arguments(block.call, "{}", functions=self._functions)
        if block.citations:
            made = [annotation_of(one, block.starts_at, self._length) for one in block.citations]
            self._annotations += len(made)
            return self._say(chunks.annotations(self._annotations - len(made), made))
        if block.redacted is not None:
            said = Said("redacted_thinking", data=base64.b64encode(block.redacted).decode())
        elif block.thoughts is not None:
            said = Said("thinking", thinking="".join(block.thoughts), signature=block.signature)
        else:
            return b""
        thought = thought_of(said, self._thoughts, block.others)
        self._thoughts += 1
        return self._say(chunks.thought(self._thoughts - 1, thought or {}), empty=None)

    def _stop(self, event: Event) -> bytes:
        chunks, reason = self._chunks, event.stop_reason
        assert chunks is not None  # noqa: S101 - the caller has looked
        if reason is None or self._stop_reason is not None:
            return self._malformed("ends a message without a reason, or again")
        if failure := broken_off(reason):
            return self._fail(failure)
        closed = [self._close(block, chunks) for _, block in sorted(self._blocks.items())]
        self._blocks.clear()
        self._stop_reason = reason
        finish = chunks.finish(finish_reason(reason, calls=self._calls > 0, functions=self._functions))
        return b"".join((*closed, self._say(finish)))

    def _metadata(self, event: Event) -> bytes:
        if self._stop_reason is None or self._chunks is None:
            return b""  # more of it than one is unheard of
        return self._finish(self._chunks, event)

    def _finish(self, chunks: Chunks, event: Event | None) -> bytes:
        self._done = True
        return chunks.usage(usage_of(None if event is None else event.usage)) + DONE

    def _block(self, index: int) -> _Block:
        """The block, from its first event on: blocks of text have no start of their own."""
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = _Block(self._calls + (self._length > 0), self._length)
        return block

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


_STEPS: dict[str, Callable[[ChunkDecoder, Event], bytes]] = {
    "messageStart": ChunkDecoder._start,
    "contentBlockStart": ChunkDecoder._block_start,
    "contentBlockDelta": ChunkDecoder._delta,
    "contentBlockStop": ChunkDecoder._block_stop,
    "messageStop": ChunkDecoder._stop,
    "metadata": ChunkDecoder._metadata,
}
