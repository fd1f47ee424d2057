"""One server of the counters: calls while it answers in time, `Unavailable` at once while it does not.

A circuit breaker: after one call that was not answered in time, was refused or was cut off, no call is tried before
a probe in the background has written something and was answered in time. So a slow server costs one wait, not one per
call. Whatever has to do with other servers is not decided here.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from headgate.counters.address import CountersAddress
from headgate.counters.connection import Connection, Lost, accepted, connect
from headgate.counters.scripts import ALL, Argument, Script, tenant_of
from headgate.counters.slots import is_down, is_under_way, is_well, redirect_of
from headgate.counters.unavailable import Failed, Redirected, Unavailable, code_of, reason_of, within

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5

_PROBE_KEY = "hg:probe"
# A script that says nothing else may write, so that a server that takes no writes refuses it; it has no key, and so
# no slot that might be on its way to another node.
_PROBE_SCRIPT = "#!lua\nreturn 1"
# What a node of a cluster answers where another one has the key, or nobody.
_ELSEWHERE = ("MOVED", "ASK", "CLUSTERDOWN")
_MAP_CHANGED = ("MOVED", "CLUSTERDOWN")
# What a server answers when the command is wrong and not the server: no reason to stop asking it.
_OUR_FAULT = ("ERR", "WRONGTYPE")


class Node:
    """A server and the way to it. `changed` is told the reason when it goes away, None when it is back.

    `moved` is called when it says that its map of the cluster is another one. `has_news`: `changed` is to be told
    when it is there for the first time, too.
    """

    def __init__(
        self,
        address: CountersAddress,
        timeout_s: float,
        changed: Callable[[str | None], None],
        moved: Callable[[], None],
        *,
        in_cluster: bool = False,
        has_news: bool = False,
    ) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._changed = changed
        self._moved = moved
        self._in_cluster = in_cluster
        self._has_news = has_news
        self._probe_key = _PROBE_KEY
        self._connection: Connection | None = None
        self._first_try = asyncio.Event()
        self._reason = "not connected yet"
        self._told_down = False
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    @property
    def is_up(self) -> bool:
        """Whether calls are tried."""
        return self._connection is not None

    @property
    def is_away(self) -> bool:
        """Whether it was tried, and is not there."""
        return self._connection is None and self._first_try.is_set()

    def tell(self) -> None:
        """Have `changed` told that it is there, now or once it is: it has taken something over."""
        if self._connection:
            self._changed(None)
        else:
            self._has_news = True

    def retire(self) -> None:
        """Let go of the connection; nothing is told any more."""
        self._changed = lambda _: None
        self._keeper.cancel()

    async def close(self) -> None:
        """Retire, and wait until that is done."""
        self.retire()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper

    async def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], *, asking: bool = False
    ) -> Any:
        """What the script returns, within the time limit whatever it takes. Raises Unavailable."""
        began = time.monotonic()
        call = self.asking if asking else self.call
        reply = await call("EVALSHA", script.sha1, len(keys), *keys, *arguments)
        if isinstance(reply, hiredis.ReplyError):
            if str(reply).startswith("NOSCRIPT"):
                left_s = self._timeout_s - (time.monotonic() - began)
                reply = await within(left_s, call("EVAL", script.text, len(keys), *keys, *arguments))
            if isinstance(reply, hiredis.ReplyError):
                raise self._refused(reply, keys[0]) from reply
        return reply

    async def command(self, *words: Argument, asking: bool = False) -> Any:
        """The reply to any command, whose first argument, if any, is its key. Raises Unavailable."""
        reply = await (self.asking if asking else self.call)(*words)
        if isinstance(reply, hiredis.ReplyError):
            raise self._refused(reply, str(words[1]) if len(words) > 1 else "") from reply
        return reply

    async def publish(self, channel: str, message: str) -> Any:
        """The bare reply. Raises Unavailable."""
        return await self.call("PUBLISH", channel, message)

    async def call(self, *words: Argument) -> Any:
        """The bare reply, an error among them. Raises Unavailable."""
        connection = self._connection
        if connection is None:
            connection = await self._first_connection()
        try:
            return await connection.call(words)
        except Lost as lost:
            raise Unavailable(str(lost), maybe=True) from lost

    async def asking(self, *words: Argument) -> Any:
        """The same, for a key that another node is just giving to this one."""
        connection = self._connection or await self._first_connection()
        try:
            _, reply = await asyncio.gather(connection.call(("ASKING",)), connection.call(words))
        except Lost as lost:
            raise Unavailable(str(lost), maybe=True) from lost
        return reply

    async def _first_connection(self) -> Connection:
        """Waits for the first attempt to connect; later ones are not waited for."""
        if not self._first_try.is_set():
            await within(self._timeout_s, self._first_try.wait())
        if self._connection is None:
            raise Unavailable(self._reason, maybe=False)
        return self._connection

    def _refused(self, error: hiredis.ReplyError, key: str) -> Unavailable:
        """What the answer means for the caller, and for calls to come."""
        code, text = code_of(error), str(error)
        under_way = is_under_way(text)
        if code in _OUR_FAULT and not under_way:
            return Failed(f"answers {code}", maybe=False)
        if code in _MAP_CHANGED:
            self._moved()
        if self._in_cluster and (under_way or code in _ELSEWHERE) and not is_down(text):
            to = redirect_of(text)
            return Redirected(f"answers {code}", to) if to else Unavailable(f"answers {code}", maybe=under_way)
        reason = f"answers {code}"
        if code in _ELSEWHERE:
            # A write of any other key proves nothing.
            self._probe_key = f"{_PROBE_KEY}:{{{tenant_of(key)}}}" if tenant_of(key) else _PROBE_KEY
            reason += "" if self._in_cluster else ": a cluster whose nodes it does not name (CLUSTER SLOTS)"
        if self._connection:
            self._connection.lose(reason)
        return Unavailable(reason, maybe=False)

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
                if isinstance(error, hiredis.ReplyError) and code_of(error) in _MAP_CHANGED:
                    self._moved()
                self._down(reason_of(error))
            else:
                self._up()
                self._down(await lost)
            if loop.time() - began > 1:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _usable(self, lost: "asyncio.Future[str]") -> Connection:
        """A connection that has just carried out a write in time."""
        connection = await connect(self.address, self._timeout_s, lambda reason: _tell(lost, reason))
        with contextlib.ExitStack() as on_error:
            on_error.callback(connection.lose, "not usable")
            for script in ALL:
                accepted(await connection.call(("SCRIPT", "LOAD", script.text)))
            if not self._in_cluster:
                accepted(await connection.call(("SET", self._probe_key, "1", "PX", 1000)))
            else:
                accepted(await connection.call(("EVAL", _PROBE_SCRIPT, 0)))
                _in_touch(accepted(await connection.call(("CLUSTER", "INFO"))))
            on_error.pop_all()
        return connection

    def _up(self) -> None:
        self._first_try.set()
        if self._told_down or self._has_news:
            self._told_down = self._has_news = False
            self._changed(None)

    def _down(self, reason: str) -> None:
        self._connection = None
        self._reason = reason
        self._first_try.set()
        if not self._told_down:
            self._told_down = True
            self._changed(reason)


def _in_touch(info: bytes) -> None:
    if not is_well(info):
        raise Lost("is cut off from its cluster, or serves no slots while some have no node")


def _tell(lost: "asyncio.Future[str]", reason: str) -> None:
    if not lost.done():
        lost.set_result(reason)
