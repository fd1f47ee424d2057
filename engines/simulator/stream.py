"""The events of a streamed answer, as the bytes of whole SSE events. Pure.

A chunk is encoded once per place where a token can stand (content of choice 0, arguments of its call 1, …),
with a hole for the token; the tokens are then only put into the hole. That keeps a chunk near a microsecond.
"""

import re
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Any, Final, NamedTuple

import msgspec

from engines.simulator.answer import CHAT, Answer, Choice
from engines.simulator.bodies import StreamOptions
from engines.simulator.faults import spaced
from engines.simulator.usage import usage_of

_CHUNK_KINDS: Final = {CHAT: "chat.completion.chunk"}
_PIECE_HOLE: Final = "\0piece"
_USAGE_HOLE: Final = "\0usage"
_encode: Final = msgspec.json.encode
_HOLES: Final = re.compile(b"|".join(re.escape(_encode(hole)) for hole in (_PIECE_HOLE, _USAGE_HOLE)))


class Event(NamedTuple):
    """One SSE event: when it is due, in tokens after the first one, and whether it carries a token."""

    step: int
    data: bytes
    token: bool


class Place(NamedTuple):
    """Where tokens of a choice stand in a chunk."""

    field: str  # "content", "text", "reasoning_content" or "arguments"
    call: int = 0


def stream_events(answer: Answer, options: StreamOptions | None) -> Iterator[Event]:
    """Yield the events of an answer, the last one being `[DONE]`."""
    return _Chunks(answer, options).events()


def broken_event(answer: Answer) -> bytes:
    """Return an event whose JSON ends in the middle."""
    newline = b"\r\n" if answer.simulate.crlf else b"\n"
    return b'data: {"id":' + _encode(answer.id) + b',"choices":[{"index":0,"delta":{"content":"' + newline * 2


class _Chunks:
    def __init__(self, answer: Answer, options: StreamOptions | None) -> None:
        self._answer = answer
        self._simulate = answer.simulate
        self._kind = _CHUNK_KINDS.get(answer.kind, answer.kind)
        self._newlines = b"\r\n\r\n" if answer.simulate.crlf else b"\n\n"
        asked = options is not None and bool(options.include_usage) and not answer.simulate.no_usage
        self._usage_at_end = asked
        self._usage_always = asked and options is not None and bool(options.continuous_usage_stats)

    def events(self) -> Iterator[Event]:
        answer = self._answer
        yield from chain.from_iterable(map(self._opening, answer.choices))
        if len(answer.choices) == 1:
            yield from self._tokens(answer.choices[0])
        else:
            for together in zip_longest(*map(self._tokens, answer.choices)):
                yield from (event for event in together if event is not None)
        if self._usage_at_end:
            yield Event(answer.steps, self._event(answer.envelope(self._kind, [], answer.usage)), False)
        yield Event(answer.steps, b"data: [DONE]" + self._newlines, False)

    def _opening(self, choice: Choice) -> Iterator[Event]:
        if self._answer.kind == CHAT:
            yield self._chunk(0, choice, {"delta": {"role": "assistant", "content": ""}})
        elif choice.echo:
            yield self._chunk(0, choice, {"text": choice.echo})

    def _tokens(self, choice: Choice) -> Iterator[Event]:
        done = 0
        text = "content" if self._answer.kind == CHAT else "text"
        for place, pieces in ((Place("reasoning_content"), choice.reasoning), (Place(text), choice.pieces)):
            yield from self._filled(choice, place, pieces, done)
            done += len(pieces)
        for at, call in enumerate(choice.calls):
            function = {"name": call.name, "arguments": ""}
            opening = {"index": at, "id": call.id, "type": "function", "function": function}
            yield self._chunk(done, choice, {"delta": {"tool_calls": [opening]}})
            yield from self._filled(choice, Place("arguments", at), call.pieces, done)
            done += len(call.pieces)
        ending: dict[str, Any] = {"delta": {}} if self._answer.kind == CHAT else {"text": ""}
        yield self._chunk(done, choice, ending, choice.finish_reason)

    def _filled(self, choice: Choice, place: Place, pieces: tuple[str, ...], done: int) -> Iterator[Event]:
        """Yield one event per piece, or for so many as are asked for, each put into the hole of the same chunk."""
        if not pieces:
            return
        usage = _USAGE_HOLE if self._usage_always else self._usage_between
        template = self._event(self._envelope(choice, _content(place, _PIECE_HOLE), None, usage))
        if not self._usage_always:
            head, tail = template.split(_encode(_PIECE_HOLE))
            for step, piece in self._together(pieces, done):
                yield Event(step, head + _encode(piece) + tail, True)
            return
        head, between, tail = _HOLES.split(template)
        usage_first = self._simulate.usage_first
        for step, piece in self._together(pieces, done):
            token, usage = _encode(piece), self._usage_bytes(step + 1)  # vLLM counts per choice here
            left, right = (usage, token) if usage_first else (token, usage)
            yield Event(step, head + left + between + right + tail, True)

    def _together(self, pieces: tuple[str, ...], done: int) -> Iterator[tuple[int, str]]:
        """The pieces of each event, due with the last one."""
        each = self._simulate.tokens_per_event
        for at in range(0, len(pieces), each):
            yield done + min(at + each, len(pieces)) - 1, "".join(pieces[at : at + each])

    def _chunk(self, step: int, choice: Choice, content: dict[str, Any], finish_reason: str | None = None) -> Event:
        usage = self._usage_between
        if self._usage_always:
            usage = usage_of(self._answer.prompt_tokens, step, self._simulate)
        return Event(step, self._event(self._envelope(choice, content, finish_reason, usage)), False)

    @property
    def _usage_between(self) -> Any:
        """What chunks before the last say of usage: nothing as vLLM, or null as OpenAI."""
        return None if self._usage_at_end and self._simulate.null_usage else msgspec.UNSET

    def _usage_bytes(self, done: int) -> bytes:
        usage = _encode(usage_of(self._answer.prompt_tokens, done, self._simulate))
        return spaced(usage) if self._simulate.spaces else usage

    def _envelope(
        self, choice: Choice, content: dict[str, Any], finish_reason: str | None, usage: Any
    ) -> dict[str, Any]:
        one = {"index": choice.index, **content, "logprobs": None, "finish_reason": finish_reason}
        return self._answer.envelope(self._kind, [one], usage)

    def _event(self, body: dict[str, Any]) -> bytes:
        data = _encode(body)
        return b"data: " + (spaced(data) if self._simulate.spaces else data) + self._newlines


def _content(place: Place, token: str) -> dict[str, Any]:
    if place.field == "text":
        return {"text": token}
    if place.field == "arguments":
        return {"delta": {"tool_calls": [{"index": place.call, "function": {"arguments": token}}]}}
    return {"delta": {place.field: token}}
