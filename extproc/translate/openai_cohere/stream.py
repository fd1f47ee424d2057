"""A stream of Cohere's as chat completion chunks, event by event.

Nothing leaves before the answer's first word, so that until then another target can be tried.
"""

from collections.abc import Callable

import msgspec

from extproc.translate.cohere_errors import failure_in_stream
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic.answer import completion_id
from extproc.translate.openai_anthropic.chunks import DONE, error_event
from extproc.translate.openai_cohere.provider import (
    Delta,
    Event,
    Logprobs,
    Message,
    Part,
    annotations_of,
    broken_off,
    call_of,
    each,
    finish_reason,
    logprobs_of,
    usage_of,
)
from extproc.translate.openai_gemini.chunks import Chunks
from extproc.translate.sse import EventReader, EventTooLargeError

_event = msgspec.json.Decoder(Event)
_NO_STREAM = "The provider answered with something else than an event stream."
_UNREADABLE = "An event of the provider's stream cannot be read."
_NO_MESSAGE = Message()


class ChunkDecoder:
    """One stream."""

    def __init__(self, known: Known) -> None:
        self.started = False
        self.failure: Failure | None = None
        self._functions = known.functions
        self._reader = EventReader()
        self._chunks = Chunks(completion_id(known), known.created, known.model)
        self._choice = self._chunks.of_choice(0)
        self._has_message = False
        self._early = b""  # what came before the first word and is none
        self._offsets: dict[int, int] = {}  # the characters of the message before each part of the content
        self._length = 0
        self._calls: dict[int, int] = {}  # Cohere's numbers of calls: ours
        self._wordless: set[int] = set()  # calls of which no arguments have come, by Cohere's number
        self._annotations = 0
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
        what = "The provider's stream ended before the answer did." if self._has_message else _NO_STREAM
        return self._fail(Failure.of("malformed", what))

    def _take(self, text: bytes) -> bytes:
        try:
            event = _event.decode(text)
            if event.type is None and isinstance(event.message, str):
                return self._fail(failure_in_stream(event.message))
            step = _STEPS.get(event.type or "")
            if step is None:
                return b""
            if self._has_message == (event.type == "message-start"):  # twice, or not first
                return self._fail(Failure.of("malformed", _UNREADABLE))
            return step(self, event, (event.delta and event.delta.message) or _NO_MESSAGE)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self._fail(Failure.of("malformed", _UNREADABLE))

    def _message_start(self, _: Event, __: Message) -> bytes:
        self._has_message = True
        return b""

    def _nothing(self, _: Event, __: Message) -> bytes:
        return b""

    def _content_start(self, event: Event, message: Message) -> bytes:
        self._offsets[event.index or 0] = self._length
        return b"".join([self._part(part) for part in each(message.content)])

    def _content_delta(self, event: Event, message: Message) -> bytes:
        if (event.index or 0) not in self._offsets:
            raise ValueError("a part of the content has not started")
        made = [self._part(part) for part in each(message.content)]
        if event.logprobs is not None:
            made.append(self._likeliness(event.logprobs))
        return b"".join(made)

    def _part(self, part: Part) -> bytes:
        made = b""
        if part.thinking:
            made = self._say(self._choice.delta({"reasoning_content": part.thinking}), content=None)
        if part.text:
            self._length += len(part.text)
            chunk = self._choice.text(part.text)
            made += chunk if self.started else self._say(chunk)
        return made

    def _likeliness(self, found: Logprobs) -> bytes:
        chunk = self._choice.logprobs(logprobs_of([found]) or {})
        if self.started:
            return chunk
        self._early += chunk
        return b""

    def _tool_plan(self, _: Event, message: Message) -> bytes:
        if not message.tool_plan:
            return b""
        return self._say(self._choice.delta({"reasoning_content": message.tool_plan}), content=None)

    def _call_start(self, event: Event, message: Message) -> bytes:
        (call,) = each(message.tool_calls)
        call_id, name, arguments = call_of(call)
        index, number = event.index or 0, len(self._calls)
        if index in self._calls:
            raise ValueError("a call starts twice")
        self._calls[index] = number
        if not arguments:
            self._wordless.add(index)
        function = {"name": name, "arguments": arguments}
        if self._functions:  # of which a client can be told one
            return self._say(self._choice.delta({"function_call": function}), content=None) if number == 0 else b""
        made = {"index": number, "id": call_id, "type": "function", "function": function}
        return self._say(self._choice.delta({"tool_calls": [made]}), content=None)

    def _call_delta(self, event: Event, message: Message) -> bytes:
        (call,) = each(message.tool_calls)
        index = event.index or 0
        if index not in self._calls:
            raise ValueError("a call has not started")
        text = (call.function and call.function.arguments) or ""
        if text:
            self._wordless.discard(index)
        return self._arguments(index, text)

    def _call_end(self, event: Event, _: Message) -> bytes:
        index = event.index or 0
        if index not in self._wordless:
            return b""
        self._wordless.discard(index)
        return self._arguments(index, "{}")

    def _arguments(self, index: int, text: str) -> bytes:
        number, function = self._calls[index], {"arguments": text}
        if not text or (self._functions and number):
            return b""
        if self._functions:
            return self._choice.delta({"function_call": function})
        return self._choice.delta({"tool_calls": [{"index": number, "function": function}]})

    def _citation(self, _: Event, message: Message) -> bytes:
        found = [
            annotation
            for citation in each(message.citations)
            for annotation in annotations_of(citation, self._offsets.get(citation.content_index or 0, 0))
        ]
        numbered = [{"index": at, **annotation} for at, annotation in enumerate(found, self._annotations)]
        self._annotations += len(found)
        return self._say(self._choice.delta({"annotations": numbered})) if numbered else b""

    def _message_end(self, event: Event, _: Message) -> bytes:
        delta = event.delta or Delta()
        if failure := broken_off(delta.finish_reason, delta.error):
            return self._fail(failure)
        if not delta.finish_reason:
            raise ValueError("there is no reason to end")
        usage = self._chunks.usage(usage_of(delta.usage))
        rest = [self._call_end(Event(index=index), _NO_MESSAGE) for index in sorted(self._wordless)]
        last = finish_reason(delta.finish_reason, calls=bool(self._calls), functions=self._functions)
        self._done = True
        return b"".join((*rest, self._say(self._choice.finish(last)), usage, DONE))

    def _say(self, chunk: bytes, content: str | None = "") -> bytes:
        """The chunk, after the one with the role if it is the first; `content` is what that has."""
        if self.started:
            return chunk
        self.started = True
        return self._choice.role(content) + self._early + chunk

    def _fail(self, failure: Failure) -> bytes:
        self.failure, self._done = failure, True
        return error_event(failure) if self.started else b""


_STEPS: dict[str, Callable[[ChunkDecoder, Event, Message], bytes]] = {
    "message-start": ChunkDecoder._message_start,
    "content-start": ChunkDecoder._content_start,
    "content-delta": ChunkDecoder._content_delta,
    "content-end": ChunkDecoder._nothing,
    "tool-plan-delta": ChunkDecoder._tool_plan,
    "tool-call-start": ChunkDecoder._call_start,
    "tool-call-delta": ChunkDecoder._call_delta,
    "tool-call-end": ChunkDecoder._call_end,
    "citation-start": ChunkDecoder._citation,
    "citation-end": ChunkDecoder._nothing,
    "message-end": ChunkDecoder._message_end,
}
