"""How many requests an engine runs at once now: by its ready replicas, or gateway.yaml while they say nothing."""

import time
from collections.abc import Callable

from headgate.counters.address import counters_address
from headgate.feed.identity import gateway_id
from headgate.feed.replicas import Replicas, ReplicaState
from headgate.feed.states import TargetStates
from headgate.feed.subscriber import Subscriber
from headgate.snapshot import SlotsRow

RESTART_S = 120.0  # an engine that was there so long ago may be starting anew


class Capacities:
    """Listens to the feed from `start` on, which takes a running loop. `clock` is monotonic, in seconds."""

    def __init__(self, replicas: Replicas | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._replicas = replicas or Replicas()
        self._clock = clock
        self._there_until: dict[str, float] = {}  # by cluster
        self._subscriber: Subscriber | None = None

    def start(self) -> None:
        """Once is enough."""
        if self._subscriber is None:
            heard = TargetStates()
            self._subscriber = Subscriber(counters_address(), gateway_id(), heard, replicas=self._replicas)
            self._subscriber.start()

    def of(self, engine: SlotsRow) -> int | None:
        """None where no replica is there, nor was a moment ago: nothing is worth waiting for then.

        One that was there and has died may be starting anew, which requests that wait outlast.
        """
        replicas = self._replicas.of(engine.cluster)
        if replicas is None:
            return engine.capacity
        now = self._clock()
        if all(one.state is ReplicaState.AWAY for one in replicas):
            return 0 if now < self._there_until.get(engine.cluster, now) else None
        self._there_until[engine.cluster] = now + RESTART_S
        return sum(one.capacity for one in replicas if one.state is ReplicaState.READY)
