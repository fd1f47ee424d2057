"""HTTP/2 frames (RFC 9113, sections 4, 6 and 7): their numbers, and the bytes of those that we send. Pure.

Fault                    what a peer did against the protocol, or against our limits
├── ConnectionFault      costs its connection: GOAWAY, then close
└── StreamFault          costs its stream: RST_STREAM
"""

from enum import IntEnum
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

HEAD_BYTES = 9
HEAD = Struct(">HBBBL")  # length in two parts (16 and 8 bits), type, flags, stream
SETTING = Struct(">HL")
NUMBER = Struct(">L")

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)

DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_BYTES = 16_384  # what every peer takes, and the most that we take
LARGEST_FRAME_BYTES = 2**24 - 1
LARGEST_WINDOW = LARGEST_STREAM = 2**31 - 1


class Code(IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    COMPRESSION_ERROR = 0x9
    ENHANCE_YOUR_CALM = 0xB


class Fault(Exception):  # noqa: N818 - the peer's, not an error of ours
    """The text is for our log and never quotes what the peer sent."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class ConnectionFault(Fault):
    """The connection cannot go on."""


class StreamFault(Fault):
    """The stream cannot go on; the others can."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame; the payload must fit into the receiver's frame size."""
    length = len(payload)
    return HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*item) for item in values.items()))


def window_update(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, NUMBER.pack(increment))


def rst_stream(stream: int, code: Code) -> bytes:
    """A RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, NUMBER.pack(code))


def goaway(last_stream: int, code: Code) -> bytes:
    """A GOAWAY frame without debug data."""
    return frame(GOAWAY, 0, 0, NUMBER.pack(last_stream) + NUMBER.pack(code))


def unpadded(payload: bytes) -> bytes:
    """The payload of a frame with the PADDED flag without its padding. Raises ConnectionFault."""
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(Code.PROTOCOL_ERROR, "padding is as long as its frame")
    return payload[1 : len(payload) - payload[0]]
