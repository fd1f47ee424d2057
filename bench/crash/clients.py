"""Clients that ask, read, and leave when they are to; each writes down what it got, and when.

A connection of its own for each request. Who finds nobody listening tries again: nothing was asked then.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.crash.asks import Ask
from bench.http import request_bytes

_WITHIN_S = 60.0
_AGAIN_S = 0.05


@dataclass(slots=True)
class Answer:
    """What a client knows of its request. Times are Unix seconds. `events` are those with tokens in them."""

    ask: Ask
    sent_at: float
    request_id: str | None = None
    status: int | None = None
    events: int = 0
    whole: bool = False
    left: bool = False
    ended_at: float = 0.0


class Clients:
    """So many at once, until there is nothing left to ask."""

    def __init__(self, port: int, keys: dict[str, str], on_begin: Callable[[int], None]) -> None:
        self._port = port
        self._keys = keys
        self._on_begin = on_begin  # how many requests were sent, the one that is about to be included
        self._sent = 0
        self.answers: list[Answer] = []

    async def run(self, asks: Iterator[Ask], at_once: int) -> None:
        """Ask all of it."""
        await asyncio.gather(*(self._client(asks) for _ in range(at_once)))

    async def _client(self, asks: Iterator[Ask]) -> None:
        for ask in asks:
            reader, writer = await self._connected()
            self._sent += 1
            self._on_begin(self._sent)
            answer = Answer(ask, time.time())
            self.answers.append(answer)
            try:
                async with asyncio.timeout(_WITHIN_S):
                    await self._ask(answer, reader, writer)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                pass  # cut off: what was there until then counts
            answer.ended_at = time.time()
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises TimeoutError where nobody listens any more."""
        async with asyncio.timeout(_WITHIN_S):
            while True:
                try:
                    return await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
                except OSError:
                    await asyncio.sleep(_AGAIN_S)

    async def _ask(self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ask = answer.ask
        headers = {"authorization": f"Bearer {self._keys[ask.tenant]}", "connection": "close"}
        writer.write(request_bytes(self._port, headers, json.dumps(ask.body).encode()))
        if ask.leaves_after == 0:
            await asyncio.sleep(0.01 * (1 + ask.number % 8))  # before, while or after it is decided on
            answer.left = True
            return
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        answer.status, answer.request_id = int(head[0].split(" ")[1]), fields.get("x-request-id")
        if fields.get("transfer-encoding") != "chunked":
            await reader.readexactly(int(fields["content-length"]))
            answer.whole = True
            return
        await _read_events(answer, reader)


async def _read_events(answer: Answer, reader: asyncio.StreamReader) -> None:
    """An event is there when its last byte is."""
    rest = b""
    while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
        *events, rest = (rest + (await reader.readexactly(size + 2))[:-2]).split(b"\n\n")
        answer.events += sum(map(_has_tokens, events))
        if answer.ask.leaves_after and answer.events >= answer.ask.leaves_after:
            answer.left = True
            return
    answer.whole = True


def _has_tokens(event: bytes) -> bool:
    if not event.startswith(b"data: {"):
        return False
    return any(choice["delta"].get("content") for choice in json.loads(event[6:]).get("choices", ()))
