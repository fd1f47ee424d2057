"""From the figures of all rounds to one row for each scenario and way: medians, and what lies between. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.compare import Comparison
from bench.figures import Figures, Times

OURS, DIRECT = "gateway", "direct"


@dataclass(frozen=True, slots=True)
class Added:
    """Milliseconds beyond what the client sees without anything between, each percentile by itself."""

    p50: float
    p99: float
    p999: float


@dataclass(frozen=True, slots=True)
class WayRow:
    """Medians over the rounds, each compared within its round. `label` is of one kind of requests among several.

    `latency` and `first` (time to first token) are in ms, `added` and `first_added` beyond the direct way's, `jitter`
    is by how much the 99th percentile of the time between chunks exceeds the direct way's. CPU is in ms per answer,
    and in µs per chunk; `times_ours` is how often the gateway's it is per answer. None where there is no such thing.
    """

    scenario: str
    way: str
    label: str
    answered: int
    per_s: float
    latency: Times
    added: Added | None
    first: Times | None
    first_added: Added | None
    jitter: float | None
    late: float | None
    cpu_ms: float
    cpu_us_per_chunk: float | None
    times_ours: float | None
    memory_mib: float
    sockets: int
    errors: int


def way_rows(compared: Comparison) -> tuple[WayRow, ...]:
    """In the order of scenarios and ways."""
    return tuple(
        _row(scenario, way, label, ways)
        for scenario, ways in compared.figures.items()
        for way, rounds in ways.items()
        for label in sorted({label for one in rounds for label in one.latency})
    )


def _row(scenario: str, way: str, label: str, ways: Mapping[str, Sequence[Figures]]) -> WayRow:
    rounds = [one for one in ways[way] if label in one.latency]
    direct = ways.get(DIRECT, ()) if way != DIRECT else ()
    latency, first = [one.latency[label] for one in rounds], [one.first.get(label) for one in rounds]
    return WayRow(
        scenario=scenario,
        way=way,
        label=label,
        answered=sum(times.count for times in latency),
        per_s=median(one.per_s for one in rounds),
        latency=_middle(latency),
        added=_added(zip(latency, (one.latency.get(label) for one in direct), strict=False)),
        first=_middle([one for one in first if one]) if any(first) else None,
        first_added=_added(zip(first, (one.first.get(label) for one in direct), strict=False)),
        jitter=_median_of(
            one.gap.p99 - other.gap.p99 for one, other in zip(rounds, direct, strict=False) if one.gap and other.gap
        ),
        late=_median_of(one.late.p99 for one in rounds if one.late),
        cpu_ms=median(one.cpu for one in rounds),
        cpu_us_per_chunk=_median_of(one.cpu_us_per_chunk for one in rounds if one.cpu_us_per_chunk is not None),
        times_ours=_median_of(
            one.cpu / ours.cpu for one, ours in zip(rounds, ways.get(OURS, ()), strict=False) if ours.cpu
        ),
        memory_mib=max(one.memory_mib for one in rounds),
        sockets=max(one.sockets for one in rounds),
        errors=sum(sum(one.errors.values()) for one in ways[way]),
    )


def _middle(samples: Sequence[Times]) -> Times:
    def of(figure: Callable[[Times], float]) -> float:
        return median(map(figure, samples))

    count = sum(one.count for one in samples)
    return Times(count, of(lambda one: one.p50), of(lambda one: one.p99), of(lambda one: one.p999))


def _added(pairs: Iterable[tuple[Times | None, Times | None]]) -> Added | None:
    found = [
        (one.p50 - other.p50, one.p99 - other.p99, one.p999 - other.p999) for one, other in pairs if one and other
    ]
    return Added(*(median(column) for column in zip(*found, strict=True))) if found else None


def _median_of(samples: Iterable[float]) -> float | None:
    found = list(samples)
    return median(found) if found else None
