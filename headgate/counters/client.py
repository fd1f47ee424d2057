"""The counters as parts use them: calls while they answer in time, `Unavailable` at once while they do not.

A circuit breaker: after one call that was not answered in time, was refused or was cut off, no call is tried before
a probe in the background has written something and was answered in time. So a slow server costs one wait, not one per
call.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import hiredis

from headgate.counters.address import CountersAddress
from headgate.counters.connection import Connection, Lost, accepted, connect
from headgate.counters.scripts import ALL, Argument, Script, tenant_of

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5

_PROBE_KEY = "hg:probe"
# What a node of a cluster answers where another one has the key, or nobody.
_ELSEWHERE = ("MOVED", "ASK", "CLUSTERDOWN")
# What a server answers when the command is wrong and not the server: no reason to stop asking it.
_OUR_FAULT = ("ERR", "WRONGTYPE")


class Unavailable(Exception):  # noqa: N818 - a state, decided upon by the caller
    """The counters did not decide. `maybe` says whether the call may have been carried out all the same."""

    def __init__(self, reason: str, *, maybe: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.maybe = maybe


class Failed(Unavailable):
    """The server is well and this call is wrong, today and tomorrow."""


class Counters:
    """One process's way to the counters. `changed` is told the reason when they go away, None when they are back."""

    def __init__(
        self, address: CountersAddress, timeout_s: float, changed: Callable[[str | None], None] = lambda _: None
    ) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._changed = changed
        self._connection: Connection | None = None
        self._probe_key = _PROBE_KEY
        self._first_try = asyncio.Event()
        self._reason = "not connected yet"
        self._told_down = False
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and stay connected, in the background of the running loop."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        """Let go of the connection."""
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """What the script returns, within the time limit whatever it takes. Raises Unavailable, or Failed."""
        began = time.monotonic()
        reply = await self.call("EVALSHA", script.sha1, len(keys), *keys, *arguments)
        if isinstance(reply, hiredis.ReplyError) and _code(reply) == "NOSCRIPT":
            left_s = self._timeout_s - (time.monotonic() - began)
            reply = await _within(left_s, self.call("EVAL", script.text, len(keys), *keys, *arguments))
        return self._checked(reply, keys)

    async def command(self, *words: Argument) -> Any:
        """The reply to any command. Raises Unavailable, or Failed."""
        return self._checked(await self.call(*words), words)

    async def call(self, *words: Argument) -> Any:
        """The bare reply, an error among them. Raises Unavailable."""
        if self._connection is None and not self._first_try.is_set():
            return await _within(self._timeout_s, self._first_call(words))
        return await self._send(words)

    async def _first_call(self, words: tuple[Argument, ...]) -> Any:
        """Waits for the first attempt of this process to connect; later ones are not waited for."""
        await self._first_try.wait()
        return await self._send(words)

    async def _send(self, words: tuple[Argument, ...]) -> Any:
        if self._connection is None:
            raise Unavailable(self._reason, maybe=False)
        try:
            return await self._connection.call(words)
        except Lost as lost:
            raise Unavailable(str(lost), maybe=True) from lost

    def _checked(self, reply: Any, words: Sequence[Argument]) -> Any:
        if isinstance(reply, hiredis.ReplyError):
            code, reason = _code(reply), _reason_of(reply)
            if code in _OUR_FAULT:
                raise Failed(reason, maybe=False) from reply
            if code in _ELSEWHERE:
                self._probe_key = _beside(words)
            if self._connection:
                self._connection.lose(reason)
            raise Unavailable(reason, maybe=False) from reply
        return reply

    async def _keep(self) -> None:
        try:
            await self._reconnect()
        finally:
            if self._connection:
                self._connection.lose("closed here")

    async def _reconnect(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while True:
            lost: asyncio.Future[str] = loop.create_future()
            began = loop.time()
            try:
                self._connection = await self._usable(lost)
            except (OSError, TimeoutError, Lost, hiredis.HiredisError) as error:
                self._down(_reason_of(error))
            else:
                self._up()
                self._down(await lost)
            if loop.time() - began > 1:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _usable(self, lost: "asyncio.Future[str]") -> Connection:
        """A connection that has just carried out a write in time."""
        connection = await connect(self._address, self._timeout_s, lambda reason: _tell(lost, reason))
        try:
            commands = [("SCRIPT", "LOAD", script.text) for script in ALL]
            for command in (*commands, ("SET", self._probe_key, "1", "PX", 1000)):
                accepted(await connection.call(command))
        except BaseException:
            connection.lose("not usable")
            raise
        return connection

    def _up(self) -> None:
        self._first_try.set()
        if self._told_down:
            self._told_down = False
            self._changed(None)

    def _down(self, reason: str) -> None:
        self._connection = None
        self._reason = reason
        self._first_try.set()
        if not self._told_down:
            self._told_down = True
            self._changed(reason)


async def _within(left_s: float, call: Awaitable[Any]) -> Any:
    """The reply of a call that had to wait for something else before. Raises Unavailable."""
    try:
        # Python 3.11's wait_for loses a cancellation that comes as it completes.
        async with asyncio.timeout(left_s):
            return await call
    except TimeoutError:
        raise Unavailable("no answer in time", maybe=True) from None


def _tell(lost: "asyncio.Future[str]", reason: str) -> None:
    if not lost.done():
        lost.set_result(reason)


def _code(error: hiredis.ReplyError) -> str:
    """The first word, such as OOM: the rest may name keys."""
    return str(error).partition(" ")[0]


def _beside(words: Sequence[Argument]) -> str:
    """A key to probe with that is where these are: a write of any other one proves nothing."""
    tenants = (tenant_of(word) for word in words if isinstance(word, str) and word.startswith("hg:{"))
    return next((f"{_PROBE_KEY}:{{{tenant}}}" for tenant in tenants), _PROBE_KEY)


def _reason_of(error: Exception) -> str:
    if isinstance(error, hiredis.ReplyError):
        code = _code(error)
        about = ": services.counters has to be one node, or a proxy, that holds all slots of the cluster"
        return f"answers {code}{about if code in _ELSEWHERE else ''}"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return str(error) if isinstance(error, Lost) else type(error).__name__
