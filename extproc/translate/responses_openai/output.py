"""A streamed output: its items one after the other. Calls may be open side by side, as chat mixes their pieces."""

import msgspec

from extproc.translate.anthropic_openai.blocks import MalformedError
from extproc.translate.anthropic_openai.completion import Piece
from extproc.translate.call_signature import signature_in
from extproc.translate.direction import Known
from extproc.translate.open_calls import OpenCalls
from extproc.translate.responses_openai.completion import ToolCall
from extproc.translate.responses_openai.content import Json
from extproc.translate.responses_openai.events import Events
from extproc.translate.responses_openai.outputs import Call, Said, Thought
from extproc.translate.responses_openai.response import item_id
from extproc.translate.sealed import Sealed


class Output:
    """The items so far. The methods return the events for what they are given; some raise MalformedError."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._events = Events()
        self._items: list[Said | Thought | Call] = []
        self._done: list[str] = []  # the status of each
        self._words: Said | Thought | None = None  # the item that is open, beside calls
        self._calls = OpenCalls(lambda number: Call(self._events, known, number))

    def words(self, piece: Piece, logprobs: list[Json]) -> bytes:
        """Text or reasoning."""
        kind, text = piece
        if kind == "text":
            start, said = self._said()
            return start + said.text(text, logprobs)
        start, thought = self._thought()
        return start + thought.text(text)

    def refusal(self, text: str) -> bytes:
        """Some of a refusal."""
        start, said = self._said()
        return start + said.refusal(text)

    def cites(self, annotation: Json) -> bytes:
        """What the text cites."""
        start, said = self._said()
        return start + said.cites(annotation)

    def likely(self, logprobs: list[Json]) -> bytes:
        """Log probabilities that come behind their text."""
        return self._words.text("", logprobs) if isinstance(self._words, Said) else b""

    def keep(self, sealed: Sealed) -> bytes:
        """What the provider wants back of the reasoning."""
        start, thought = self._thought()
        thought.keep(sealed)
        return start

    def call(self, piece: ToolCall) -> bytes:
        """A call, or more of one."""
        called = piece.custom or piece.function
        call, _ = self._calls.of(piece.index, piece.id, called.name if called else None)
        call.take(piece)
        out = b""
        if (signature := signature_in(piece.extra_content)) is not None:
            out = self.keep(Sealed([], {call.call_id: signature}))
        if call.can_begin:
            out += self._close_words() + self._close_calls()
            out += call.begin(self._open(call))
        return out + call.more() if call.index is not None and call.is_open else out

    def end(self, status: str) -> bytes:
        """The last events of what is open. How the answer ended is how its last item did."""
        if any(call.index is None for call in self._calls.all):
            raise MalformedError("The provider's answer calls a tool without a name.")
        out = b"" if self._items else self.words(("text", ""), [])
        last = len(self._items) - 1
        out += self._close_words(status if self._words is self._items[last] else "completed")
        for call in self._calls.all:
            if call.is_open:
                out += call.end(status if call.index == last else "completed")
        self._done = [*["completed"] * last, status]
        return out

    def items(self) -> list[Json]:
        """All of them as the response has them."""
        return [item.done(status) for item, status in zip(self._items, self._done, strict=True)]

    def last(self, kind: str, response: msgspec.Raw) -> bytes:
        """The last event of all."""
        return self._events.event(kind, response=response)

    def _open(self, item: Said | Thought | Call) -> int:
        self._items.append(item)
        self._done.append("incomplete")
        return len(self._items) - 1

    def _said(self) -> tuple[bytes, Said]:
        if isinstance(self._words, Said):
            return b"", self._words
        out, index = self._close_words(), len(self._items)
        self._words = said = Said(self._events, item_id(self._known, "msg", index), index)
        self._open(said)
        return out + said.begin(), said

    def _thought(self) -> tuple[bytes, Thought]:
        if isinstance(self._words, Thought):
            return b"", self._words
        out, index = self._close_words(), len(self._items)
        self._words = thought = Thought(self._events, item_id(self._known, "rs", index), index)
        self._open(thought)
        return out + thought.begin(), thought

    def _close_words(self, status: str = "completed") -> bytes:
        words, self._words = self._words, None
        if words is None:
            return b""
        self._done[self._items.index(words)] = status
        return words.end(status)

    def _close_calls(self) -> bytes:
        """The calls before a new one that can get no more."""
        out = b""
        for call in self._calls.all:
            if call.index is not None and call.is_open and call.is_whole():
                self._done[call.index] = "completed"
                out += call.end("completed")
        return out
