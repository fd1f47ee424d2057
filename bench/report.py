"""From samples to what is told: medians and spreads, each against its budget (DESIGN: Budgets). Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any, Literal

from bench.arithmetic import Spread, spread_of
from bench.compare import Comparison
from bench.measure import ChunkSample, Counts, LatencySample, RequestSample
from bench.way_rows import WayRow, way_rows

Compared = Literal["ratio", "added", "gateway", "times"]

CHUNK_MEASURE = "CPU per streamed chunk"
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that `figure` may be; of `times`, how often another gateway's is ours, the least."""

    figure: Compared
    limit: float


CHUNK = Budget("ratio", 1.7)
TRANSLATED_CHUNK = Budget("ratio", 8.0)
REQUEST = Budget("gateway", 1.0)  # ms
LATENCY_P50 = Budget("added", 2.5)  # ms
LATENCY_P99 = Budget("added", 10.0)  # ms
MEMORY = Budget("gateway", 300.0)  # MB
UP = Budget("gateway", 5.0)  # s
# Of LiteLLM, which has a budget because the project was begun to be so much cheaper.
OTHER_CHUNK = {"litellm": Budget("times", 25.0)}
OTHER_REQUEST = {"litellm": Budget("times", 8.0)}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `figure` is the one to look at: a ratio, what the gateway adds, or its own value.

    Where another gateway is measured, `other` is its value, and the figure how often that is ours.
    """

    measure: str
    unit: str
    plain: float | None
    gateway: float
    compared: Compared
    figure: float
    low: float
    high: float
    budget: float | None
    verdict: Literal["within", "over", "under"] | None
    other: float | None = None


@dataclass(slots=True)
class Samples:
    """Everything measured, one entry per round."""

    chunks_plain: list[ChunkSample] = field(default_factory=list)
    chunks_gateway: list[ChunkSample] = field(default_factory=list)
    chunks_translated: dict[str, list[ChunkSample]] = field(default_factory=dict)  # by what is translated
    chunks_others: dict[str, list[ChunkSample]] = field(default_factory=dict)  # by the gateway's name
    requests_others: dict[str, list[RequestSample]] = field(default_factory=dict)
    requests_plain: list[RequestSample] = field(default_factory=list)
    requests_gateway: list[RequestSample] = field(default_factory=list)
    requests_limited: list[RequestSample] = field(default_factory=list)
    latency_plain: list[LatencySample] = field(default_factory=list)
    latency_gateway: list[LatencySample] = field(default_factory=list)
    up_s: list[float] = field(default_factory=list)
    idle: dict[str, float] = field(default_factory=dict)
    memory_idle: dict[str, int] = field(default_factory=dict)
    memory_after: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """The table, what it is made of, and what went wrong."""

    cores: int
    rounds: int
    rows: tuple[Row, ...]
    requests: int
    streams: int
    chunks: int
    errors: dict[str, int]
    samples: Samples
    ways: tuple[WayRow, ...]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


def report_of(
    samples: Samples, counts: Counts, cores: int, rounds: int, compared: Comparison | None = None
) -> Report:
    """The rows, ratios first; of what was not measured there are none."""
    budgets = (
        (*_costs(samples), *_others(samples), *_latencies(samples), *_rest(samples)) if samples.requests_plain else ()
    )
    return Report(
        cores=cores,
        rounds=rounds,
        rows=budgets,
        requests=counts.requests,
        streams=counts.streams,
        chunks=counts.chunks,
        errors={**counts.errors, **(compared.errors if compared else {})},
        samples=samples,
        ways=way_rows(compared) if compared else (),
    )


def _costs(samples: Samples) -> Iterable[Row]:
    plain = [s.total for s in samples.chunks_plain]
    for measure, ours, budget in (
        (CHUNK_MEASURE, samples.chunks_gateway, CHUNK),
        *(
            (f"CPU per translated chunk, {api}", found, TRANSLATED_CHUNK)
            for api, found in samples.chunks_translated.items()
        ),
    ):
        yield _compared(measure, "µs", "ratio", plain, [s.total for s in ours], budget)
        yield _alone("  of which Python", "µs", [s.by_component["filters"] for s in ours])
    plain = [s.total for s in samples.requests_plain]
    for measure, requests in (
        ("CPU per request", samples.requests_gateway),
        ("CPU per request, tenant with token limits", samples.requests_limited),
    ):
        yield _compared(measure, "ms", "gateway", plain, [s.total for s in requests], REQUEST)
        for component in requests[0].by_component:
            yield _alone(f"  of which {component}", "ms", [s.by_component[component] for s in requests])
    rates = [s.rps for s in samples.requests_plain], [s.rps for s in samples.requests_gateway]
    yield _compared("requests per second", "1/s", "ratio", *rates)


def _others(samples: Samples) -> Iterable[Row]:
    for name, chunks in samples.chunks_others.items():
        ours, others = [s.total for s in samples.chunks_gateway], [s.total for s in chunks]
        yield _times(f"{CHUNK_MEASURE}, {name}", "µs", ours, others, OTHER_CHUNK.get(name))
    for name, requests in samples.requests_others.items():
        ours, others = [s.total for s in samples.requests_gateway], [s.total for s in requests]
        yield _times(f"CPU per request, {name}", "ms", ours, others, OTHER_REQUEST.get(name))


def _latencies(samples: Samples) -> Iterable[Row]:
    plain, ours = samples.latency_plain, samples.latency_gateway
    p50, p99 = "latency p50, one client", "latency p99, one client"
    yield _compared(p50, "ms", "added", [s.p50 for s in plain], [s.p50 for s in ours], LATENCY_P50)
    yield _compared(p99, "ms", "added", [s.p99 for s in plain], [s.p99 for s in ours], LATENCY_P99)


def _rest(samples: Samples) -> Iterable[Row]:
    yield _alone("memory idle (PSS, Envoy + filters)", "MB", [_edge_mb(samples.memory_idle)], MEMORY)
    yield _alone("memory after the run", "MB", [_edge_mb(samples.memory_after)])
    yield _alone("headgate up to first answer", "s", samples.up_s, UP)
    yield _alone("idle CPU per second (all parts)", "ms", [sum(samples.idle.values())])


def _edge_mb(memory: Mapping[str, int]) -> float:
    return (memory["envoy"] + memory["filters"]) / _MIB


def _alone(measure: str, unit: str, samples: Sequence[float], budget: Budget | None = None) -> Row:
    return _row(measure, unit, None, samples, "gateway", spread_of(samples), budget)


def _compared(
    measure: str,
    unit: str,
    compared: Compared,
    plain: Sequence[float],
    ours: Sequence[float],
    budget: Budget | None = None,
) -> Row:
    """Compares round by round: what slowed a round down slowed both down."""
    pairs = list(zip(plain, ours, strict=True))
    figures = {
        "ratio": [our / their if their else float("nan") for their, our in pairs],
        "added": [our - their for their, our in pairs],
        "gateway": list(ours),
    }[compared]
    return _row(measure, unit, median(plain), ours, compared, spread_of(figures), budget)


def _times(measure: str, unit: str, ours: Sequence[float], others: Sequence[float], budget: Budget | None) -> Row:
    figures = [other / our if our else float("nan") for our, other in zip(ours, others, strict=True)]
    row = _row(measure, unit, None, ours, "times", spread_of(figures), budget)
    return replace(row, other=median(others))


def _row(
    measure: str,
    unit: str,
    plain: float | None,
    ours: Sequence[float],
    compared: Compared,
    figure: Spread,
    budget: Budget | None,
) -> Row:
    return Row(
        measure=measure,
        unit=unit,
        plain=plain,
        gateway=median(ours),
        compared=compared,
        figure=figure.median,
        low=figure.low,
        high=figure.high,
        budget=budget.limit if budget else None,
        verdict=_verdict(figure.median, budget) if budget else None,
    )


def _verdict(figure: float, budget: Budget) -> Literal["within", "over", "under"]:
    if budget.figure == "times":
        return "within" if figure >= budget.limit else "under"
    return "within" if figure <= budget.limit else "over"
