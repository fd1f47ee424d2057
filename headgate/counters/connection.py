"""One connection to the counters that sends every command at once and matches the replies in order.

What one turn of the event loop brings goes out in one write: the server reads, logs and answers it in one go too.

Made for the hot path: redis-py takes 50 to 100 µs of CPU per call, this 7 to 25. A command that waits while nothing
at all is answered for the time limit is given up; the connection is, with everything on it, a moment later: a server
that got no CPU for so long is still there. One that answers one command after the other is not slow, however many
there are; within reason.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

from headgate.counters.address import CountersAddress

CONNECT_TIMEOUT_S = 1.0  # in the background: no request waits for it

# The time limit is this many ticks without an answer. A process that was stopped or busy finds its timers due before
# it has read what came in meanwhile; that is one tick, however long it was, and what there is to read is read before
# the next one. On a machine that is short of CPU ticks come late, as the server's answers do.
_TICKS = 4
_MOST_TICKS = 5 * _TICKS  # what one command waits for at most, however many were answered before it
_MOMENT_S = 0.08  # from the time limit to the end of the connection


class Lost(Exception):  # noqa: N818 - what happened, not what went wrong
    """The connection is gone; commands without an answer may or may not have been carried out."""


class Connection(asyncio.Protocol):
    """Made by `connect`. `on_lost` is called once, with the reason."""

    def __init__(self, timeout_s: float, on_lost: Callable[[str], None]) -> None:
        self._timeout_s = timeout_s
        self._patience = _TICKS + math.ceil(_MOMENT_S * _TICKS / timeout_s)
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[asyncio.Future[Any], int]] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.WriteTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ticks = 0
        self._heard_at = 0  # a tick, like the numbers in `_waiting`

    def call(self, command: tuple[str | int | float | bytes | memoryview, ...]) -> "asyncio.Future[Any]":
        """Send a command, in this turn of the event loop; its reply, which may be a hiredis.ReplyError.

        Raises Lost, also later, and UnicodeEncodeError for text that is none; nothing is sent then.
        """
        if self._transport is None:
            raise Lost("not connected")
        packed = hiredis.pack_command(command)  # type: ignore[arg-type] # its stub means tuples of one
        reply: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((reply, self._ticks))
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(packed)
        if self._timer is None:
            self._heard_at = self._ticks
            self._timer = self._loop.call_later(self._timeout_s / _TICKS, self._tick)
        return reply

    def lose(self, reason: str) -> None:
        """Give up on it and on all that it has not answered."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        transport.abort()
        if self._timer:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, deque()
        for reply, _ in waiting:
            if not reply.done():
                reply.set_exception(Lost(reason))
        self._on_lost(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's word that it is there."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Replies, in the order of the commands."""
        self._heard_at = self._ticks
        self._reader.feed(data)
        try:
            while (value := self._reader.gets()) is not False:
                reply, _ = self._waiting.popleft()
                if not reply.done():  # its request may have been given up meanwhile
                    reply.set_result(value)
        except (hiredis.ProtocolError, IndexError):
            self.lose("does not speak RESP")
        if self._timer and not self._waiting:
            self._timer.cancel()
            self._timer = None

    def connection_lost(self, _error: Exception | None) -> None:
        """asyncio's word that it is gone."""
        self.lose("closed the connection")

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport:
            self._transport.write(b"".join(unsent))

    def _tick(self) -> None:
        self._ticks += 1
        silent, reason = self._ticks - self._heard_at, f"no answer within {self._timeout_s * 1000:g} ms"
        if silent >= self._patience or self._ticks - self._waiting[0][1] >= _MOST_TICKS:
            self.lose(reason)
            return
        if silent >= _TICKS:
            self._give_up(reason)
        self._timer = self._loop.call_later(self._timeout_s / _TICKS, self._tick)

    def _give_up(self, reason: str) -> None:
        """Of commands that have waited long enough; their answers, if they come, are nobody's."""
        for reply, sent_at in self._waiting:
            if self._ticks - sent_at < _TICKS:
                return
            if not reply.done():
                reply.set_exception(Lost(reason))


async def connect(address: CountersAddress, timeout_s: float, on_lost: Callable[[str], None]) -> Connection:
    """A connection that may be used; `timeout_s` is for its calls.

    Raises OSError, TimeoutError, Lost or hiredis.ReplyError.
    """
    loop = asyncio.get_running_loop()

    def make() -> Connection:
        return Connection(timeout_s, on_lost)

    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        if address.path:
            _, connection = await loop.create_unix_connection(make, address.path)
        else:
            _, connection = await loop.create_connection(make, address.host, address.port, ssl=address.context())
    with contextlib.ExitStack() as on_error:
        on_error.callback(connection.lose, "did not take the greeting")
        for command in address.greeting():
            accepted(await connection.call(command))
        on_error.pop_all()
    return connection


def accepted(reply: Any) -> Any:
    """The reply, unless it is an error: that is raised."""
    if isinstance(reply, hiredis.ReplyError):
        raise reply
    return reply
