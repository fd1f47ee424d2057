"""A client's message: what it asks for, and the body of the request that it becomes. Pure.

The body is what the client wrote, byte for byte, without the members that only a WebSocket has, and with
`"stream":true`. Whatever else may be wrong with it is for the request to say.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

# OpenAI's guide to WebSocket mode.
_LANE = re.compile(r"[A-Za-z0-9_.-]{1,256}")
# Members that are no parameters of POST /v1/responses, or that say how it answers.
_OWN = frozenset({"type", "stream_id", "generate", "background", "stream"})

_SPACE = re.compile(rb"[ \t\n\r]*")
_KEY = re.compile(rb'"(?:[^"\\]|\\.)*"[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


class MessageError(Exception):
    """What the client is told is wrong with its message. `lane` is the one it named, None for the unnamed one."""

    def __init__(
        self, message: str, code: str, param: str | None = None, lane: str | None = None, *, status: int = 400
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.param, self.lane, self.status = message, code, param, lane, status


@dataclass(frozen=True, slots=True)
class Create:
    """One `response.create`. `members` are the body's, as they were written, in their order.

    `generates`: not for a warm-up, which only says what is to come.
    """

    lane: str | None
    members: dict[str, bytes]
    generates: bool
    size_bytes: int

    def text(self, name: str) -> str | None:
        """A member that is a string; None for anything else."""
        try:
            return msgspec.json.decode(self.members.get(name, b"null"), type=str)
        except msgspec.DecodeError:
            return None

    def body(self, instead: dict[str, bytes] | None = None) -> bytes:
        """The request's body; `instead` has other values for members, empty for none."""
        wanted = {**self.members, **(instead or {})}
        pieces = [b"%s:%s" % (msgspec.json.encode(name), value) for name, value in wanted.items() if value]
        return b"{%s}" % b",".join([*pieces, b'"stream":true'])


def read_message(data: str | bytes) -> Create:
    """What a message asks for. Raises MessageError."""
    if isinstance(data, bytes):
        raise MessageError("Events are JSON in text messages; this one is binary.", "invalid_message")
    raw = data.encode()
    members = _read(raw)
    lane = _lane(members.get("stream_id"))
    kind = _value(members.get("type"))
    if kind != "response.create":
        shown = f"'{kind[:64]}'" if isinstance(kind, str) else "none"
        raise MessageError(
            f"The event's type must be 'response.create', which is all that this gateway takes; found {shown}.",
            "unsupported_event",
            "type",
            lane,
        )
    if _value(members.get("background")) not in (None, False):
        raise MessageError(
            "Responses over WebSocket are not made in the background: leave 'background' out.",
            "unsupported_parameter",
            "background",
            lane,
        )
    generate = _value(members.get("generate"))
    if not isinstance(generate, bool | None):
        raise MessageError("Invalid type for 'generate': expected a boolean.", "invalid_type", "generate", lane)
    own = {name: bytes(value) for name, value in members.items() if name not in _OWN}
    return Create(lane, own, generate is not False, len(raw))


def _lane(value: msgspec.Raw | None) -> str | None:
    lane = _value(value)
    if lane is None:
        return None
    if not (isinstance(lane, str) and _LANE.fullmatch(lane)):
        raise MessageError(
            "'stream_id' must be a string of 1 to 256 letters, digits, underscores, hyphens and periods.",
            "invalid_stream_id",
            "stream_id",
        )
    return lane


def _value(raw: msgspec.Raw | None) -> object:
    return None if raw is None else msgspec.json.decode(raw)


def _read(raw: bytes) -> dict[str, msgspec.Raw]:
    try:
        members = _members.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MessageError(f"The message is not one JSON object: {error}.", "invalid_json") from None
    if not _is_written_so(raw, members.items()):
        raise MessageError("A key of the event is given twice.", "duplicate_key")
    return members


def _is_written_so(raw: bytes, members: Iterable[tuple[str, msgspec.Raw]]) -> bool:
    """Whether the object has these members and no others: of a key that is given twice, only one value is there."""
    at, view = _after(_SPACE, raw, 0) + 1, memoryview(raw)
    first = True
    for _name, value in members:
        at = _after(_SPACE, raw, at if first else at + 1)
        at = _after(_KEY, raw, at)
        if view[at : at + len(value_view := memoryview(value))] != value_view:
            return False
        at = _after(_SPACE, raw, at + len(value_view))
        first = False
    return raw[_after(_SPACE, raw, at) : at + 1] == b"}"


def _after(pattern: re.Pattern[bytes], raw: bytes, at: int) -> int:
    found = pattern.match(raw, at)
    return found.end() if found else at
