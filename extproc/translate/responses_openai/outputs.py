"""The items of a streamed output, each with its events from the first to the last.

`done` is an item as the response has it, complete or so far.
"""

from typing import Any

import msgspec

from extproc.translate.anthropic_openai.blocks import MalformedError
from extproc.translate.anthropic_openai.completion import arguments_of
from extproc.translate.direction import Known
from extproc.translate.responses_openai.completion import ToolCall
from extproc.translate.responses_openai.content import Json
from extproc.translate.responses_openai.events import Events, delta_prefix
from extproc.translate.responses_openai.response import (
    call_item,
    custom_item,
    item_id,
    message_item,
    reasoning_item,
    spare_call_id,
    text_part,
)
from extproc.translate.sealed import Sealed

_NO_LOGPROBS = b',"logprobs":[]'
_encode = msgspec.json.encode


class Said:
    """A message: text with what it cites, or a refusal, part after part."""

    def __init__(self, events: Events, name: str, index: int) -> None:
        self._events = events
        self._name, self._index = name, index
        self._parts: list[Json] = []
        self._kind = ""  # of the open part
        self._texts: list[str] = []
        self._annotations: list[Json] = []
        self._logprobs: list[Json] = []
        self._prefix = b""

    def begin(self) -> bytes:
        """Its first event."""
        item = message_item(self._name, [], "in_progress")
        return self._events.event("response.output_item.added", output_index=self._index, item=item)

    def text(self, text: str, logprobs: list[Json]) -> bytes:
        """Some text."""
        start = b"" if self._kind == "output_text" else self._open("output_text", text_part("", [], []))
        self._texts.append(text)
        if not (text or logprobs):
            return start
        rest = _NO_LOGPROBS
        if logprobs:
            self._logprobs += logprobs
            rest = b',"logprobs":' + _encode(logprobs)
        return start + self._events.delta(self._prefix, text, rest)

    def refusal(self, text: str) -> bytes:
        """Some of a refusal."""
        start = b"" if self._kind == "refusal" else self._open("refusal", {"type": "refusal", "refusal": ""})
        self._texts.append(text)
        return start + self._events.delta(self._prefix, text)

    def cites(self, annotation: Json) -> bytes:
        """What the text cites."""
        start = self.text("", []) if self._kind != "output_text" else b""
        number = len(self._annotations)
        self._annotations.append(annotation)
        place = {**self._place(), "annotation_index": number, "annotation": annotation}
        return start + self._events.event("response.output_text.annotation.added", **place)

    def end(self, status: str) -> bytes:
        """Its last events."""
        out = self._close()
        item = self.done(status)
        return out + self._events.event("response.output_item.done", output_index=self._index, item=item)

    def done(self, status: str) -> Json:
        """As the response has it."""
        parts = [*self._parts, self._part()] if self._kind else self._parts
        return message_item(self._name, parts, status)

    def _place(self) -> Json:
        return {"item_id": self._name, "output_index": self._index, "content_index": len(self._parts)}

    def _open(self, kind: str, part: Json) -> bytes:
        out = self._close()
        self._kind = kind
        self._prefix = delta_prefix(f"response.{kind}.delta", **self._place())
        return out + self._events.event("response.content_part.added", **self._place(), part=part)

    def _part(self) -> Json:
        text = "".join(self._texts)
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return text_part(text, self._annotations, self._logprobs)

    def _close(self) -> bytes:
        if not self._kind:
            return b""
        part, place = self._part(), self._place()
        said: dict[str, Any] = {"text": part["text"], "logprobs": part["logprobs"]} if "text" in part else {}
        if self._kind == "refusal":
            said = {"refusal": part["refusal"]}
        out = self._events.event(f"response.{self._kind}.done", **place, **said)
        out += self._events.event("response.content_part.done", **place, part=part)
        self._parts.append(part)
        self._kind, self._texts, self._annotations, self._logprobs = "", [], [], []
        return out


