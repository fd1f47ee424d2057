"""What is said of one scenario by one way to the upstream. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.arithmetic import percentile
from bench.batch import Outcome, Seen


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds, of `count` answers."""

    count: int
    p50: float
    p99: float
    p999: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement. `latency` and `first` (time to first token) are by label; CPU is of the way's own processes.

    `gap` is the time between chunks, `late` how late the client itself sent what was due. Memory is PSS, in MiB, and
    `sockets` are those that its processes had open: the most that was seen. None where there is no such thing.
    """

    answered: int
    per_s: float
    latency: Mapping[str, Times]
    first: Mapping[str, Times]
    gap: Times | None
    late: Times | None
    cpu_ms: Mapping[str, float]
    cpu_us_per_chunk: float | None
    memory_mib: float
    sockets: int
    errors: Mapping[str, int]

    @property
    def cpu(self) -> float:
        """Milliseconds per answer, of all components."""
        return sum(self.cpu_ms.values())


def times_of(samples: Sequence[float]) -> Times | None:
    """None where there are no samples."""
    if not samples:
        return None
    return Times(len(samples), *(percentile(samples, percent) for percent in (50, 99, 99.9)))


def figures_of(outcome: Outcome, cpu_ns: Mapping[str, int], memory: int, sockets: int) -> Figures:
    """Memory in bytes."""
    answered, seen = outcome.answered, outcome.seen
    chunks = sum(one.events for one in seen.values())
    spent = {name: ns / 1e6 / answered for name, ns in cpu_ns.items()} if answered else {}
    return Figures(
        answered=answered,
        per_s=answered / outcome.wall_s,
        latency=_by_label(seen, "latencies_ms"),
        first=_by_label(seen, "first_ms"),
        gap=times_of([gap for one in seen.values() for gap in one.gaps_ms]),
        late=times_of(outcome.late_ms),
        cpu_ms=spent,
        cpu_us_per_chunk=sum(cpu_ns.values()) / 1e3 / chunks if chunks else None,
        memory_mib=memory / 2**20,
        sockets=sockets,
        errors=dict(outcome.errors),
    )


def _by_label(seen: Mapping[str, Seen], what: str) -> dict[str, Times]:
    found = {label: times_of(getattr(one, what)) for label, one in seen.items()}
    return {label: times for label, times in found.items() if times}
