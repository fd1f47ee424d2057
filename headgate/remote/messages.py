"""What a gateway and a worker on another host say to each other, over the same TLS as Envoy's calls.

The gateway hands over files, in the order in which they may be used, and then gives its word that nothing is missing.
The worker says every second which tables it works by, and is answered by that word again: it counts from when the
worker asked, by its own clock, however long it was on its way. Each message is its length and msgpack. Sans-IO.
"""

import re
import struct
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

PROTOCOL = "headgate-tables/1"  # ALPN

SAID_EVERY_S = 1.0
LAPSE_S = 5.0  # without a word a worker takes no call: what it knows may not hold any more
PIECE_BYTES = 2**20
_MOST_BYTES = PIECE_BYTES + 2**16
_LENGTH = struct.Struct(">I")

# Nothing else is ever written, and nothing outside of the worker's folder.
_FILES = re.compile(r"snapshot\.json|directory/rows|(jwks|identity|secrets)/[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")

T = TypeVar("T")


class Garbled(Exception):  # noqa: N818 - what was found
    """Bytes that the other side never writes."""


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """First, and once: what stays the same for as long as a worker lives. `counters` may hold a password."""

    gateway_id: str
    workers: int
    counters: str


class Put(msgspec.Struct, frozen=True, tag="put"):
    """A piece of a file, which takes its name with the `last` one."""

    path: str
    content: bytes
    last: bool


class Add(msgspec.Struct, frozen=True, tag="add"):
    """What has come to the end of a file."""

    path: str
    content: bytes


class Word(msgspec.Struct, frozen=True, tag="word"):
    """Everything that there was when `heard` had come has been handed over, with tables of this generation.

    `heard` is the number of what the worker said last, or 0. `spool_free_bytes` are left on the gateway's disk.
    """

    generation: int
    spool_free_bytes: int
    heard: int


class Said(msgspec.Struct, frozen=True, tag="said"):
    """By the worker: the generation it works by, and issuers' keys (by file) that a token asks for. Numbers grow."""

    number: int
    generation: int
    wanted: tuple[str, ...] = ()


Handed = Hello | Put | Add | Word


def packed(message: Handed | Said) -> bytes:
    """As it goes over the wire."""
    content = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(content)) + content


class Unpacker(Generic[T]):
    """Cuts bytes into messages of one kind."""

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[T]:
        """The messages that are complete now. Raises Garbled."""
        self._held += data
        while len(self._held) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._held)
            if length > _MOST_BYTES:
                raise Garbled(f"a message of {length} bytes")
            if len(self._held) < _LENGTH.size + length:
                return
            content = bytes(self._held[_LENGTH.size : _LENGTH.size + length])
            del self._held[: _LENGTH.size + length]
            try:
                yield self._decoder.decode(content)
            except msgspec.DecodeError as error:
                raise Garbled(str(error)) from None


def is_handed_over(path: str) -> bool:
    """Whether a file may be one that a worker gets."""
    return _FILES.fullmatch(path) is not None
