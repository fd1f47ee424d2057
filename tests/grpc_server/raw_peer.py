"""A client made of bytes: frames written and read by hand, header blocks by the hpack package."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import hpack

from headgate.grpc_server import Limits, Method
from headgate.grpc_server.calls import open_call
from headgate.grpc_server.connection import Connection

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 1, 4, 8, 32
ACK = 1


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**values: int) -> bytes:
    names = {"table": 1, "push": 2, "streams": 3, "window": 4, "frame": 5}
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", names[name], value) for name, value in values.items()))


def message(text: bytes, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, len(text)) + text


def request(path: str, **more: str) -> list[tuple[str, str]]:
    fixed = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "workers"), ("te", "trailers")]
    return [*fixed, ("content-type", "application/grpc"), *((name.replace("_", "-"), more[name]) for name in more)]


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def frames_of(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    while data:
        length = int.from_bytes(data[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", data[3:9])
        assert len(data) >= 9 + length
        yield kind, flags, stream, data[9 : 9 + length]
        data = data[9 + length :]


@dataclass
class Answer:
    """What a stream got back."""

    blocks: list[dict[str, str]] = field(default_factory=list)
    data: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def messages(self) -> list[bytes]:
        found, rest = [], self.data
        while rest:
            compressed, size = struct.unpack(">BI", rest[:5])
            assert compressed == 0
            assert len(rest) >= 5 + size
            found.append(rest[5 : 5 + size])
            rest = rest[5 + size :]
        return found

    @property
    def status(self) -> int | None:
        return int(self.blocks[-1]["grpc-status"]) if self.ended and "grpc-status" in self.blocks[-1] else None


class Peer:
    """One connection to the server's side, without a socket."""

    def __init__(self, methods: Iterable[Method], limits: Limits | None = None, *, settled: bool = True) -> None:
        table = {method.path.encode(): method for method in methods}
        self.limits = limits or Limits()
        self.connection = Connection(self.limits, partial(open_call, table), lambda: None)
        self.encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        self.answers: dict[int, Answer] = {}
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.read()
        if settled:
            self.send(PREFACE, settings(), frame(SETTINGS, ACK))
            self.encoder.header_table_size = 0
            self.frames.clear()

    def send(self, *data: bytes) -> None:
        self.connection.receive(b"".join(data))
        self.read()

    def read(self) -> None:
        for kind, flags, stream, payload in frames_of(self.connection.take()):
            self.frames.append((kind, flags, stream, payload))
            answer = self.answers.setdefault(stream, Answer()) if stream else Answer()
            assert not answer.ended or kind in (RST_STREAM, WINDOW_UPDATE)
            if kind == HEADERS:
                assert flags & END_HEADERS
                answer.blocks.append(dict(self._decoder.decode(payload)))
            elif kind == DATA:
                assert answer.blocks
                answer.data += payload
            elif kind == RST_STREAM:
                answer.reset = int.from_bytes(payload, "big")
            if kind in (HEADERS, DATA):
                answer.ended = bool(flags & END_STREAM)

    def open(self, stream: int, path: str, *, end: bool = False, **headers: str) -> bytes:
        block = self.encoder.encode(request(path, **headers))
        return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)

    def call(self, stream: int, path: str, text: bytes, **headers: str) -> bytes:
        return self.open(stream, path, **headers) + frame(DATA, END_STREAM, stream, message(text))

    @property
    def error(self) -> int | None:
        """The code of the GOAWAY that ended the connection."""
        for kind, _, _, payload in self.frames:
            if kind == GOAWAY:
                return int.from_bytes(payload[4:8], "big")
        return None


class Echo:
    """Sends every message back; `stop` is the last one, `none` gets no reply, `fail` is a bug."""

    def __init__(self, call: Any) -> None:
        self.call = call

    def on_message(self, text: bytes) -> Any:
        if text == b"fail":
            raise ValueError(f"a secret: {text!r}")
        return (None if text == b"none" else text), text == b"stop"


def echo(text: bytes, call: Any) -> bytes:
    if text == b"fail":
        raise ValueError(f"a secret: {text!r}")
    if text.startswith(b"header "):
        return (call.header(text[7:].decode()) or "none").encode()
    return text


UNARY = Method("test.Service", "Echo", echo, bytes, streams=False)
STREAM = Method("test.Service", "Talk", Echo, bytes, streams=True)
METHODS = (UNARY, STREAM)
