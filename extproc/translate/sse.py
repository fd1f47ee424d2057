"""Server-sent events out of any pieces of bytes (WHATWG HTML, 9.2). Bounded: an event that never ends is an error.

Linear in the bytes, however they are cut: a byte is searched once for the end of its event and copied a few times.
"""

from typing import NamedTuple

EVENT_LIMIT_BYTES = 16 * 2**20  # an image or a document in one event

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event; `name` is b"" when the stream gives none."""

    name: bytes
    data: bytes


class EventTooLargeError(ValueError):
    """An event exceeds the limit."""


class EventReader:
    """Bytes in, whole events out. Comments, `id` and `retry` are left out, as are events without data."""

    def __init__(self, limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._rest = bytearray()  # of the event whose end has not come; line ends are \n in it
        self._limit = limit_bytes
        self._at_start = True
        self._after_cr = False

    @property
    def holds_part(self) -> bool:
        """Whether there are bytes of an event whose end has not come."""
        return bool(self._rest.strip(b"\n"))

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises EventTooLargeError, after which the reader is of no use."""
        if self._after_cr or b"\r" in data:
            data = self._with_line_feeds(data)
        if self._at_start:
            data = self._without_mark(data)
        rest = self._rest
        if rest:
            searched = len(rest) - 1
            rest += data
            if rest.find(b"\n\n", searched) < 0:
                self._check(len(rest))
                return []
            data = bytes(rest)
        *blocks, last = data.split(b"\n\n")
        if last or rest:
            self._rest = bytearray(last)
            self._check(len(last))
        return [event for block in blocks if block and (event := self._event(block)) is not None]

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self._limit:
            raise EventTooLargeError(f"an event has more than {self._limit} bytes")

    def _with_line_feeds(self, data: bytes) -> bytes:
        """The bytes with \\n for every line end; a \\r at the end of one piece may have its \\n in the next."""
        if not data:
            return data
        ends_in_cr = data.endswith(b"\r")
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = ends_in_cr
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_mark(self, data: bytes) -> bytes:
        """The bytes without the byte order mark that a stream may start with, which may come in pieces."""
        data = bytes(self._rest) + data
        self._rest.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._rest += data
            return b""
        self._at_start = False
        return data.removeprefix(_BOM)

    def _event(self, block: bytes) -> Event | None:
        self._check(len(block))
        if block.startswith(b"data: "):  # the usual cases: one line of data, with or without a name before it
            if b"\n" not in block:
                return Event(b"", block[6:])
        elif block.startswith(b"event: "):
            end = block.find(b"\n")
            if block.startswith(b"data: ", end + 1) and block.find(b"\n", end + 1) < 0:
                return Event(block[7:end], block[end + 7 :])
        return _any_event(block)


def _any_event(block: bytes) -> Event | None:
    name, data = b"", list[bytes]()
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return Event(name, b"\n".join(data)) if data else None
