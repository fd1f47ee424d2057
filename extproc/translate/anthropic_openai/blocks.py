"""The content blocks of a streamed answer, one after the other: Anthropic's streams never have two of them open.

OpenAI's streams may mix the pieces of parallel tool calls. A call ends when its arguments are a whole JSON object or
the answer ends; what comes for later blocks until then waits. Nothing is lost, and nothing waits in the usual order.
"""

from typing import Any, Literal

import msgspec

from extproc.translate.anthropic_openai.arguments import object_of
from extproc.translate.anthropic_openai.completion import Piece, ToolCall, arguments_of
from extproc.translate.anthropic_openai.events import DELTA_END, block_start, block_stop, delta_prefix
from extproc.translate.anthropic_openai.message import spare_id
from extproc.translate.anthropic_openai.spoken import Hidden, Words
from extproc.translate.call_signature import signature_in
from extproc.translate.open_calls import OpenCalls
from extproc.translate.sealed import Sealed, seal

_encode = msgspec.json.encode


class MalformedError(ValueError):
    """The provider's answer makes no sense; the text is for the client."""


class _Call:
    """A tool call. It opens with its name; its arguments go out from their brace on."""

    def __init__(self, spare_id: str) -> None:
        self.name = ""
        self.is_closed = False
        self.id = ""
        self._spare_id = spare_id
        self._arguments: list[str] = []
        self._sent = self._seen = 0  # pieces of the arguments: those that are out, those that `is_whole` knows
        self._prefix = b""

    @property
    def call_id(self) -> str:
        """The provider's, or ours where it gives none."""
        return self.id or self._spare_id

    def add(self, piece: ToolCall) -> None:
        """Takes what a piece adds: the id and the name once, the arguments bit by bit. Raises MalformedError."""
        self.id = self.id or piece.id or ""
        if piece.function is None:
            return
        self.name = self.name or piece.function.name or ""
        arguments = arguments_of(piece.function)
        if self.is_closed and arguments.strip():
            raise MalformedError(f"The provider's arguments for the tool '{self.name}' go on after their end.")
        if arguments:
            self._arguments.append(arguments)

    def more(self, index: int) -> bytes:
        """What has come since the last time."""
        if not self.name:
            return b""
        out = b""
        if not self._prefix:
            self._prefix = delta_prefix(index, "arguments")
            block = {"type": "tool_use", "id": self.call_id, "name": self.name, "input": {}}
            out = block_start(index, block)
        new = "".join(self._arguments[self._sent :])
        if new and (self._sent or new.lstrip()[:1] == "{"):
            self._sent = len(self._arguments)
            out += self._prefix + _encode(new) + DELTA_END
        return out

    def is_whole(self) -> bool:
        """Whether the arguments are an object, so that no more of them can come."""
        if self._seen == len(self._arguments):  # no more has come since it was not
            return False
        self._seen = len(self._arguments)
        return self._arguments[-1].rstrip()[-1:] == "}" and self._object(cut_off=False) is not None

    def last(self, cut_off: bool) -> bytes:
        """The arguments of a call without any. Raises MalformedError when the client could make nothing of it."""
        if not self.name:
            raise MalformedError("The provider's answer calls a tool without a name.")
        if self._object(cut_off) is None:
            raise MalformedError(f"The provider's arguments for the tool '{self.name}' are not a JSON object.")
        return b"" if self._sent else self._prefix + b'"{}"' + DELTA_END

    def _object(self, cut_off: bool) -> str | None:
        return object_of("".join(self._arguments), cut_off)


class Blocks:
    """The blocks so far. The methods return the events for what they are given."""

    def __init__(self, request_id: str) -> None:
        self._blocks: list[Words | Hidden | _Call] = []
        self._at = 0  # the block that is open, or opens next: the index in the stream
        self._calls = OpenCalls(lambda number: _Call(spare_id(request_id, number)))
        self._fast: tuple[str, bytes] = ("", b"")  # kind and prefix of the open block when that is the last one

    @property
    def has_calls(self) -> bool:
        """Whether a tool is called."""
        return bool(self._calls.all)

    def words(self, piece: Piece) -> bytes:
        """Text or thinking."""
        kind, text = piece
        fast, prefix = self._fast
        return prefix + _encode(text) + DELTA_END if kind == fast else self._add(kind, text)

    def cites(self, cited: dict[str, Any]) -> bytes:
        """What the text cites."""
        return self._add("text", cited)

    def _add(self, kind: Literal["text", "thinking"], item: str | dict[str, Any]) -> bytes:
        last = self._words_of(kind)
        last.waiting.append(item)
        out = self._out()
        self._fast = (kind, last.prefix) if self._at == len(self._blocks) - 1 else ("", b"")
        return out

    def thought(self, block: dict[str, Any]) -> bytes:
        """A block of thinking that is complete. Its words have been before; its signature comes with it."""
        if block.get("type") == "redacted_thinking":
            self._blocks.append(Hidden(str(block.get("data") or "")))
        else:
            self._words_of("thinking").sign(str(block.get("signature") or ""))
        self._fast = ("", b"")
        return self._out()

    def _words_of(self, kind: Literal["text", "thinking"]) -> Words:
        """The last block, if it takes more words of the kind, or a new one."""
        last = self._blocks[-1] if self._blocks else None
        if not isinstance(last, Words) or last.kind != kind or not last.takes_more:
            last = Words(kind)
            self._blocks.append(last)
        return last

    def call(self, piece: ToolCall) -> bytes:
        """A tool call, or more of one. What Google's models sign it with is thinking before it.

        Signatures come with the first piece of a call: one that comes later has no place. Raises MalformedError.
        """
        name = piece.function.name if piece.function else None
        call, is_new = self._calls.of(piece.index, piece.id, name)
        call.add(piece)
        if is_new:
            if (signature := signature_in(piece.extra_content)) is not None:
                self._words_of("thinking").sign(seal(Sealed(signatures={call.call_id: signature})) or "")
            self._blocks.append(call)
        if call.is_closed:
            return b""
        self._fast = ("", b"")
        return self._out()

    def end(self, cut_off: bool) -> bytes:
        """What still waits, and the end of the open block. Raises MalformedError."""
        return self._out(ended=True, cut_off=cut_off)

    def _out(self, ended: bool = False, cut_off: bool = False) -> bytes:
        out = []
        while self._at < len(self._blocks):
            block, is_last = self._blocks[self._at], self._at + 1 == len(self._blocks)
            out.append(block.more(self._at))
            if not ended and (is_last or not block.is_whole()):
                break
            out += [block.last(cut_off), block_stop(self._at)]
            block.is_closed = True
            self._at += 1
        return b"".join(out)
