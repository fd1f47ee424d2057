"""Frames of Amazon's event streams (application/vnd.amazon.eventstream) out of any pieces of bytes. Sans-IO.

A frame: its length and that of its headers, their CRC32, typed headers, a payload, the CRC32 of all before it. Both
sums are verified. Bounded: a frame that says that it is too large is an error before it is there.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

# As large as Amazon's own clients take them.
HEADERS_LIMIT_BYTES = 128 * 2**10
PAYLOAD_LIMIT_BYTES = 24 * 2**20

_PRELUDE = struct.Struct(">III")  # length of all, length of the headers, CRC32 of the two
_SUM = struct.Struct(">I")
_AROUND = _PRELUDE.size + _SUM.size
_TEXT = 7
# Type of a header -> bytes of its value. Those of 6 and 7 have their length in two bytes before them.
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_SIZED = (6, _TEXT)


class FrameError(ValueError):
    """What came is no event stream."""


class Frame(NamedTuple):
    """One message: `kind` is event, exception or error; `name` is which one of them."""

    kind: str
    name: str
    payload: bytes
    texts: dict[str, str]  # all headers that hold text


class FrameReader:
    """Bytes in, whole frames out."""

    def __init__(self) -> None:
        self._rest = bytearray()  # of the frame whose end has not come
        self._length = 0  # of that frame, once its prelude is there

    @property
    def holds_part(self) -> bool:
        """Whether there are bytes of a frame whose end has not come."""
        return bool(self._rest)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete, each before what is wrong with the next one is found out. Raises
        FrameError, after which the reader is of no use."""
        rest, at = self._rest, 0
        rest += data
        while len(rest) - at >= _PRELUDE.size:
            self._length = self._length or _checked_length(rest, at)
            if len(rest) - at < self._length:
                break
            yield _frame(bytes(rest[at : at + self._length]))
            at, self._length = at + self._length, 0
        del rest[:at]


def _checked_length(data: bytearray, at: int) -> int:
    length, headers, found = _PRELUDE.unpack_from(data, at)
    if zlib.crc32(data[at : at + _PRELUDE.size - _SUM.size]) != found:
        raise FrameError("a frame's prelude has another sum than it says")
    if headers > HEADERS_LIMIT_BYTES or not _AROUND <= length - headers <= _AROUND + PAYLOAD_LIMIT_BYTES:
        raise FrameError("a frame says that it has an impossible size")
    return int(length)


def _frame(data: bytes) -> Frame:
    (found,) = _SUM.unpack_from(data, len(data) - _SUM.size)
    if zlib.crc32(data[: -_SUM.size]) != found:
        raise FrameError("a frame has another sum than it says")
    _, size, _ = _PRELUDE.unpack_from(data)
    end = _PRELUDE.size + size
    texts = _texts(data[_PRELUDE.size : end])
    kind = texts.get(":message-type", "")
    name = texts.get({"exception": ":exception-type", "error": ":error-code"}.get(kind, ":event-type"), "")
    return Frame(kind, name, data[end : -_SUM.size], texts)


def _texts(data: bytes) -> dict[str, str]:
    """The headers that hold text; the others are stepped over."""
    found, at = dict[str, str](), 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name, kind = data[at + 1 : name_end].decode(), data[name_end]
            start = name_end + 1
            if kind in _SIZED:
                start += 2
                at = start + int.from_bytes(data[start - 2 : start])
            else:
                at = start + _SIZES[kind]
            if at > len(data) or start > len(data):
                raise FrameError("a header ends behind the headers")
            if kind == _TEXT:
                found[name] = data[start:at].decode()
    except (IndexError, KeyError, UnicodeDecodeError):
        raise FrameError("a frame has headers that cannot be read") from None
    return found
