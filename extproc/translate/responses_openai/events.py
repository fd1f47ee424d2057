"""The Responses API's stream events as bytes, numbered from 0. The first two wait for the answer's first word."""

from typing import Any

import msgspec

_encode = msgspec.json.encode


class Events:
    """The events of one stream."""

    def __init__(self) -> None:
        self._next = 2  # behind response.created and response.in_progress

    def event(self, kind: str, **members: Any) -> bytes:
        """The next event."""
        number, self._next = self._next, self._next + 1
        return _event(kind, members, number)

    def delta(self, prefix: bytes, text: str, rest: bytes = b"") -> bytes:
        """The next event, a delta that begins as `delta_prefix` has it."""
        number, self._next = self._next, self._next + 1
        return b'%b%b%b,"sequence_number":%d}\n\n' % (prefix, _encode(text), rest, number)


def first_events(response: msgspec.Raw) -> bytes:
    """The first two."""
    kinds = ("response.created", "response.in_progress")
    return b"".join(_event(kind, {"response": response}, number) for number, kind in enumerate(kinds))


def delta_prefix(kind: str, **place: Any) -> bytes:
    """A delta up to the JSON string of the piece."""
    members = _encode({"type": kind, **place})[:-1]
    return b'event: %b\ndata: %b,"delta":' % (kind.encode(), members)


def _event(kind: str, members: dict[str, Any], number: int) -> bytes:
    data = _encode({"type": kind, **members, "sequence_number": number})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
