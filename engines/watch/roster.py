"""All replicas of all engines: one task each, begun and ended as the tables and names say."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

import structlog

from engines.tables import Tables
from engines.watch.names import Names
from engines.watch.place import Place, places_of
from engines.watch.replica import Replica, Running
from headgate.feed import replicas as feed

LOOK_EVERY_S = 0.25
HOLD_S = 10.0
MOST_REPLICAS = feed.MOST_REPLICAS  # of all engines: more of them nobody would be told of

log = structlog.get_logger()


class Loading(Protocol):
    """Who loads adapters."""

    def are_on(self, replica: Replica) -> bool:
        """Whether it has those that requests are led to, as far as it can."""

    def hidden(self, engine: str) -> frozenset[str]:
        """Those that requests are not to be led to any more, where they still are."""


class Roster:
    """`told` is called whenever something may be new. Needs a running loop.

    A replica that lacks adapters that requests are led to is told of as starting, but not for longer than `HOLD_S`:
    then it is better to have it without.
    """

    def __init__(
        self, tables: Tables, running: Running, told: Callable[[], None], loading: Callable[[], Loading]
    ) -> None:
        self._tables = tables
        self._running = running
        self._told = told
        self._loading = loading
        self._names = Names()
        self._watched: dict[tuple[str, Place], tuple[Replica, asyncio.Task[None]]] = {}
        self._left_out = 0

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                self._tables.look()
                self._follow()
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            self._names.close()
            for _, task in self._watched.values():
                task.cancel()

    def replicas(self) -> list[Replica]:
        """Those that are watched, by engine and address."""
        watched = [replica for replica, _ in self._watched.values()]
        return sorted(watched, key=lambda one: (one.engine, one.place.address))

    def by_cluster(self) -> Mapping[str, list[feed.Replica]]:
        """What the workers are told."""
        engines = self._tables.engines
        said: dict[str, list[feed.Replica]] = {row.cluster: [] for row in engines.values()}
        for one in self.replicas():
            row = engines.get(one.engine)
            if row and one.place.host:
                hidden = self._loading().hidden(one.engine)
                said[row.cluster].append(_said(one, row.capacity, self._state_of(one), hidden))
        return said

    def _state_of(self, replica: Replica) -> feed.ReplicaState:
        known = replica.known
        is_new = known.state is feed.ReplicaState.READY and time.time() - known.since < HOLD_S
        return feed.ReplicaState.STARTING if is_new and not self._loading().are_on(replica) else known.state

    def _follow(self) -> None:
        wanted = self._wanted()
        changed = False
        for key in self._watched.keys() - wanted:
            replica, task = self._watched.pop(key)
            task.cancel()
            log.info("an engine's replica is no longer watched", engine=replica.engine, replica=replica.place.address)
            changed = True
        for engine, place in wanted:
            if (engine, place) not in self._watched:
                replica = Replica(engine, place, self._told, self._running)
                self._watched[engine, place] = replica, asyncio.create_task(replica.run())
                changed = True
        for replica, _ in self._watched.values():
            replica.wanted = self._tables.engines[replica.engine].served
        if changed:
            self._told()

    def _wanted(self) -> dict[tuple[str, Place], None]:
        """In the order of the file; not more than there may be."""
        found = {
            (engine, place): None
            for engine, row in self._tables.engines.items()
            for url in row.urls
            if (hosts := self._names.of(urlsplit(url).hostname or "")) is not None
            for place in places_of(row, url, hosts)
        }
        left_out = max(len(found) - MOST_REPLICAS, 0)
        if left_out != self._left_out:
            self._left_out = left_out
            log.warning("too many replicas to watch all of them", most=MOST_REPLICAS, left_out=left_out)
        return dict(list(found.items())[:MOST_REPLICAS])


def _said(replica: Replica, capacity: int, state: feed.ReplicaState, hidden: frozenset[str]) -> feed.Replica:
    known = replica.known
    return feed.Replica(
        address=replica.place.address,
        state=state,
        running=known.measured.running or 0,
        waiting=known.measured.waiting or 0,
        capacity=capacity,
        kv_used=known.measured.kv_used or 0.0,
        adapters=known.served.adapters - hidden if known.served and known.is_up else frozenset(),
    )
