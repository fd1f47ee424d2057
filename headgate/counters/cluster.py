"""The counters on a cluster: which node has a key, and what to do when that is not so any more.

A call goes to the node that has the key's slot by the map, and once more to where that one says. Each node has a
connection and a circuit breaker of its own: one that is away costs the tenants that it has, and no others. The map is
looked up in the background, once for any number of calls that found it wrong.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import hiredis
import structlog

from headgate.counters.address import CountersAddress
from headgate.counters.cluster_map import Map, address_of, ask, look
from headgate.counters.connection import accepted
from headgate.counters.node import Node
from headgate.counters.scripts import Argument, Script
from headgate.counters.slots import SLOTS, slot_of
from headgate.counters.unavailable import Failed, Redirected, Unavailable, within

# Is told a node's name (or "": slots that no node has), and the reason when it is away, None when it is there.
Changed = Callable[[str, str | None], None]

LOOK_EVERY_S = 10.0  # at the map, when all is well
_LOOK_AGAIN_S = 0.5  # while a node is away: another one may take over
_LEAST_PAUSE_S = 0.1
_RETIRE_S = 1.0  # calls that a node has not answered when it is of no use any more

log = structlog.get_logger()


class Cluster:
    """Made with the first map. `has_news`: the counters were away before, so that every node is told to be there."""

    def __init__(
        self, seeds: CountersAddress, timeout_s: float, changed: Changed, found: Map, *, has_news: bool
    ) -> None:
        self._seeds = seeds
        self._timeout_s = timeout_s
        self._changed = changed
        self._map = Map((), ())
        self._nodes: dict[str, Node] = {}
        self._owners: list[Node | None] = [None] * SLOTS
        self._redirected: set[Node] = set()  # that have slots by the word of another node, and not by the map
        self._leaving: set[Node] = set()
        self._unserved = False
        self._turn = 0  # who is asked next
        self._is_stale = asyncio.Event()
        self._take(found, has_news=has_news, is_first=True)
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All that have slots."""
        return tuple(self._nodes.values())

    def node_of(self, key: str) -> Node | None:
        """Who has the key."""
        return self._owners[slot_of(key)]

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """What the script returns; all keys are of one tenant. Raises Unavailable, or Failed."""
        node, began = self._owner(keys[0]), time.monotonic()
        try:
            return await node.run(script, keys, arguments)
        except Redirected as redirected:
            other, asking = self._other(redirected, node), redirected.to.ask
            left_s = self._timeout_s - (time.monotonic() - began)
            return await _last_hop(left_s, other.run(script, keys, arguments, asking=asking))

    async def command(self, *words: Argument) -> Any:
        """The reply to a command whose first argument is its key. Raises Unavailable, or Failed."""
        node, began = self._owner(str(words[1])), time.monotonic()
        try:
            return await node.command(*words)
        except Redirected as redirected:
            other, asking = self._other(redirected, node), redirected.to.ask
            left_s = self._timeout_s - (time.monotonic() - began)
            return await _last_hop(left_s, other.command(*words, asking=asking))

    async def publish(self, channel: str, message: str) -> Any:
        """The bare reply of any node: all of them pass it on to each other's subscribers. Raises Unavailable."""
        node = next((node for node in self.nodes if node.is_up), next(iter(self.nodes), None))
        if node is None:
            raise Unavailable("no node has any slots", maybe=False)
        return await node.call("PUBLISH", channel, message)

    async def close(self) -> None:
        """Let go of all connections."""
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper
        for node in (*self._nodes.values(), *self._leaving):
            await node.close()

    def _owner(self, key: str) -> Node:
        slot = slot_of(key)
        node = self._owners[slot]
        if node is None:
            self._is_stale.set()
            raise Unavailable(f"no node has slot {slot}", maybe=False)
        return node

    def _other(self, redirected: Redirected, node: Node) -> Node:
        """Where the node says that the key is; from now on, unless it is for this call alone."""
        to = redirected.to
        if to.place is not None:
            other = self._node_at(address_of(node.address, to.place), has_news=True)
        else:  # it has no name: its port has to tell it from the others
            others = [one for one in self.nodes if one.address.port == to.port and one is not node]
            if len(others) != 1:
                raise Unavailable(redirected.reason, maybe=False)
            other = others[0]
        if not to.ask:
            self._owners[to.slot] = other
            self._redirected.add(other)
        return other

    def _node_at(self, address: CountersAddress, *, has_news: bool) -> Node:
        name = address.name
        if name not in self._nodes:

            def changed(reason: str | None) -> None:
                if reason is not None:
                    self._is_stale.set()
                self._changed(name, reason)

            self._nodes[name] = Node(
                address, self._timeout_s, changed, self._is_stale.set, in_cluster=True, has_news=has_news
            )
        return self._nodes[name]

    async def _keep(self) -> None:
        while True:
            is_well = not self._unserved and all(node.is_up for node in self.nodes)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S if is_well else _LOOK_AGAIN_S):
                    await self._is_stale.wait()
            self._is_stale.clear()
            try:
                if found := await self._look():
                    self._take(found)
            except Exception:  # a bug of ours must not end the looking for good
                log.exception("counters: the cluster's map can't be taken")
            await asyncio.sleep(_LEAST_PAUSE_S)

    async def _look(self) -> Map | None:
        """The map as a node that is in touch with the others has it; of another one where there is none."""
        nodes = [node for node in self.nodes if node.is_up]
        self._turn += 1
        found = None
        for at in range(len(nodes)):
            node = nodes[(self._turn + at) % len(nodes)]
            with contextlib.suppress(Unavailable, ValueError, hiredis.ReplyError):
                found = await ask(node.address, partial(_asked, node))
                if found.is_well:
                    return found
        if found is None:
            known = {address.name: address for address in (*self._seeds.each(), *self._map.addresses)}
            with contextlib.suppress(Unavailable):
                found = await look(tuple(known.values()), self._timeout_s)
        return found

    def _take(self, found: Map, *, has_news: bool = False, is_first: bool = False) -> None:
        """Use this map. Whoever has slots of nodes that have none any more is told to be there: it may know less."""
        if found == self._map and not is_first and all(node.is_up for node in self._redirected):
            return
        self._map = found
        self._redirected.clear()
        before, self._owners = self._owners, [None] * SLOTS
        for one in found.ranges:
            node = self._node_at(one.address, has_news=has_news or not is_first)
            self._owners[one.first : one.last + 1] = [node] * (one.last + 1 - one.first)
        used = {node for node in self._owners if node is not None}
        if not is_first:
            heirs = {
                node
                for node, old in zip(self._owners, before, strict=True)
                if node is not None and old is not node and old not in used
            }
            for node in heirs:
                node.tell()
        self._retire(name for name, node in list(self._nodes.items()) if node not in used)
        unserved = self._owners.count(None)
        if bool(unserved) != self._unserved:
            self._unserved = bool(unserved)
            self._changed("", f"no node has {unserved} of its slots" if unserved else None)

    def _retire(self, names: Iterable[str]) -> None:
        """They have no slots any more: nobody misses them."""
        for name in names:
            node = self._nodes.pop(name)
            if node.is_away:
                self._changed(name, None)
            self._leaving.add(node)
            asyncio.get_running_loop().call_later(_RETIRE_S, self._let_go, node)

    def _let_go(self, node: Node) -> None:
        self._leaving.discard(node)
        node.retire()


async def _asked(node: Node, *words: str) -> Any:
    """Whatever the answer is, it is no reason to use the node no more. Raises hiredis.ReplyError."""
    return accepted(await node.call(*words))


async def _last_hop(left_s: float, call: Any) -> Any:
    try:
        return await within(left_s, call)
    except Failed:
        raise
    except Redirected as again:
        raise Unavailable(again.reason, maybe=False) from again
