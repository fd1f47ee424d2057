"""HTTP/2 frame by frame, for clients that do what no library would."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
Pairs = Sequence[tuple[str, str] | tuple[bytes, bytes]]


class Peer:
    """One connection. What is sent is not checked; what comes is read as frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.encoder, self.decoder = Encoder(), Decoder()
        self.frames: list[Frame] = []

    async def send(self, *frames: Frame) -> None:
        """Raises ConnectionError once the other side has given up."""
        self.writer.write(b"".join(frame.serialize() for frame in frames))
        await self.writer.drain()

    def headers(self, stream: int, pairs: Pairs, *flags: str) -> HeadersFrame:
        return HeadersFrame(stream, data=self.encoder.encode(list(pairs)), flags=flags)

    async def read(self, within_s: float = 15.0) -> list[Frame]:
        """Everything up to the end of the connection, or what has come by then."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    await self.read_one()
        return self.frames

    async def read_one(self) -> Frame:
        frame, length = Frame.parse_frame_header(memoryview(await self.reader.readexactly(9)))
        frame.parse_body(memoryview(await self.reader.readexactly(length)))
        self.frames.append(frame)
        return frame

    async def until(self, kind: type[Frame], stream: int = 0) -> Frame:
        """The next frame of a kind; raises IncompleteReadError or ConnectionError when none comes any more."""
        async with asyncio.timeout(60):
            while True:
                frame = await self.read_one()
                if isinstance(frame, kind) and frame.stream_id == stream:
                    return frame

    @property
    def gave_up(self) -> bool:
        """Whether the other side said goodbye."""
        return any(isinstance(frame, GoAwayFrame) for frame in self.frames)


@asynccontextmanager
async def http2_peer(
    address: str, *, receive_buffer: int | None = None, settings: dict[int, int] | None = None
) -> AsyncIterator[Peer]:
    """A connection with its preface sent."""
    host, port = address.split(":")
    raw = socket.socket()
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=raw, limit=2**16)
    peer = Peer(reader, writer)
    try:
        writer.write(PREFACE + SettingsFrame(0, settings=settings or {}).serialize())
        yield peer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


__all__ = ["ContinuationFrame", "DataFrame", "HeadersFrame", "Pairs", "Peer", "RstStreamFrame", "http2_peer"]
