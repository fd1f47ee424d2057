"""A connection to one Envoy's admin interface that stays open: GET, one after the other.

It is asked several times a second for as long as the gateway runs, where a general client of HTTP costs more than
what is done with the answer.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

WITHIN_S = 1.0
_MOST_BYTES = 2**26  # of 10,000 clusters with all that is said of them
_LIMIT_BYTES = 65_536  # of a head, or of a chunk's


class AdminConnection:
    """Raises OSError or TimeoutError where there is no answer, or not 200; it is of no use afterwards."""

    def __init__(self, admin: Path) -> None:
        self._admin = admin
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str, query: Mapping[str, str]) -> bytes:
        """What it answers."""
        async with asyncio.timeout(WITHIN_S):
            if self._streams is None:
                self._streams = await asyncio.open_unix_connection(str(self._admin), limit=_LIMIT_BYTES)
            reader, writer = self._streams
            writer.write(f"GET {path}?{urlencode(query)} HTTP/1.1\r\nhost: envoy\r\n\r\n".encode())
            try:
                return await _answer(reader)
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
                raise ConnectionError("not an answer of Envoy's admin interface") from error

    def close(self) -> None:
        """Let go of it."""
        if self._streams:
            self._streams[1].close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Envoy writes all answers of its own in chunks (RFC 9112, section 7.1), or says their length."""
    status, *fields = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    if status.split(b" ")[1:2] != [b"200"]:
        raise ConnectionError(f"envoy answers {status.decode(errors='replace')}")
    headers = dict(field.split(b":", 1) for field in fields if field)
    if b"content-length" in headers:
        return await reader.readexactly(min(int(headers[b"content-length"]), _MOST_BYTES))
    found = bytearray()
    while size := int(await reader.readuntil(b"\r\n"), 16):
        found += (await reader.readexactly(min(size, _MOST_BYTES) + 2))[:-2]
        if len(found) > _MOST_BYTES:
            raise ValueError("too long")
    await reader.readuntil(b"\r\n")
    return bytes(found)
