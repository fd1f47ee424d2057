"""HTTP/1.1 over a bare socket, for tests that must decide or see the bytes themselves."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 30.0


@dataclass
class Reply:
    """An answer as it came. `whole`: the last chunk, or as many bytes as announced, were there."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        return self.headers["x-request-id"]


def post(path: str, body: bytes, headers: Mapping[str, str], *, close: bool = True) -> bytes:
    """A request with its length; `headers` may hold another host or length."""
    fields = {"host": "gateway.test", "content-length": str(len(body)), **headers}
    if close:
        fields["connection"] = "close"
    return head("POST", path, fields) + body


def head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


@asynccontextmanager
async def connection(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is gone afterwards, whatever happened."""
    host, port = address.split(":")
    async with asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_connection(host, int(port), limit=2**20)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def ask(address: str, request: bytes) -> Reply:
    """Send one request on a connection of its own and read until the end of that connection or of the answer."""
    async with connection(address) as (reader, writer):
        sending = asyncio.create_task(_send(writer, request))
        try:
            return await read_reply(reader)
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # refused before it had read everything: the answer says why
        for at in range(0, len(data), 2**18):
            writer.write(data[at : at + 2**18])
            await writer.drain()


async def read_head(reader: asyncio.StreamReader) -> Reply:
    """Status and headers; the body is still to be read."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Reply(int(first.split(" ")[1]), dict(pairs), b"", whole=False)


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    reply = await read_head(reader)
    await read_body(reader, reply)
    return reply


async def read_body(reader: asyncio.StreamReader, reply: Reply) -> None:
    """Fill in the body, as much of it as comes."""
    parts: list[bytes] = []
    try:
        if reply.headers.get("transfer-encoding") == "chunked":
            while part := await read_chunk(reader):
                parts.append(part)
        else:
            parts.append(await reader.readexactly(int(reply.headers.get("content-length", "0"))))
        reply.whole = True
    except asyncio.IncompleteReadError as error:
        parts.append(error.partial)
    except ConnectionResetError:
        pass
    reply.body = b"".join(parts)


async def read_chunk(reader: asyncio.StreamReader) -> bytes:
    """The next chunk of a chunked body; empty at its end. Raises IncompleteReadError when it is cut off."""
    size_line = await reader.readline()
    if not size_line.endswith(b"\n"):
        raise asyncio.IncompleteReadError(b"", None)
    size = int(size_line, 16)
    data = await reader.readexactly(size + 2)
    return data[:size]
