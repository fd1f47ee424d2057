"""The counters as parts use them: one server or a cluster, as the server itself says.

`services.counters` names a server, or some nodes of a cluster. What it is is asked before anything else, and again
when a server says that others have its keys. All keys of a call are of one tenant; the first one says where it goes.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from headgate.counters.address import CountersAddress
from headgate.counters.cluster import Changed, Cluster
from headgate.counters.cluster_map import Map, look
from headgate.counters.node import FIRST_PAUSE_S, LONGEST_PAUSE_S, Node
from headgate.counters.scripts import Argument, Script
from headgate.counters.unavailable import Failed, Unavailable, within

__all__ = ["Counters", "Failed", "Unavailable"]


class Counters:
    """One process's way to the counters.

    `changed` is told which node and the reason when one goes away, None when it is back; a server that is no
    cluster's node has the name "". In a cluster a node is told to be there, too, that has taken over from another
    one, whose last words it may not know; "" then means slots that no node has.
    """

    def __init__(self, address: CountersAddress, timeout_s: float, changed: Changed = lambda *_: None) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._changed = changed
        self._way: Node | Cluster | None = None
        self._reason = "not connected yet"
        self._told_down = False
        self._first_try = asyncio.Event()
        self._moved = asyncio.Event()
        self._finder: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and stay connected, in the background of the running loop."""
        if self._finder is None:
            self._finder = asyncio.get_running_loop().create_task(self._find())

    async def close(self) -> None:
        """Let go of the connections."""
        if self._finder:
            self._finder.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._finder
        if self._way:
            await self._way.close()

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Coroutine[Any, Any, Any]:
        """What the script returns, within the time limit whatever it takes. Raises Unavailable, or Failed."""
        if self._way:
            return self._way.run(script, keys, arguments)
        return self._first_call(lambda way: way.run(script, keys, arguments))

    def command(self, *words: Argument) -> Coroutine[Any, Any, Any]:
        """The reply to a command whose first argument is its key. Raises Unavailable, or Failed."""
        if self._way:
            return self._way.command(*words)
        return self._first_call(lambda way: way.command(*words))

    def publish(self, channel: str, message: str) -> Coroutine[Any, Any, Any]:
        """The bare reply, an error among them. Raises Unavailable."""
        if self._way:
            return self._way.publish(channel, message)
        return self._first_call(lambda way: way.publish(channel, message))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Each server that has keys: for commands that are about no key. None while nobody knows."""
        if isinstance(self._way, Cluster):
            return self._way.nodes
        return (self._way,) if self._way else ()

    def place_of(self, key: str) -> str:
        """The name by which `changed` is told of who has the key."""
        node = self._way.node_of(key) if isinstance(self._way, Cluster) else None
        return node.address.name if node else ""

    def is_away(self, key: str) -> bool:
        """Whether nothing can be done with the key now."""
        node = self._way.node_of(key) if isinstance(self._way, Cluster) else self._way
        return node is None or node.is_away

    def others_go_on(self, key: str) -> bool:
        """Whether there are other nodes than the one that has the key, and any of them can be used."""
        place = self.place_of(key)
        return isinstance(self._way, Cluster) and any(
            node.is_up for node in self._way.nodes if node.address.name != place
        )

    async def _first_call(self, call: Callable[[Node | Cluster], Coroutine[Any, Any, Any]]) -> Any:
        """Waits for the first attempt to find out what there is; later ones are not waited for."""
        return await within(self._timeout_s, self._once_found(call))

    async def _once_found(self, call: Callable[[Node | Cluster], Coroutine[Any, Any, Any]]) -> Any:
        await self._first_try.wait()
        if self._way is None:
            raise Unavailable(self._reason, maybe=False)
        return await call(self._way)

    async def _find(self) -> None:
        """Until it is known to be a cluster: that looks after itself."""
        while True:
            found = await self._look()
            if found:
                break
            if self._way is None:
                self._way = Node(
                    self._address, self._timeout_s, self._tell, self._moved.set, has_news=self._told_down
                )
                self._first_try.set()
            await self._moved.wait()
            self._moved.clear()
        before, has_news = self._way, self._told_down
        if has_news:
            self._tell(None)
        self._way = Cluster(self._address, self._timeout_s, self._changed, found, has_news=has_news)
        self._first_try.set()
        if before:
            await before.close()

    async def _look(self) -> Map | None:
        """The cluster's map; None where there is no cluster. Tried until there is an answer, or as well without."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await look(self._address.each(), self._timeout_s)
            except Unavailable as error:
                if self._way:
                    return None
                self._reason = error.reason
            self._first_try.set()
            if not self._told_down:
                self._tell(self._reason)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _tell(self, reason: str | None) -> None:
        self._told_down = reason is not None
        self._changed("", reason)
