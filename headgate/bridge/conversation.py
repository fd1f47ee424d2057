"""What a connection remembers of responses that nobody keeps, so that `previous_response_id` can name them there.

OpenAI's WebSocket mode lets a client go on from the newest response of a lane though it was made with `store: false`.
Here that response's conversation is kept in memory and put in front of the next input. Pure, but for new ids.
"""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec

from headgate.bridge.message import Create

_items = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Conversation:
    """Items that were said, as JSON, after the response `base` that its provider keeps, if there is one."""

    base: str | None
    items: tuple[bytes, ...]

    @property
    def size_bytes(self) -> int:
        """What it takes."""
        return sum(map(len, self.items)) + 64 * len(self.items)


class Memory:
    """All that one process remembers: at most so many bytes, what was used longest ago is forgotten first."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[object, str | None], tuple[str, Conversation]] = OrderedDict()
        self.size_bytes = 0

    def keep(self, connection: object, lane: str | None, response_id: str, conversation: Conversation) -> None:
        """The lane's newest response, in place of the one before it."""
        self.forget(connection, lane)
        self._kept[connection, lane] = (response_id, conversation)
        self.size_bytes += conversation.size_bytes
        while self.size_bytes > self._most_bytes:
            self.forget(*next(iter(self._kept)))

    def find(self, connection: object, lanes: list[str | None], response_id: str) -> Conversation | None:
        """That of a response on one of the connection's lanes."""
        for lane in lanes:
            kept = self._kept.get((connection, lane))
            if kept and kept[0] == response_id:
                self._kept.move_to_end((connection, lane))
                return kept[1]
        return None

    def forget(self, connection: object, lane: str | None) -> None:
        """What is kept of a lane, if anything is."""
        kept = self._kept.pop((connection, lane), None)
        if kept:
            self.size_bytes -= kept[1].size_bytes


def joined(create: Create, before: Conversation) -> bytes:
    """The body of a request that goes on from a conversation."""
    items = [*before.items, *_said(create)]
    base = msgspec.json.encode(before.base) if before.base else b""
    return create.body({"input": b"[%s]" % b",".join(items), "previous_response_id": base})


def conversation_after(create: Create, before: Conversation | None, response: dict[str, Any]) -> Conversation | None:
    """What was said up to and with a response that its provider does not keep; None for one that it keeps.

    `response` is the object, with its `output` undecoded. Reasoning that cannot be sent again, as it is not in the
    answer but for its summary, is left out.
    """
    kept = response.get("store")
    if kept is None:
        kept = create.members.get("store") != b"false"
    if kept:
        return None
    output = [bytes(item) for item in _items.decode(response.get("output") or b"[]")]
    return _after(create, before, [item for item in output if _is_repeatable(item)])


def warmed_up(create: Create, before: Conversation | None) -> tuple[dict[str, Any], Conversation]:
    """A response to a warm-up, which has no output, and what goes before the next input."""
    made: dict[str, Any] = {
        "id": f"resp_{secrets.token_hex(24)}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": create.text("instructions"),
        "metadata": {},
        "model": create.text("model"),
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": create.text("previous_response_id"),
        "store": False,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        },
    }
    return made, _after(create, before, [])


def _after(create: Create, before: Conversation | None, output: list[bytes]) -> Conversation:
    if before is None:
        before = Conversation(create.text("previous_response_id"), ())
    return Conversation(before.base, (*before.items, *_said(create), *output))


def _said(create: Create) -> list[bytes]:
    """The input's items; a text is a message of the user's."""
    written = create.members.get("input", b"null")
    try:
        return [bytes(item) for item in _items.decode(written)]
    except msgspec.DecodeError:
        text = create.text("input")
        return [] if text is None else [msgspec.json.encode({"role": "user", "content": text})]


class _Item(msgspec.Struct):
    type: str = "message"
    encrypted_content: Any = None


def _is_repeatable(item: bytes) -> bool:
    try:
        found = msgspec.json.decode(item, type=_Item)
    except msgspec.DecodeError:
        return False
    return found.type != "reasoning" or found.encrypted_content is not None
