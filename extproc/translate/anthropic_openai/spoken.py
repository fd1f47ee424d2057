"""Blocks of a streamed answer that are no calls: text, thinking, and thinking that is not shown.

`more` are the events for what has come since the last time; a block is whole where another one begins.
"""

from typing import Any, Literal

import msgspec

from extproc.translate.anthropic_openai.events import DELTA_END, block_start, citation, delta_prefix, signature

_EMPTY = {"text": {"type": "text", "text": ""}, "thinking": {"type": "thinking", "thinking": "", "signature": ""}}
_encode = msgspec.json.encode


class Words:
    """Text and what it cites, or thinking and its signature, which comes at its end."""

    def __init__(self, kind: Literal["text", "thinking"]) -> None:
        self.kind = kind
        self.waiting: list[str | dict[str, Any]] = []
        self.prefix = b""
        self.is_closed = False
        self.takes_more = True
        self._signature = ""

    def sign(self, text: str) -> None:
        """What the provider wants back with it; nothing can follow."""
        self._signature, self.takes_more = text, False

    def more(self, index: int) -> bytes:
        """What has come since the last time."""
        out = []
        if not self.prefix:
            self.prefix = delta_prefix(index, self.kind)
            out.append(block_start(index, _EMPTY[self.kind]))
        out += [
            self.prefix + _encode(item) + DELTA_END if isinstance(item, str) else citation(index, item)
            for item in self.waiting
        ]
        if self._signature:
            out.append(signature(index, self._signature))
        self.waiting, self._signature = [], ""
        return b"".join(out)

    def is_whole(self) -> bool:
        """Words end where something else begins."""
        return True

    def last(self, cut_off: bool) -> bytes:  # noqa: ARG002 - words may stop anywhere
        """Nothing is kept back."""
        return b""


class Hidden:
    """Thinking that only its provider can read, complete."""

    def __init__(self, data: str) -> None:
        self.is_closed = False
        self._data: str | None = data

    def more(self, index: int) -> bytes:
        """All of it, once."""
        data, self._data = self._data, None
        return b"" if data is None else block_start(index, {"type": "redacted_thinking", "data": data})

    def is_whole(self) -> bool:
        """It came complete."""
        return True

    def last(self, cut_off: bool) -> bytes:  # noqa: ARG002 - nothing of it can be missing
        """Nothing is kept back."""
        return b""
