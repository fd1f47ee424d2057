"""What the spool's lines say about requests, as metrics: exact, and off every request's path.

Every line that the follower hands on counts once; those that come together are added up first. After a crash it
reads on from its last checkpoint, so lines since then count twice, in the metrics and nowhere else; after an orderly
end none does. Label values are names of gateway.yaml and the database, since Envoy's filters write no others into the
spool; an adapter counts as its base model, and besides by its name. What is more than the caps allow is `other`.
"""

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

from prometheus_client import Counter, Histogram

from headgate import metrics
from headgate.metric_names import (
    ADAPTERS_CAP,
    MODELS_CAP,
    OWN_ADAPTERS_CAP,
    PROVIDERS_CAP,
    TENANTS_CAP,
    VARIANTS_CAP,
    Names,
)
from headgate.metrics import OTHER
from ledger.pricing.prices import Unpriced, may_cost
from ledger.spool.lines import RECOVERED, Line

SERIES_CAP = 10_000

_STATUSES = frozenset(
    {0, 200, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 424, 429, 431, 499, 500, 502, 503, 504, 529}
)
_UNREPORTED = ("moderations", "rerank")

CostOf = Callable[[Line], Decimal | Unpriced]


Labels = tuple[str, ...]


class Sums:
    """Counts that came together: one step of a counter in a file costs as much as ten additions here."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Counter, Labels], float] = defaultdict(float)
        self._known: dict[tuple[Counter, Labels], Counter] = {}  # to find one by its labels takes as long as to count

    def add(self, counter: Counter, labels: Labels, amount: float = 1) -> None:
        """So many more."""
        self._sums[counter, labels] += amount

    def flush(self) -> None:
        """Into the counters."""
        for name, amount in self._sums.items():
            counter = self._known.get(name)
            if counter is None:
                counter = self._known[name] = name[0].labels(*name[1])
            counter.inc(amount)
        self._sums.clear()


class RequestMetrics:
    """An observer of the follower's: give it every line, in order, and after some of them `flush`.

    Without `cost_of` nothing has a price.
    """

    def __init__(self, cost_of: CostOf = lambda _: Unpriced.NO_PRICE) -> None:
        self._cost_of = cost_of
        self._adapters = Names(ADAPTERS_CAP)
        self._of_owner: defaultdict[str, Names] = defaultdict(lambda: Names(OWN_ADAPTERS_CAP))
        self._tenants = Names(TENANTS_CAP)
        self._models = Names(MODELS_CAP)
        self._providers = Names(PROVIDERS_CAP)
        self._variants = Names(VARIANTS_CAP)
        self._series: set[tuple[str, str, str]] = set()
        self._routes: dict[tuple[str, str], tuple[Histogram, Histogram]] = {}
        self._sums = Sums()
        self.flush = self._sums.flush

    def on_line(self, line: Line) -> None:
        """Count a request; only `end` lines are one."""
        if line.type == "end":
            self._count(line)

    def _count(self, line: Line) -> None:
        labels, add = self._labels(line), self._sums.add
        status = _status(line.status)
        add(metrics.REQUESTS, (*labels, status))
        if line.variant:
            add(metrics.VARIANTS, (labels[1], self._variants.label(line.variant), status))
        self._count_cost(line, labels)
        if not line.target:
            return
        for kind, count in _tokens(line):
            add(metrics.TOKENS, (*labels, kind), count)
            if line.base_model:
                self._count_adapter(line, kind, count)
        self._count_route(line, labels[1:])

    def _count_adapter(self, line: Line, kind: str, count: int) -> None:
        """By what clients call it: its versions come and go, and their series would stay."""
        owner = (line.model or "").partition("/")[0]
        adapter = self._of_owner[owner].label(line.model)
        adapter = OTHER if adapter == OTHER else self._adapters.label(adapter)
        self._sums.add(metrics.ADAPTER_TOKENS, (self._providers.label(line.target), adapter, kind), count)

    def _count_cost(self, line: Line, labels: tuple[str, str, str]) -> None:
        cost = self._cost_of(line)
        if cost is Unpriced.UNKNOWN:
            self._sums.add(metrics.UNPRICED, labels[1:])
        elif isinstance(cost, Decimal) and cost:
            self._sums.add(metrics.COST, labels, float(cost))

    def _count_route(self, line: Line, route: tuple[str, str]) -> None:
        add, attempts = self._sums.add, line.attempts or 0
        first_byte, duration = self._routes.get(route) or self._begin(route)
        add(metrics.ATTEMPTS, route, attempts)
        if attempts > 1:
            add(metrics.FALLBACKS, route)
        if line.client_left:
            add(metrics.DISCONNECTS, route)
        elif line.flags != RECOVERED and may_cost(line) and line.status == 200 and _is_silent(line):
            add(metrics.UNMETERED, route)
        if line.first_byte_ms is not None:
            first_byte.observe(line.first_byte_ms / 1000)
            if line.duration_ms is not None:
                duration.observe(line.duration_ms / 1000)

    def _begin(self, route: tuple[str, str]) -> tuple[Histogram, Histogram]:
        """A model at a provider: all that is counted of it is there from now on, as 0."""
        for counter in (metrics.ATTEMPTS, metrics.FALLBACKS, metrics.DISCONNECTS, metrics.UNMETERED):
            counter.labels(*route)
        self._routes[route] = metrics.FIRST_BYTE.labels(*route), metrics.DURATION.labels(*route)
        return self._routes[route]

    def _labels(self, line: Line) -> tuple[str, str, str]:
        labels = (
            self._tenants.label(line.tenant),
            self._models.label(line.declared_model),
            self._providers.label(line.target),
        )
        if labels not in self._series:
            if len(self._series) >= SERIES_CAP:
                return OTHER, OTHER, labels[2]
            self._series.add(labels)
        return labels


def _is_silent(line: Line) -> bool:
    """Whether a provider has left out what it was to report: of sound and pictures, and of moderations, many do."""
    expected = not line.unit and line.surface not in _UNREPORTED
    return expected and line.prompt_tokens is None and line.completion_tokens is None


def _tokens(line: Line) -> list[tuple[str, int]]:
    """What is known of a request's tokens, by the metric's types."""
    counts = {
        "input": line.prompt_tokens,
        "output": line.completion_tokens,
        "cached": line.cached_tokens,
        "cache_write": line.cache_write_tokens,
        "reasoning": line.reasoning_tokens,
    }
    # What a provider claims may be anything; a counter takes no step back.
    return [(kind, count) for kind, count in counts.items() if count is not None and count >= 0]


def _status(status: int | None) -> str:
    """A status that clients of LLM APIs know, or the class of another one."""
    if status is None or status in _STATUSES:
        return str(status or 0)
    return f"{status // 100}xx" if 100 <= status < 600 else OTHER
