"""The scripted upstream: `python -m bench.upstream`. Prints its port, serves until standard input ends.

Every chunk of a stream is a write of its own at its own time, `interval` after the one before, so that whoever reads
it reads it alone. Answers only what it expects: a request that the gateway failed to prepare is a 400.
"""

import asyncio
import re
import sys
from typing import cast

import uvloop

from bench import answers
from bench.foreign import FOREIGN, Foreign

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKS = re.compile(rb'"max_(?:completion_)?tokens": *(\d+)')
_STREAM = re.compile(rb'"stream": *true')
_USAGE = re.compile(rb'"continuous_usage_stats": *true')
_MODEL = re.compile(rb'"model": *"%s"' % answers.MODEL.encode())
_EMBEDDING = re.compile(rb'"model": *"%s"' % answers.EMBEDDING_MODEL.encode())
_FAILING = re.compile(rb'"model": *"%s"' % answers.FAILING_MODEL.encode())
_BOUNDED = re.compile(rb'"model": *"%s"' % answers.BOUNDED_MODEL.encode())
_FOREIGN = {foreign.path.encode(): foreign for foreign in FOREIGN}
_LENGTHS = {foreign.api: re.compile(rb'"%s": *(\d+)' % foreign.length.encode()) for foreign in FOREIGN}


class Connection(asyncio.Protocol):
    """One kept-alive connection, one request at a time."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Asyncio's."""
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answers when a request is complete."""
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        length = _LENGTH.search(self._received, 0, end)
        size = end + (int(length[1]) if length else 0)
        if len(self._received) < size:
            return
        head, body, self._received = self._received[:end], self._received[end:size], self._received[size:]
        self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        if (method, path) == (b"GET", b"/health"):
            self._transport.write(answers.plain_answer(200, b"{}"))
        elif method == b"POST" and (foreign := _FOREIGN.get(path)):
            self._stream_foreign(foreign, body)
        elif (method, path) == (b"POST", b"/v1/embeddings") and _EMBEDDING.search(body):
            self._transport.write(answers.embedding_answer())
        elif (method, path) == (b"POST", b"/v1/chat/completions") and _FAILING.search(body):
            self._transport.write(answers.plain_answer(500, b'{"error":{"message":"as it was told to"}}'))
        elif (method, path) != (b"POST", b"/v1/chat/completions") or not _is_ours(body):
            self._refuse(b"not what the bench sends")
        elif not _STREAM.search(body):
            self._transport.write(answers.json_answer())
        elif (chunks := _CHUNKS.search(body)) and _USAGE.search(body):
            self._stream(answers.stream_writes(int(chunks[1])), 0, self._loop.time())
        else:
            self._refuse(b"usage not asked for")

    def _stream_foreign(self, foreign: Foreign, body: bytes) -> None:
        chunks = _LENGTHS[foreign.api].search(body)
        if not chunks:
            self._refuse(foreign.length.encode() + b" is missing")
        elif foreign.names_model and not (_MODEL.search(body) and _STREAM.search(body)):
            self._refuse(b"not what the bench sends")
        else:
            self._stream(foreign.writes(int(chunks[1])), 0, self._loop.time())

    def _refuse(self, message: bytes) -> None:
        self._transport.write(answers.plain_answer(400, b'{"error":{"message":"%s"}}' % message))

    def _stream(self, writes: tuple[bytes, ...], at: int, due: float) -> None:
        self._transport.write(writes[at])
        if at + 1 < len(writes):
            # From the time it was due, not from now: a late chunk does not make the whole stream late.
            due += self._interval_s
            self._timer = self._loop.call_at(due, self._stream, writes, at + 1, due)


def _is_ours(body: bytes) -> bool:
    return bool(_MODEL.search(body) or (_BOUNDED.search(body) and _CHUNKS.search(body)))


async def serve(interval_s: float) -> None:
    """Listens on a free loopback port until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(interval_s), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(float(sys.argv[1]) / 1000))
