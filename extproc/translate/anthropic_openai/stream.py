"""A streamed chat completion as a stream of Anthropic's events. Remembers one answer; no bytes make it raise."""

from collections.abc import Callable
from typing import Any

from extproc.translate.anthropic_openai import events
from extproc.translate.anthropic_openai.blocks import Blocks, MalformedError
from extproc.translate.anthropic_openai.completion import (
    Choice,
    Completion,
    Usage,
    decoded,
    is_error,
    pieces_of,
    thinking_blocks_of,
)
from extproc.translate.anthropic_openai.message import CUT_OFF, broken_off, citations_of, end_of, message_of, usage_of
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_errors import failure_in
from extproc.translate.sse import Event, EventReader, EventTooLargeError


class Decoder:
    """One answer. Usage may come with the end, after it, in every chunk or never; the end itself may lack [DONE]."""

    def __init__(self, known: Known, read_error: Callable[[bytes], Failure] = failure_in) -> None:
        self.started = False
        self.failure: Failure | None = None
        self._known = known
        self._read_error = read_error
        self._reader = EventReader()
        self._blocks = Blocks(known.request_id)
        self._over = self._seen = self._refused = False
        self._model = ""
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._stop_reason: Any = None

    def feed(self, data: bytes) -> bytes:
        """The client's events for these bytes."""
        if self._over:
            return b""
        try:
            found = self._reader.feed(data)
        except EventTooLargeError:
            return self._fail(Failure.of("malformed", "The provider's answer has an event that is too large."))
        return self._take(found)

    def end(self) -> bytes:
        """The last events, or an error when the answer has not come to its end."""
        if self._over:
            return b""
        out = b""
        if self._reader.holds_part:  # the last line feed may be missing
            out = self._take([event for event in self._reader.feed(b"\n\n") if _is_whole(event)])
        if self._over:
            return out
        if self._finish_reason is None:
            what = "stopped half-way" if self._seen else "is not an event stream"
            return out + self._fail(Failure.of("malformed", f"The provider's answer {what}."))
        return out + self._finish()

    def _take(self, found: list[Event]) -> bytes:
        out = []
        for event in found:
            try:
                out.append(self._event(event))
            except MalformedError as error:
                out.append(self._fail(Failure.of("malformed", str(error))))
            if self._over:
                break
        return b"".join(out)

    def _event(self, event: Event) -> bytes:
        self._seen = True
        if event.data == b"[DONE]":
            if self._finish_reason is None:
                raise MalformedError("The provider's answer ended without a finish_reason.")
            return self._finish()
        chunk = decoded(event.data)
        if event.name == b"error" or (chunk is not None and is_error(chunk)):
            return self._fail(self._read_error(event.data))
        if chunk is None:
            raise MalformedError("The provider's answer has a chunk that is not a chat completion's.")
        return self._chunk(chunk)

    def _chunk(self, chunk: Completion) -> bytes:
        self._count(chunk.usage)
        if not self._model and chunk.model:
            self._model = chunk.model
        for choice in chunk.choices or ():
            if not choice.index:  # one answer is all that was asked for
                return self._choice(choice)
        return b""

    def _count(self, usage: Usage | None) -> None:
        if usage is not None and usage.prompt_tokens is not None:
            self._usage = usage

    def _choice(self, choice: Choice) -> bytes:
        out, delta = b"", choice.delta
        if delta is not None:
            for piece in pieces_of(delta):
                out += self._blocks.words(piece)
            if delta.thinking_blocks is not None:
                out += b"".join([self._blocks.thought(block) for block in thinking_blocks_of(delta)])
            if delta.annotations:
                out += b"".join(self._blocks.cites(cited) for cited in citations_of(delta))
            for call in delta.tool_calls or ():
                out += self._blocks.call(call)
            self._refused = self._refused or bool(delta.refusal)
        if out and not self.started:
            out = self._start() + out
        if choice.finish_reason:
            self._count(choice.usage)
            self._finish_reason, self._stop_reason = choice.finish_reason, choice.stop_reason
            failure = broken_off(choice.finish_reason)
            if failure is not None:
                return out + self._fail(failure)
        return out

    def _start(self) -> bytes:
        self.started = True
        return events.start_of(message_of(self._known, self._model, self._usage, started=True))

    def _finish(self) -> bytes:
        reason = self._finish_reason
        try:
            rest = self._blocks.end(cut_off=reason in CUT_OFF)
        except MalformedError as error:
            return self._fail(Failure.of("malformed", str(error)))
        start = b"" if self.started else self._start()
        self._over = True
        stop = end_of(reason, self._stop_reason, self._refused, self._blocks.has_calls)
        return start + rest + events.end_of_message(stop, usage_of(self._usage))

    def _fail(self, failure: Failure) -> bytes:
        self._over, self.failure = True, failure
        return events.error(failure, self._known.request_id) if self.started else b""


def _is_whole(event: Event) -> bool:
    return event.data == b"[DONE]" or decoded(event.data) is not None
