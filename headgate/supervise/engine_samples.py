"""Metrics of engines and GPUs, made at a scrape of what the engines' part says then.

What engines count themselves goes on as it is: a counter that begins anew is one whose engine did.
"""

import asyncio
from collections.abc import Iterator

from prometheus_client.metrics_core import HistogramMetricFamily, Metric

from headgate.contract import ENGINES_SOCKET
from headgate.engine_standing import EnginesStanding, TimesSaid
from headgate.feed.replicas import ReplicaState
from headgate.supervise import families, probes
from headgate.supervise.control_socket import Unreadable
from headgate.supervise.envoy_stats import Samples
from headgate.supervise.scrape import metric_of

_COUNTED = {
    "vllm:prompt_tokens_total": (families.ENGINE_TOKENS, ("input",)),
    "vllm:generation_tokens_total": (families.ENGINE_TOKENS, ("output",)),
    "vllm:prefix_cache_queries_total": (families.ENGINE_PREFIX_QUERIES, ()),
    "vllm:prefix_cache_hits_total": (families.ENGINE_PREFIX_HITS, ()),
    "vllm:num_preemptions_total": (families.ENGINE_PREEMPTIONS, ()),
}
_GAUGES = {
    families.ENGINE_RUNNING: "running",
    families.ENGINE_WAITING: "waiting",
    families.ENGINE_CAPACITY: "capacity",
    families.ENGINE_KV: "kv_used",
    families.ENGINE_ADAPTERS: "adapters",
    families.ENGINE_ADAPTERS_USED: "adapters_in_use",
}


_SLOTS = {
    families.ENGINE_SLOTS: "capacity",
    families.ENGINE_SLOTS_HELD: "held",
    families.ENGINE_SLOTS_WAITED_FOR: "waiting",
    families.ENGINE_FULL: "is_full",
}


async def metrics() -> list[Metric]:
    """None where no engine is watched, or nobody says how they are."""
    try:
        async with asyncio.timeout(probes.TIMEOUT_S):
            said = await probes.engines_standing(ENGINES_SOCKET)
    except (OSError, TimeoutError, Unreadable):
        return []
    return [*(metric_of(family, values) for family, values in samples_of(said).items()), *_first_tokens(said)]


def samples_of(said: EnginesStanding) -> Samples:
    """All but the histogram. What a replica does not say is left out."""
    samples: Samples = {}
    for replica in said.replicas:
        labels = (replica.engine, replica.address)
        for state in ReplicaState:
            samples.setdefault(families.ENGINE_STATE, {})[*labels, state.value] = float(replica.state == state)
        for family, field in _GAUGES.items():
            if (value := getattr(replica, field)) is not None:
                samples.setdefault(family, {})[labels] = value
        for name, value in replica.counters.items():
            if name in _COUNTED:
                family, more = _COUNTED[name]
                samples.setdefault(family, {})[*labels, *more] = value
        for kind, count in replica.failures.items():
            samples.setdefault(families.ENGINE_LOOK_FAILURES, {})[*labels, kind] = count
        samples.setdefault(families.ENGINE_RESTARTS, {})[labels] = replica.restarts
        samples.setdefault(families.ENGINE_JUNK, {})[labels] = replica.junk
    _add_slots(samples, said)
    for gpu in said.gpus:
        samples.setdefault(families.GPU_USED, {})[str(gpu.index),] = gpu.used
        samples.setdefault(families.GPU_MEMORY, {})[str(gpu.index),] = gpu.memory_bytes
        samples.setdefault(families.GPU_MEMORY_USED, {})[str(gpu.index),] = gpu.memory_used_bytes
    return samples


def _add_slots(samples: Samples, said: EnginesStanding) -> None:
    for slots in said.slots:
        for family, field in _SLOTS.items():
            samples.setdefault(family, {})[slots.engine,] = float(getattr(slots, field))


def _first_tokens(said: EnginesStanding) -> Iterator[Metric]:
    family = families.ENGINE_FIRST_TOKEN
    made = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for replica in said.replicas:
        if times := replica.first_token:
            made.add_metric((replica.engine, replica.address), _buckets(times), sum_value=times.sum)
    if made.samples:
        yield made


def _buckets(times: TimesSaid) -> list[tuple[str, float]]:
    return [*((str(bound), count) for bound, count in times.buckets), ("+Inf", times.count)]
