"""The load client: `python -m bench.client`. One batch per line of standard input, its outcome as one line of output.

Cheap on purpose, since it shares the cores with what is measured: raw protocols, bytes kept as they come and looked
at when a response is complete.
"""

import asyncio
import sys
import time
from collections import Counter
from itertools import count
from typing import Any, cast

import msgspec
import uvloop

from bench.http import Response, may_be_complete, numbered, request_bytes, response_of

_numbers = count(1)  # of requests, over all batches


class Batch(msgspec.Struct, frozen=True):
    """`count` requests over `connections` connections, each sending its next one when the last was answered."""

    port: int
    headers: dict[str, str]
    body: dict[str, Any]
    count: int
    connections: int
    within_s: float
    path: str = "/v1/chat/completions"


class Outcome(msgspec.Struct):
    """What came of a batch. `errors` counts texts; `events` and `usages` are totals over good responses."""

    answered: int = 0
    events: int = 0
    usages: int = 0
    latencies_ms: list[float] = msgspec.field(default_factory=list)
    errors: dict[str, int] = msgspec.field(default_factory=dict)
    wall_s: float = 0.0


class _Connection(asyncio.Protocol):
    """Keeps one request open as long as the batch has some left."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._parts: list[bytes] = []
        self._tail = b""
        self._chunked = False
        self._began = 0.0
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._tail = (self._tail + data)[-8:]
        # In a stream only the first read and what looks like the end are worth a closer look.
        if len(self._parts) > 1 and self._chunked and not may_be_complete(self._tail):
            return
        received = b"".join(self._parts)
        try:
            response = response_of(received)
        except ValueError as error:
            self._load.failed(str(error))
            self._transport.close()
            return
        self._chunked = b"\r\ntransfer-encoding: chunked\r\n" in received[:2048]
        if response:
            self._load.done(response, time.perf_counter() - self._began)
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._parts:
            self._load.failed(f"connection closed in mid-answer{f': {exc}' if exc else ''}")
        self.closed.set_result(None)

    def _next(self) -> None:
        self._parts, self._tail, self._chunked = [], b"", False
        if self._load.take():
            self._began = time.perf_counter()
            self._transport.write(numbered(self._load.request, next(_numbers)))
        else:
            self._transport.close()


class _Load:
    """A batch under way."""

    def __init__(self, batch: Batch) -> None:
        self.request = request_bytes(batch.port, batch.headers, msgspec.json.encode(batch.body), batch.path)
        self.outcome = Outcome()
        self._left = batch.count
        self._errors: Counter[str] = Counter()

    def take(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def done(self, response: Response, took_s: float) -> None:
        if response.status != 200:
            self.failed(f"status {response.status}: {response.body[:200].decode(errors='replace')}")
            return
        self.outcome.answered += 1
        self.outcome.events += response.body.count(b"data: ")
        self.outcome.usages += response.body.count(b'"usage"')
        self.outcome.latencies_ms.append(took_s * 1000)

    def failed(self, text: str) -> None:
        self._errors[text] += 1

    async def run(self, batch: Batch) -> Outcome:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        try:
            async with asyncio.timeout(batch.within_s):
                opened = [
                    await loop.create_connection(lambda: _Connection(self), "127.0.0.1", batch.port)
                    for _ in range(batch.connections)
                ]
                await asyncio.gather(*(connection.closed for _transport, connection in opened))
        except (OSError, TimeoutError) as error:
            self.failed(f"{type(error).__name__}: {error}")
        missing = batch.count - self.outcome.answered - sum(self._errors.values())
        if missing:
            self._errors["not answered"] += missing
        self.outcome.errors = dict(self._errors)
        self.outcome.wall_s = time.perf_counter() - began
        return self.outcome


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        batch = msgspec.json.decode(line, type=Batch)
        outcome = await _Load(batch).run(batch)
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(_serve())
