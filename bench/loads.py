"""Loads that the client runs: closed loops, where a client waits for its answer, and open ones, where none does."""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterator
from itertools import count, cycle, pairwise
from typing import cast

import msgspec

from bench.answers import PIECE
from bench.batch import Ask, Batch, Outcome, Seen
from bench.connection import Connection, Sent
from bench.http import Response, numbered, request_bytes

_numbers = count(1)  # of requests, over all batches


class _Load(ABC):
    """A batch under way: what it sends next, and what came."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.outcome = Outcome(seen={ask.label: Seen() for ask in batch.asks})
        self.sent = 0
        self._opened: list[Connection] = []
        self._errors: Counter[str] = Counter()
        self._requests: Iterator[tuple[Ask, bytes]] = cycle(
            [
                (ask, request_bytes(batch.port, ask.headers, msgspec.json.encode(ask.body), ask.path))
                for ask in batch.asks
            ]
        )

    def _send(self, connection: Connection, due: float) -> None:
        ask, request = next(self._requests)
        self.sent += 1
        connection.send(ask, numbered(request, next(_numbers)), due)

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        _transport, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.batch.port)
        self._opened.append(connection)
        return connection

    def answered(self, connection: Connection, sent: Sent, response: Response) -> None:
        """Count it, if it is right."""
        ended = time.perf_counter()
        ask, text = sent.ask, response.body
        if response.status not in ask.statuses:
            self._failed(f"status {response.status}: {text[:200].decode(errors='replace')}")
        elif ask.says and (found := text.count(ask.says.encode())) != 1:
            self._failed(f"{ask.says!r} was there {found} times where 1 was expected")
        elif ask.pieces and (wrong := _wrong_pieces(text, ask.pieces)):
            self._failed(wrong)
        else:
            self._count(self.outcome.seen[ask.label], sent, text, ended)
        if response.closes:
            connection.close()
        else:
            self._free(connection)

    def _count(self, seen: Seen, sent: Sent, text: bytes, ended: float) -> None:
        seen.answered += 1
        events = text.count(b"data: ")
        seen.events += events
        seen.usages += text.count(b'"usage"')
        seen.latencies_ms.append((ended - sent.due) * 1000)
        if not events:
            return
        reads = [read for read in sent.reads if read[1]]
        seen.first_ms.append((reads[0][0] - sent.due) * 1000)
        for (before, _), (at, came) in pairwise(reads):
            seen.gaps_ms.append((at - before) * 1000)
            seen.gaps_ms.extend([0.0] * (came - 1))  # with the one before, in the same read

    def broken(self, sent: Sent, text: str) -> None:  # noqa: ARG002 - whose answer it was is no matter here
        """Count it."""
        self._failed(text)

    def _failed(self, text: str) -> None:
        self._errors[text] += 1

    @abstractmethod
    def _free(self, connection: Connection) -> None:
        """It has its answer."""

    @abstractmethod
    async def _send_all(self) -> None:
        """Until all is sent and answered."""

    def _ended(self) -> int:
        return self.outcome.answered + sum(self._errors.values())

    async def run(self) -> Outcome:
        """All that the batch asks for, and what came of it."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.batch.within_s):
                await self._send_all()
        except (OSError, TimeoutError) as error:
            self._failed(f"{type(error).__name__}: {error}")
        for connection in self._opened:
            connection.close()
        self.outcome.opened = len(self._opened)
        if missing := max(self.sent, self.batch.count or 0) - self._ended():
            self._errors["not answered"] += missing
        self.outcome.errors = dict(self._errors)
        self.outcome.wall_s = time.perf_counter() - began
        return self.outcome


class Closed(_Load):
    """So many clients, each asking again once it was answered."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self._until = time.perf_counter() + batch.seconds if batch.seconds else None

    def _free(self, connection: Connection) -> None:
        if self._more():
            self._send(connection, time.perf_counter())
        else:
            connection.close()

    async def _send_all(self) -> None:
        opened = [await self._open() for _ in range(self.batch.connections)]
        await asyncio.gather(*map(self._client, opened))

    async def _client(self, connection: Connection) -> None:
        while True:
            self._free(connection)
            await connection.closed
            if not self._more():
                return
            connection = await self._open()  # the server has closed the one before

    def _more(self) -> bool:
        if self._until is not None and time.perf_counter() > self._until:
            return False
        return self.batch.count is None or self.sent < self.batch.count


class Open(_Load):
    """Requests that come when they come."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self._idle: deque[Connection] = deque()

    def _free(self, connection: Connection) -> None:
        self._idle.append(connection)

    async def _send_all(self) -> None:
        arrivals = random.Random(self.batch.seed)  # noqa: S311 - the same arrivals in every run
        due = began = time.perf_counter()
        opening: set[asyncio.Task[None]] = set()
        while (due := due + arrivals.expovariate(cast("float", self.batch.rate))) < began + (self.batch.seconds or 0):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.outcome.late_ms.append(max(0.0, time.perf_counter() - due) * 1000)
            if connection := self._ready():
                self._send(connection, due)
            else:
                task = asyncio.create_task(self._send_on_another(due))
                opening.add(task)
                task.add_done_callback(opening.discard)
        await asyncio.gather(*opening)
        while self.sent > self._ended():  # noqa: ASYNC110 - it is the end: who hears of it later loses nothing
            await asyncio.sleep(0.01)

    def _ready(self) -> Connection | None:
        while self._idle:
            if not (connection := self._idle.pop()).closed.done():
                return connection
        return None

    async def _send_on_another(self, due: float) -> None:
        self._send(await self._open(), due)


def _wrong_pieces(text: bytes, expected: int) -> str:
    """What is wrong with a stream's pieces; nothing, if they are 1 to `expected` in this order."""
    found = PIECE.findall(text)
    if len(found) != expected:
        return f"{len(found)} pieces were there where {expected} were expected"
    wrong = next((place for place, one in enumerate(found, 1) if int(one) != place), None)
    return f"piece {int(found[wrong - 1])} was there where {wrong} was expected" if wrong else ""


def load_of(batch: Batch) -> _Load:
    """The load that the batch asks for."""
    return Open(batch) if batch.rate else Closed(batch)
