"""Replicas of engines as a worker knows them: which are there, how busy, which adapters they hold.

One process per gateway watches them and tells (docs/feed.md); asked without waiting, from memory. What nobody speaks
of any more is unknown, and Envoy then picks a replica by itself.
"""

import enum
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from headgate.feed.states import FORGET_S

MOST_REPLICAS = 500  # of all engines of a gateway
MOST_ADAPTERS = 1024  # on one replica: the largest max_loras


class ReplicaState(enum.StrEnum):
    """What a replica can be given: READY takes requests, DRAINING takes no new ones, the others can't take any."""

    READY = "ready"
    STARTING = "starting"
    DRAINING = "draining"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica. `address` is the one in Envoy's cluster (`127.0.0.1:8001`).

    `running` and `waiting` are requests, by the engine's own count; `capacity` is how many it runs at once. `kv_used`
    is the share of its KV cache that is taken, 0 to 1. `adapters` are the names of those that it holds.
    """

    address: str
    state: ReplicaState
    running: int
    waiting: int
    capacity: int
    kv_used: float
    adapters: frozenset[str] = frozenset()


ByCluster = Mapping[str, Sequence[Replica]]


class Replicas:
    """Asked by the planner with `of`, filled by the subscriber. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, tuple[float, ByCluster]] = {}
        self._until = 0.0
        self._replicas: dict[str, tuple[Replica, ...]] = {}

    def of(self, cluster: str) -> tuple[Replica, ...] | None:
        """The replicas of an engine, what was chosen here since as running; None when nobody says."""
        return self._replicas.get(cluster) if self._clock() < self._until else None

    def choose(self, cluster: str, address: str) -> None:
        """One more request goes there: until the next message, only we know."""
        if found := self._replicas.get(cluster):
            self._replicas[cluster] = tuple(
                [replace(one, running=one.running + 1) if one.address == address else one for one in found]
            )

    def take(self, gateway: str, replicas: ByCluster) -> None:
        """All that a gateway has to say of its engines: of those that it does not name nothing is known.

        A worker that belongs to no gateway hears several; where two name the same cluster, it goes by either.
        """
        now = self._clock()
        self._said[gateway] = (now + FORGET_S, replicas)
        self._said = {name: said for name, said in self._said.items() if said[0] > now}
        self._until = now + FORGET_S
        self._replicas = {
            cluster: tuple(some) for _, said in self._said.values() for cluster, some in said.items() if some
        }
