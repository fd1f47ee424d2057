"""How the slots of engines stand, asked of the counters every second, whether requests come or not.

So workers hear that an engine is full for as long as it is, requests that wait hear of a replica that came, and
slots whose lease is over are given back. Asked for nothing, it says what it found on the part's socket.
"""

import asyncio
from collections.abc import Callable

from headgate.counters.client import Counters, Unavailable
from headgate.counters.queue import engine_of, look_call, read_looked
from headgate.engine_standing import SlotsStanding
from headgate.feed.capacities import Capacities
from headgate.feed.identity import gateway_id
from headgate.feed.replicas import ByCluster
from headgate.snapshot import SlotsRow, Snapshot

EVERY_S = 1.0


class Slots:
    """`found` is what the last look saw; nothing of engines whose counters are away."""

    def __init__(
        self, counters: Counters, snapshot: Callable[[], Snapshot | None], replicas: Callable[[], ByCluster]
    ) -> None:
        self._counters = counters
        self._snapshot = snapshot
        self._gateway = gateway_id() or ""
        self._capacities = Capacities(lambda cluster: replicas().get(cluster))
        self.found: list[SlotsStanding] = []

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            snapshot = self._snapshot()
            rows = sorted(snapshot.slots.items()) if snapshot else []
            looked = await asyncio.gather(*(self._look(pool, row) for pool, row in rows))
            self.found = [one for one in looked if one]
            await asyncio.sleep(EVERY_S)

    async def _look(self, pool: str, row: SlotsRow) -> SlotsStanding | None:
        replicas = self._capacities.of(row) or {}
        try:
            looked = read_looked(await self._counters.run(*look_call(pool, self._gateway, replicas)))
        except Unavailable:  # the counters' client has said so
            return None
        return SlotsStanding(engine_of(pool), sum(replicas.values()), looked.held, looked.waiting, looked.is_full)
