"""The directory's file as bytes: a base, and after it a log of what has changed since.

    Head, Rows …, End, Batch, Batch …

Each frame is its length, the checksum of its payload, the checksum of these two, and the payload: msgpack. A
checksum goes on from the frame before, and the head has a random number: a frame is good in its place alone. What
is cut off anywhere ends in an incomplete frame, or between two. No IO.
"""

import struct
from zlib import crc32

import msgspec

from headgate.directory.rows import Change, Mark

FORMAT = 1
_LENGTHS = struct.Struct("<II")
_CHECK = struct.Struct("<I")
BEFORE = _LENGTHS.size + _CHECK.size


class Damaged(Exception):  # noqa: N818 - what was found
    """Bytes that no writer wrote there."""


class Head(msgspec.Struct, frozen=True, array_like=True, tag="head"):
    """Of which state of the database the base is."""

    format: int
    number: bytes
    mark: Mark


class Rows(msgspec.Struct, frozen=True, array_like=True, tag="rows"):
    """Some of the base's."""

    changes: tuple[Change, ...]


class End(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    """The base is complete."""


class Batch(msgspec.Struct, frozen=True, array_like=True, tag="batch"):
    """What leads from the state before to that of `mark`."""

    mark: Mark
    changes: tuple[Change, ...]


Frame = Head | Rows | End | Batch
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)
END = _encoder.encode(End())  # its payload: a base can be passed over without being decoded


def encoded(frame: Frame, check: int) -> tuple[bytes, int]:
    """The frame's bytes after a frame with that checksum (0: the first one), and its own checksum."""
    payload = _encoder.encode(frame)
    own = crc32(payload, check)
    lengths = _LENGTHS.pack(len(payload), own)
    return b"".join((lengths, _CHECK.pack(crc32(lengths, check)), payload)), own


def lengths_of(before: bytes, check: int) -> tuple[int, int]:
    """From the BEFORE bytes in front of a payload: its length and its checksum. Raises Damaged."""
    lengths = before[: _LENGTHS.size]
    if crc32(lengths, check) != _CHECK.unpack_from(before, _LENGTHS.size)[0]:
        raise Damaged("the length of a frame is not what was written")
    length, own = _LENGTHS.unpack(lengths)
    return length, own


def require(payload: bytes, check: int, own: int) -> None:
    """Raises Damaged for a payload that has not the checksum `own`."""
    if crc32(payload, check) != own:
        raise Damaged("a frame is not what was written")


def decoded(payload: bytes) -> Frame:
    """Raises Damaged for what is whole and nothing of ours."""
    try:
        frame: Frame = _decoder.decode(payload)
    except msgspec.DecodeError as error:
        raise Damaged(f"a frame is not understood: {error}") from None
    if isinstance(frame, Head) and frame.format != FORMAT:
        raise Damaged(f"the file has format {frame.format}, this version reads {FORMAT}")
    return frame
