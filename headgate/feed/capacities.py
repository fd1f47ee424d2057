"""How many requests each ready replica of an engine runs at once, or all of it while they say nothing."""

import time
from collections.abc import Callable, Mapping, Sequence

from headgate.counters.queue import ANYWHERE
from headgate.feed.replicas import Replica, ReplicaState
from headgate.snapshot import SlotsRow

RESTART_S = 120.0  # an engine that was there so long ago may be starting anew


class Capacities:
    """`replicas_of` knows them by cluster, None while nobody says. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        replicas_of: Callable[[str], Sequence[Replica] | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replicas_of = replicas_of
        self._clock = clock
        self._there_until: dict[str, float] = {}  # by cluster

    def of(self, engine: SlotsRow) -> Mapping[str, int] | None:
        """By address, of all together as ANYWHERE; None where no replica is there, nor was a moment ago: nothing is
        worth waiting for then.

        One that was there and has died may be starting anew, which requests that wait outlast.
        """
        replicas = self._replicas_of(engine.cluster)
        if not replicas:
            return {ANYWHERE: engine.capacity}
        now = self._clock()
        if all(one.state is ReplicaState.AWAY for one in replicas):
            return {} if now < self._there_until.get(engine.cluster, now) else None
        self._there_until[engine.cluster] = now + RESTART_S
        return {one.address: one.capacity for one in replicas if one.state is ReplicaState.READY}
