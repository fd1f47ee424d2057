"""How many requests an engine takes at once, as it is reckoned while replicas come and go."""

from headgate.counters.queue import ANYWHERE
from headgate.feed.capacities import RESTART_S, Capacities
from headgate.feed.replicas import Replica, Replicas, ReplicaState
from headgate.snapshot import SlotsRow

ENGINE = SlotsRow("provider/llama@0", 24)


def replica(port: int, state: ReplicaState) -> Replica:
    return Replica(f"127.0.0.1:{port}", state, running=0, waiting=0, capacity=8, kv_used=0.0, adapters=frozenset())


class Clock:
    """Says what it is set to, in seconds."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_ready_replicas_count_and_gateway_yaml_while_they_say_nothing() -> None:
    replicas = Replicas()
    capacities = Capacities(replicas.of)
    assert capacities.of(ENGINE) == {ANYWHERE: 24}
    replicas.take("gateway", {ENGINE.cluster: (replica(1, ReplicaState.READY), replica(2, ReplicaState.STARTING))})
    assert capacities.of(ENGINE) == {"127.0.0.1:1": 8}


def test_one_that_has_just_died_is_waited_for_and_one_that_was_never_there_is_not() -> None:
    clock, replicas = Clock(), Replicas()
    capacities = Capacities(replicas.of, clock)
    away = {ENGINE.cluster: (replica(1, ReplicaState.AWAY),)}
    replicas.take("gateway", away)
    assert capacities.of(ENGINE) is None
    replicas.take("gateway", {ENGINE.cluster: (replica(1, ReplicaState.READY),)})
    assert capacities.of(ENGINE) == {"127.0.0.1:1": 8}
    replicas.take("gateway", away)
    clock.now += RESTART_S - 1
    assert capacities.of(ENGINE) == {}
    clock.now += 2
    assert capacities.of(ENGINE) is None