class Thought:
    """Reasoning: words, and what the provider wants back of it."""

    def __init__(self, events: Events, name: str, index: int) -> None:
        self._events = events
        self._name, self._index = name, index
        self._place = {"item_id": name, "output_index": index, "content_index": 0}
        self._prefix = delta_prefix("response.reasoning_text.delta", **self._place)
        self._texts: list[str] = []
        self._sealed = Sealed([], {})

    def begin(self) -> bytes:
        """Its first event."""
        item = reasoning_item(self._name, "", Sealed(), "in_progress")
        return self._events.event("response.output_item.added", output_index=self._index, item=item)

    def text(self, text: str) -> bytes:
        """Some of its words."""
        start = b""
        if not self._texts:
            part = {"type": "reasoning_text", "text": ""}
            start = self._events.event("response.content_part.added", **self._place, part=part)
        self._texts.append(text)
        return start + self._events.delta(self._prefix, text)

    def keep(self, sealed: Sealed) -> None:
        """What the client gets at its end, to send it back."""
        self._sealed.thinking_blocks += sealed.thinking_blocks
        self._sealed.signatures |= sealed.signatures

    def end(self, status: str) -> bytes:
        """Its last events."""
        out, text = b"", "".join(self._texts)
        if text:
            out = self._events.event("response.reasoning_text.done", **self._place, text=text)
            part = {"type": "reasoning_text", "text": text}
            out += self._events.event("response.content_part.done", **self._place, part=part)
        item = self.done(status)
        return out + self._events.event("response.output_item.done", output_index=self._index, item=item)

    def done(self, status: str) -> Json:
        """As the response has it."""
        return reasoning_item(self._name, "".join(self._texts), self._sealed, status)


class Call:
    """A call of a function or a custom tool. It begins with its name; what comes before that waits."""

    def __init__(self, events: Events, known: Known, number: int) -> None:
        self.id = ""
        self.index: int | None = None  # in the output, once it has begun
        self.is_open = True
        self._events = events
        self._known, self._number = known, number
        self._function = ""
        self._is_custom = False
        self._texts: list[str] = []
        self._sent = 0  # of the texts
        self._name, self._kind = "", ""
        self._prefix = b""

    @property
    def call_id(self) -> str:
        """The provider's, or ours where it gives none."""
        return self.id or spare_call_id(self._known, self._number)

    def take(self, piece: ToolCall) -> None:
        """What a piece adds: the id and the name once, what the tool is given bit by bit. Raises MalformedError."""
        self.id = self.id or piece.id or ""
        self._is_custom = self._is_custom or piece.custom is not None
        called = piece.custom or piece.function
        self._function = self._function or (called.name if called else None) or ""
        text = _given(piece)
        if not self.is_open and text.strip():
            raise MalformedError(f"The provider's arguments for the tool '{self._function}' go on after their end.")
        if self.is_open and text:
            self._texts.append(text)

    @property
    def can_begin(self) -> bool:
        """Whether it has a name, and has not begun."""
        return bool(self._function) and self.index is None

    def begin(self, index: int) -> bytes:
        """Its first event."""
        self.index = index
        self._name = item_id(self._known, "ctc" if self._is_custom else "fc", index)
        self._kind = f"response.{'custom_tool_call_input' if self._is_custom else 'function_call_arguments'}"
        self._prefix = delta_prefix(f"{self._kind}.delta", item_id=self._name, output_index=index)
        item = self._item("", "in_progress")
        return self._events.event("response.output_item.added", output_index=index, item=item)

    def more(self) -> bytes:
        """What has come since the last time."""
        new = "".join(self._texts[self._sent :])
        self._sent = len(self._texts)
        return self._events.delta(self._prefix, new) if new else b""

    def is_whole(self) -> bool:
        """Whether what it is given is an object, so that no more of it can come."""
        if self._is_custom or not self._texts or self._texts[-1].rstrip()[-1:] != "}":
            return False
        try:
            return isinstance(msgspec.json.decode("".join(self._texts)), dict)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return False

    def end(self, status: str) -> bytes:
        """Its last events."""
        self.is_open = False
        text, place = "".join(self._texts), {"item_id": self._name, "output_index": self.index}
        said = {"input": text} if self._is_custom else {"name": self._function, "arguments": text}
        out = self._events.event(f"{self._kind}.done", **place, **said)
        item = self.done(status)
        return out + self._events.event("response.output_item.done", output_index=self.index, item=item)

    def done(self, status: str) -> Json:
        """As the response has it."""
        return self._item("".join(self._texts), status)

    def _item(self, text: str, status: str) -> Json:
        if self._is_custom:
            return custom_item(self._name, self.call_id, self._function, text)
        return call_item(self._name, self.call_id, self._function, text, status)


def _given(piece: ToolCall) -> str:
    """The arguments or the input in a piece of a call."""
    if piece.custom is not None:
        return piece.custom.input or ""
    return "" if piece.function is None else arguments_of(piece.function)
