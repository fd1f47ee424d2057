"""What the part says on its socket, made of what it knows of each replica. Pure."""

from collections.abc import Iterable, Mapping

from engines.watch.exposition import Times
from engines.watch.replica import Replica
from headgate.engine_rows import EngineRow
from headgate.engine_standing import EnginesStanding, GpuStanding, ReplicaStanding, SlotsStanding, TimesSaid


def standing(
    engines: Mapping[str, EngineRow],
    replicas: Iterable[Replica],
    gpus: list[GpuStanding],
    slots: list[SlotsStanding],
) -> EnginesStanding:
    """Of all engines, also of those whose replicas are not known yet."""
    said = [_said(replica, engines[replica.engine].capacity) for replica in replicas if replica.engine in engines]
    return EnginesStanding(sorted(engines), said, gpus, slots)


def _said(replica: Replica, capacity: int) -> ReplicaStanding:
    known = replica.known
    measured = known.measured
    return ReplicaStanding(
        engine=replica.engine,
        address=replica.place.address,
        state=known.state,
        since=known.since,
        capacity=capacity,
        detail=known.detail,
        running=measured.running,
        waiting=measured.waiting,
        kv_used=measured.kv_used,
        adapters=len(known.served.adapters) if known.served and known.is_up else None,
        adapters_in_use=len(measured.running_adapters) if known.served and known.served.adapters else None,
        counters=dict(measured.counters),
        first_token=_times(measured.first_token),
        restarts=known.restarts,
        failures=dict(replica.failures),
        junk=replica.junk,
    )


def _times(times: Times | None) -> TimesSaid | None:
    return TimesSaid(list(times.buckets), times.count, times.sum_s) if times else None
