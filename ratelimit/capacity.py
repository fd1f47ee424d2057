"""How many requests an engine runs at once now: by its ready replicas, or gateway.yaml while they say nothing."""

from headgate.counters.address import counters_address
from headgate.feed.identity import gateway_id
from headgate.feed.replicas import Replicas, ReplicaState
from headgate.feed.states import TargetStates
from headgate.feed.subscriber import Subscriber
from headgate.snapshot import SlotsRow


class Capacities:
    """Listens to the feed from `start` on, which takes a running loop."""

    def __init__(self, replicas: Replicas | None = None) -> None:
        self._replicas = replicas or Replicas()
        self._subscriber: Subscriber | None = None

    def start(self) -> None:
        """Once is enough."""
        if self._subscriber is None:
            heard = TargetStates()
            self._subscriber = Subscriber(counters_address(), gateway_id(), heard, replicas=self._replicas)
            self._subscriber.start()

    def of(self, engine: SlotsRow) -> int | None:
        """None where no replica is there, nor will be soon: nothing is worth waiting for then."""
        replicas = self._replicas.of(engine.cluster)
        if replicas is None:
            return engine.capacity
        if all(one.state is ReplicaState.AWAY for one in replicas):
            return None
        return sum(one.capacity for one in replicas if one.state is ReplicaState.READY)
