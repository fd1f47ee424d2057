"""A streamed chat completion as events of the Responses API. Remembers one answer; no bytes make it raise."""

from collections.abc import Callable

import msgspec

from extproc.translate.anthropic_openai.blocks import MalformedError
from extproc.translate.anthropic_openai.completion import Usage, words_of
from extproc.translate.anthropic_openai.message import broken_off
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.responses_openai.completion import (
    Choice,
    Completion,
    Message,
    decoded,
    is_error,
    thoughts_of,
)
from extproc.translate.responses_openai.content import Json
from extproc.translate.responses_openai.events import first_events
from extproc.translate.responses_openai.output import Output
from extproc.translate.responses_openai.response import (
    Frame,
    annotations_of,
    end_of,
    error_of,
    logprobs_of,
    served,
    used,
)
from extproc.translate.sse import Event, EventReader, EventTooLargeError


class Decoder:
    """One answer. Usage may come with the end, after it, in every chunk or never; the end itself may lack [DONE]."""

    def __init__(self, known: Known, read_error: Callable[[bytes], Failure]) -> None:
        self.started = False
        self.failure: Failure | None = None
        self._read_error = read_error
        self._reader = EventReader()
        self._frame = Frame(known)
        self._output = Output(known)
        self._over = self._seen = False
        self._model = ""
        self._tier: Json = {}
        self._usage: Usage | None = None
        self._finish_reason: str | None = None

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
        self._model = self._model or chunk.model or ""
        self._tier = self._tier or served(chunk.service_tier)
        for choice in chunk.choices or ():
            if not choice.index:  # one answer is all that was asked for
                return self._choice(choice)
        return b""

    def _count(self, usage: Usage | None) -> None:
        if usage is not None and usage.prompt_tokens is not None:
            self._usage = usage

    def _choice(self, choice: Choice) -> bytes:
        out, broken = (b"", None) if choice.delta is None else self._delta(choice.delta, choice)
        if out and not self.started:
            out = self._start() + out
        if broken is not None:
            return out + self._fail(broken)
        if choice.finish_reason:
            self._count(choice.usage)
            self._finish_reason = choice.finish_reason
            if (failure := broken_off(choice.finish_reason)) is not None:
                return out + self._fail(failure)
        return out

    def _delta(self, delta: Message, choice: Choice) -> tuple[bytes, Failure | None]:
        """The events for a piece, and what makes it none of an answer."""
        made, output = list[bytes](), self._output
        logprobs = logprobs_of(choice.logprobs) if choice.logprobs is not None else []
        for piece in words_of(delta):
            of_text = logprobs if piece[0] == "text" else []
            made.append(output.words(piece, of_text))
            logprobs = [] if of_text else logprobs
        if logprobs:
            made.append(output.likely(logprobs))
        if delta.thinking_blocks is not None and (sealed := thoughts_of(delta)):
            made.append(output.keep(sealed))
        if delta.annotations:
            made += [output.cites(annotation) for annotation in annotations_of(delta)]
        if delta.refusal:
            made.append(output.refusal(delta.refusal))
        try:
            for call in delta.tool_calls or ():
                made.append(output.call(call))
        except MalformedError as error:
            return b"".join(made), Failure.of("malformed", str(error))
        return b"".join(made), None

    def _start(self) -> bytes:
        self.started = True
        return first_events(self._frame.response(self._model, "in_progress", [], **self._tier))

    def _finish(self) -> bytes:
        status, members = end_of(self._finish_reason)
        try:
            rest = self._output.end(status)
        except MalformedError as error:
            return self._fail(Failure.of("malformed", str(error)))
        start = b"" if self.started else self._start()
        return start + rest + self._last(status, **members)

    def _fail(self, failure: Failure) -> bytes:
        self.failure, self._over = failure, True
        return self._last("failed", error=error_of(failure)) if self.started else b""

    def _last(self, status: str, **members: object) -> bytes:
        self._over = True
        members |= used(self._usage) | self._tier
        response: msgspec.Raw = self._frame.response(self._model, status, self._output.items(), **members)
        return self._output.last(f"response.{status}", response)


def _is_whole(event: Event) -> bool:
    return event.data == b"[DONE]" or decoded(event.data) is not None
