"""What a worker's limiter hears of engines: how much they run at once, and to which replica a request goes now."""

from collections.abc import Mapping, Sequence

from headgate.counters.address import counters_address
from headgate.counters.queue import ANYWHERE, NOBODY, Places
from headgate.feed.capacities import Capacities
from headgate.feed.identity import gateway_id
from headgate.feed.replicas import Replica, Replicas, ReplicaState
from headgate.feed.states import TargetStates
from headgate.feed.subscriber import Subscriber
from headgate.limiting import Ask
from headgate.snapshot import SlotsRow
from headgate.spreading import hosts_of, renewed


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

    def places(self, ask: Ask, engine: SlotsRow) -> Places | None:
        """Where a request may have a slot of its engine; None where nothing is worth waiting for."""
        slots = self._capacities.of(engine)
        if not slots or ANYWHERE in slots:
            return None if slots is None else Places(tuple(slots.items()))
        replicas = self._replicas.of(engine.cluster) or ()
        if not self.has_adapter(ask, engine.cluster):
            return Places(tuple(slots.items()), NOBODY)
        if not ask.is_spread:  # what goes on from something that one replica keeps
            return _places(ask.hosts, slots, set(ask.hosts[:1]))
        holding = {one.address for one in replicas if ask.upstream_model in one.adapters}
        return _places(self._hosts(ask, engine.cluster, replicas), slots, holding)

    def ready(self, cluster: str) -> list[Replica]:
        """The replicas of an engine that take requests, as far as anybody says so."""
        return [one for one in self._replicas.of(cluster) or () if one.state is ReplicaState.READY]

    def has_adapter(self, ask: Ask, cluster: str) -> bool:
        """Whether a replica takes requests for the adapter that is asked for there.

        Where nobody says anything of replicas, only one that was planned without its adapter lacks it.
        """
        if not ask.adapter or ask.adapter_cluster != cluster:
            return True
        ready = self.ready(cluster)
        return any(ask.adapter in one.adapters for one in ready) if ready else not ask.lacks_adapter

    def choose(self, ask: Ask, cluster: str) -> list[str]:
        """The replicas for all attempts of a request that has waited for one; none where its plan knows as much."""
        replicas = self._replicas.of(cluster) if ask.is_spread else None
        now = self._hosts(ask, cluster, replicas) if replicas else []
        if not replicas or not now:
            return []
        self._replicas.choose(cluster, now[0])
        return renewed(ask.hosts, now, replicas)

    def lead(self, ask: Ask, cluster: str, places: Places, slot: str) -> list[str]:
        """The same of one that has a slot at the replica `slot`: the first attempt goes there."""
        replicas = self._replicas.of(cluster) if ask.is_spread else None
        if not replicas or slot == ANYWHERE:
            return []
        self._replicas.choose(cluster, slot)
        now = [slot, *(address for address, _ in places.replicas if address != slot)]
        hosts = renewed(ask.hosts, now, replicas)
        is_planned = ask.hosts and not ask.lacks_adapter and hosts[: len(ask.hosts)] == list(ask.hosts)
        return [] if is_planned else hosts

    def _hosts(self, ask: Ask, cluster: str, replicas: Sequence[Replica]) -> list[str]:
        return hosts_of(replicas, cluster, ask.upstream_model, ask.leading_key, self._states.of)


def _places(hosts: Sequence[str], slots: Mapping[str, int], its: set[str]) -> Places:
    """Those of the replicas with slots that are `its` come first: it is confined to them, if there are any."""
    first = [host for host in hosts if host in slots]
    found = [*first, *(address for address in slots if address not in first)]
    only = len(its & slots.keys())
    if only:
        found.sort(key=lambda address: address not in its)
    return Places(tuple([(address, slots[address]) for address in found]), only if only < len(slots) else 0)
