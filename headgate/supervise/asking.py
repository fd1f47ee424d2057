"""One question on a Unix socket and its answer, on a connection of its own.

Parts are asked all the time, and the event loop's streams cost twice as much as its calls for sockets.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_PIECE_BYTES = 65_536


class Answer:
    """What comes back, as far as it is asked for."""

    def __init__(self, asked: socket.socket) -> None:
        self._asked = asked
        self._loop = asyncio.get_running_loop()

    async def piece(self) -> bytes:
        """What comes first; nothing when the other side closes. Raises OSError."""
        return await self._loop.sock_recv(self._asked, _PIECE_BYTES)

    async def line(self) -> bytes:
        """The first line, or all where there is no whole one. Raises OSError."""
        found = await self.piece()
        while b"\n" not in found and (piece := await self.piece()):
            found += piece
        end = found.find(b"\n") + 1
        return found[:end] if end else found

    async def whole(self) -> bytes:
        """All, until the other side closes. Raises OSError."""
        found = b""
        while piece := await self.piece():
            found += piece
        return found


@asynccontextmanager
async def asking(path: Path, question: bytes = b"") -> AsyncIterator[Answer]:
    """Connects and asks; closed afterwards. Raises OSError. Nothing here has an end of its own: give it one."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as asked:
        asked.setblocking(False)
        await loop.sock_connect(asked, str(path))
        if question:
            await loop.sock_sendall(asked, question)
        yield Answer(asked)
