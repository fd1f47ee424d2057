"""What a worker's limiter hears of engines: how much they run at once, and to which replica a request goes now."""

from headgate.counters.address import counters_address
from headgate.feed.capacities import Capacities
from headgate.feed.identity import gateway_id
from headgate.feed.replicas import Replica, Replicas, ReplicaState
from headgate.feed.states import TargetStates
from headgate.feed.subscriber import Subscriber
from headgate.snapshot import SlotsRow
from headgate.spreading import hosts_of, renewed
from ratelimit.ask import Ask


class Engines:
    """Listens to the feed from `start` on, which takes a running loop."""

    def __init__(self) -> None:
        self._replicas, self._states = Replicas(), TargetStates()
        self._capacities = Capacities(self._replicas.of)
        self._subscriber: Subscriber | None = None

    def start(self) -> None:
        """Once is enough."""
        if self._subscriber is None:
            self._subscriber = Subscriber(counters_address(), gateway_id(), self._states, replicas=self._replicas)
            self._subscriber.start()

    def capacity(self, engine: SlotsRow) -> int | None:
        """What it runs at once; None where nothing is worth waiting for."""
        return self._capacities.of(engine)

    def ready(self, cluster: str) -> list[Replica]:
        """The replicas of an engine that take requests, as far as anybody says so."""
        return [one for one in self._replicas.of(cluster) or () if one.state is ReplicaState.READY]

    def choose(self, ask: Ask, cluster: str) -> list[str]:
        """The replicas for all attempts of a request that has waited; none where its plan knows as much."""
        replicas = self._replicas.of(cluster) if ask.is_spread else None
        if not replicas:
            return []
        now = hosts_of(replicas, cluster, ask.upstream_model, ask.leading_key, self._states.of)
        if not now:
            return []
        self._replicas.choose(cluster, now[0])
        return renewed(ask.hosts, now, replicas)
