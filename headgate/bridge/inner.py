"""Requests to Envoy's inner listener: HTTP/1.1 over a Unix socket, a connection for each, which ends with it.

The other side is our own Envoy, so this reads what Envoy writes and is no general client. Leaving closes the
connection, by which Envoy knows that the client has gone: it cancels what runs at the provider.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# How much of an answer may be here that its client has not read; asyncio holds twice as much at most.
_READ_BYTES = 64 * 2**10


class InnerError(Exception):
    """Envoy could not be asked."""


class BrokenOffError(Exception):
    """An answer ended before its end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's head; header names are lower case. The body is read as it comes."""

    status: int
    headers: Mapping[str, str]
    reader: asyncio.StreamReader

    @property
    def streams(self) -> bool:
        """Whether the body is a stream of events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, in pieces. Raises BrokenOffError."""
        try:
            if "chunked" in self.headers.get("transfer-encoding", ""):
                async for piece in self._chunks():
                    yield piece
            else:
                left = int(self.headers.get("content-length", "0"))
                while left:
                    piece = await self.reader.read(min(left, _READ_BYTES))
                    if not piece:
                        raise BrokenOffError
                    left -= len(piece)
                    yield piece
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            raise BrokenOffError from error

    async def _chunks(self) -> AsyncIterator[bytes]:
        """RFC 9112, section 7.1."""
        while left := int((await self.reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            while left:
                piece = await self.reader.read(min(left, _READ_BYTES))
                if not piece:
                    raise BrokenOffError
                left -= len(piece)
                yield piece
            await self.reader.readexactly(2)

    async def whole(self, most_bytes: int) -> bytes:
        """The body, up to so many bytes of it. Raises BrokenOffError."""
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > most_bytes:
                break
        return bytes(body[:most_bytes])


@contextlib.asynccontextmanager
async def asked(
    socket: Path, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
) -> AsyncIterator[Answer]:
    """Ask, and have the answer's head. Raises InnerError."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket), limit=_READ_BYTES)
    except OSError as error:
        raise InnerError("Envoy cannot be reached") from error
    try:
        fields = {**headers, "host": "headgate", "connection": "close", "content-length": str(len(body))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        # Not waited for: a refusal may come before the body is read.
        writer.write("\r\n".join([*lines, "", ""]).encode("ascii", "surrogateescape"))
        if body:
            writer.write(body)
        yield await _head(reader)
    finally:
        writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> Answer:
    """The first answer that is not provisional."""
    try:
        while True:
            line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(line.split(" ")[1])
            if status >= 200:
                break
    except (OSError, ValueError, IndexError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise InnerError("there is no answer") from error
    pairs = (field.partition(":") for field in fields if field)
    return Answer(status, {name.lower(): value.strip() for name, _, value in pairs}, reader)
