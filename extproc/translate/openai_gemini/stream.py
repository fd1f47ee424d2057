"""A stream of Gemini's as chat completion chunks, event by event.

Nothing marks the stream's end but the end itself: it is whole when every answer in it has a reason to end. Nothing
leaves before the answer's first word, so that until then another target can be tried.
"""

import msgspec

from extproc.translate.call_signature import signed
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.gemini_errors import failure_in_stream
from extproc.translate.openai_anthropic.answer import completion_id
from extproc.translate.openai_anthropic.chunks import DONE, error_event
from extproc.translate.openai_gemini.chunks import ChoiceChunks, Chunks
from extproc.translate.openai_gemini.path import bare_name
from extproc.translate.openai_gemini.provider import (
    Answer,
    Candidate,
    Part,
    Usage,
    blocked,
    broken_off,
    call_of,
    end_of,
    finish_reason,
    logprobs_of,
    refusal_of,
    usage_of,
)
from extproc.translate.sse import EventReader, EventTooLargeError

_event = msgspec.json.Decoder(Answer)
_NO_STREAM = "The provider answered with something else than an event stream."
_BLOCKED = "SAFETY"
_MOST_CHOICES = 128  # what OpenAI's clients can ask for


class _Choice:
    """One answer of those in the stream."""

    __slots__ = ("calls", "chunks", "early", "end", "has_begun", "refusal", "signature")

    def __init__(self, chunks: ChoiceChunks) -> None:
        self.chunks = chunks
        self.calls = 0
        self.has_begun = False
        self.early = b""  # what came before its first word and is none
        self.end: str | None = None
        self.refusal: str | None = None
        self.signature: str | None = None  # of anything but a call; the last one

    def begin(self, content: str | None) -> bytes:
        """The chunk with the role, if none has been before."""
        if self.has_begun:
            return b""
        self.has_begun = True
        return self.chunks.role(content) + self.early

    def in_turn(self, chunk: bytes) -> bytes:
        """The chunk now, or behind the one with the role."""
        if self.has_begun:
            return chunk
        self.early += chunk
        return b""

    def finish(self, *, functions: bool) -> bytes:
        """What is known at the end only."""
        made = [self.chunks.delta(signed(self.signature))] if self.signature else []
        if self.refusal is not None:
            made.append(self.chunks.delta({"refusal": self.refusal}))
        made.append(self.chunks.finish(finish_reason(self.end or "", calls=self.calls > 0, functions=functions)))
        return b"".join(made)


class ChunkDecoder:
    """One stream."""

    def __init__(self, known: Known) -> None:
        self.started = False
        self.failure: Failure | None = None
        self._known = known
        self._reader = EventReader()
        self._has_events = False
        self._model = ""
        self._chunks: Chunks | None = None  # from the first answer on
        self._choices = dict[int, _Choice]()
        self._usage: Usage | None = None
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
        chunks, choices = self._chunks, [choice for _, choice in sorted(self._choices.items())]
        is_cut = self._reader.holds_part or not choices or any(choice.end is None for choice in choices)
        if chunks is None or is_cut:
            what = "The provider's stream ended before the answer did." if self._has_events else _NO_STREAM
            return self._fail(Failure.of("malformed", what))
        self._done = True
        last = [choice.finish(functions=self._known.functions) for choice in choices]
        return b"".join((*last, chunks.usage(usage_of(self._usage)), DONE))

    def _take(self, text: bytes) -> bytes:
        try:
            event = _event.decode(text)
            if event.fails:
                return self._fail(failure_in_stream(event.error))
            if failure := broken_off(event):
                return self._fail(failure)
            return self._say(event)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self._fail(Failure.of("malformed", "An event of the provider's stream cannot be read."))

    def _say(self, event: Answer) -> bytes:
        self._has_events = True
        self._model = self._model or event.model_version or ""
        self._usage = _merged(self._usage, event.usage_metadata)
        said = b"".join([self._add(candidate) for candidate in event.candidates or ()])
        if (why := blocked(event)) and not (said or self.started):
            self._choices.clear()
            choice = self._choice(0)
            choice.end, choice.refusal = _BLOCKED, why
            said = choice.begin(None)
        self.started = self.started or bool(said)
        return said

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            if not 0 <= index < _MOST_CHOICES:
                raise ValueError("an index is out of range")
            if self._chunks is None:
                self._chunks = Chunks(
                    completion_id(self._known), self._known.created, self._model or bare_name(self._known.model)
                )
            choice = self._choices[index] = _Choice(self._chunks.of_choice(index))
        return choice

    def _add(self, candidate: Candidate) -> bytes:
        index = candidate.index or 0
        choice = self._choice(index)
        made = list[bytes]()
        for part in (candidate.content and candidate.content.parts) or ():
            made += self._part(part, choice, index)
        if (logprobs := logprobs_of(candidate.logprobs_result)) is not None:
            made.append(choice.in_turn(choice.chunks.logprobs(logprobs)))
        if (end := end_of(candidate)) is not None:
            choice.end, choice.refusal = end, refusal_of(candidate)
            made.append(choice.begin(None if choice.refusal else ""))
        return b"".join(made)

    def _part(self, part: Part, choice: _Choice, index: int) -> list[bytes]:
        if part.function_call is not None:
            return self._call(part, choice, index)
        choice.signature = part.thought_signature or choice.signature
        if not part.text:
            return []
        if part.thought:
            return [choice.begin(None), choice.chunks.delta({"reasoning_content": part.text})]
        return [choice.begin(""), choice.chunks.text(part.text)]

    def _call(self, part: Part, choice: _Choice, index: int) -> list[bytes]:
        assert part.function_call is not None  # noqa: S101 - the caller has looked
        number = choice.calls
        call_id, function = call_of(part.function_call, self._known, index, number)
        choice.calls += 1
        if self._known.functions:  # of which a client can be told one
            return [choice.begin(None), choice.chunks.delta({"function_call": function})] if number == 0 else []
        call = {"index": number, "id": call_id, "type": "function", "function": function}
        return [choice.begin(None), choice.chunks.delta({"tool_calls": [call | signed(part.thought_signature)]})]

    def _fail(self, failure: Failure) -> bytes:
        self.failure, self._done = failure, True
        return error_event(failure) if self.started else b""


def _merged(old: Usage | None, new: Usage | None) -> Usage | None:
    """The totals so far: members that the newer event does not have keep their value."""
    if old is None or new is None:
        return new or old
    for name in new.__struct_fields__:
        if getattr(new, name) is None:
            setattr(new, name, getattr(old, name))
    return new
