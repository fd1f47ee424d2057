"""A connection of the load client: one request at a time, its answer's bytes kept as they come.

Cheap on purpose, since the client shares the cores with what is measured: an answer is looked at when it is complete.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol, cast

from bench.batch import Ask
from bench.http import Response, may_be_complete, response_of


@dataclass(slots=True)
class Sent:
    """A request under way. `due` and the `reads` are times of the monotonic clock, in seconds."""

    ask: Ask
    due: float
    reads: list[tuple[float, int]] = field(default_factory=list)  # when, and how many events came


class Load(Protocol):
    """Who decides what a connection sends."""

    def answered(self, connection: "Connection", sent: Sent, response: Response) -> None:
        """All of the answer is there: the connection is free."""

    def broken(self, sent: Sent, text: str) -> None:
        """The answer is none, or did not come to its end: the connection closes."""


class Connection(asyncio.Protocol):
    """Kept open from request to request."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._sent: Sent | None = None
        self._parts: list[bytes] = []
        self._tail = b""
        self._chunked = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's."""
        self._transport = cast("asyncio.Transport", transport)

    def send(self, ask: Ask, request: bytes, due: float) -> None:
        """The next request; the one before must have been answered."""
        self._sent, self._parts, self._tail, self._chunked = Sent(ask, due), [], b"", False
        self._transport.write(request)

    def close(self) -> None:
        """It sends nothing more."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Asyncio's."""
        sent = self._sent
        if sent is None:
            self._transport.close()  # nobody asked
            return
        self._parts.append(data)
        self._tail = (self._tail + data)[-8:]
        if self._chunked or len(self._parts) == 1:
            sent.reads.append((time.perf_counter(), data.count(b"\n\n")))
        # In a stream only the first read and what looks like the end are worth a closer look.
        if len(self._parts) > 1 and self._chunked and not may_be_complete(self._tail):
            return
        received = b"".join(self._parts)
        try:
            response = response_of(received)
        except ValueError as error:
            self._break(sent, str(error))
            return
        self._chunked = b"\r\ntransfer-encoding: chunked\r\n" in received[:2048].lower()
        if response:
            self._sent = None
            self._load.answered(self, sent, response)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's."""
        if self._sent:
            self._break(self._sent, f"connection closed in mid-answer{f': {exc}' if exc else ''}")
        self.closed.set_result(None)

    def _break(self, sent: Sent, text: str) -> None:
        self._sent = None
        self._transport.close()
        self._load.broken(sent, text)
