"""What the spool's lines say about requests, as metrics: exact, and off every request's path.

Every line that the follower hands on counts once. After a crash it reads on from its last checkpoint, so lines since
then count twice, in the metrics and nowhere else; after an orderly end none does. Label values are names of
gateway.yaml, since Envoy's filters write no others into the spool; what is more than the caps allow is `other`.
"""

from collections.abc import Callable
from decimal import Decimal

from prometheus_client import Counter

from headgate import metrics
from headgate.metrics import OTHER
from ledger.lines import Line
from ledger.prices import Unpriced, may_cost

# Reloads may bring ever new names: a cap keeps the series, and every scrape, bounded.
TENANTS_CAP = 1_000
MODELS_CAP = 500
PROVIDERS_CAP = 200
VARIANTS_CAP = 50
SERIES_CAP = 10_000

_STATUSES = frozenset(
    {0, 200, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 424, 429, 431, 499, 500, 502, 503, 504, 529}
)
_UNREPORTED = ("moderations", "rerank")

CostOf = Callable[[Line], Decimal | Unpriced]


class Names:
    """The first `cap` distinct values; any further one is `other`, a missing one ""."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._known: set[str] = set()

    def label(self, value: str | None) -> str:
        """The value as a label."""
        if not value or value in self._known:
            return value or ""
        if len(self._known) >= self._cap:
            return OTHER
        self._known.add(value)
        return value


class Route:
    """The counters of one model at one provider."""

    def __init__(self, model: str, provider: str) -> None:
        labels = (model, provider)
        self.attempts = metrics.ATTEMPTS.labels(*labels)
        self.fallbacks = metrics.FALLBACKS.labels(*labels)
        self.disconnects = metrics.DISCONNECTS.labels(*labels)
        self.unmetered = metrics.UNMETERED.labels(*labels)
        self.duration = metrics.DURATION.labels(*labels)
        self.first_byte = metrics.FIRST_BYTE.labels(*labels)


class RequestMetrics:
    """An observer of the follower's: give it every line, in order. Without `cost_of` nothing has a price."""

    def __init__(self, cost_of: CostOf = lambda _: Unpriced.NO_PRICE) -> None:
        self._cost_of = cost_of
        self._tenants = Names(TENANTS_CAP)
        self._models = Names(MODELS_CAP)
        self._providers = Names(PROVIDERS_CAP)
        self._variants = Names(VARIANTS_CAP)
        self._series: set[tuple[str, str, str]] = set()
        self._routes: dict[tuple[str, str], Route] = {}
        self._costs: dict[tuple[str, str, str], Counter] = {}

    def on_line(self, line: Line) -> None:
        """Count a request; only `end` lines are one."""
        if line.type == "end":
            self._count(line)

    def _count(self, line: Line) -> None:
        tenant, model, provider = self._labels(line)
        metrics.REQUESTS.labels(tenant, model, provider, _status(line.status)).inc()
        if line.variant:
            metrics.VARIANTS.labels(model, self._variants.label(line.variant), _status(line.status)).inc()
        self._count_cost(line, (tenant, model, provider))
        if not line.target:
            return
        for kind, count in _tokens(line):
            metrics.TOKENS.labels(tenant, model, provider, kind).inc(count)
        route = self._routes.get((model, provider))
        if route is None:
            route = self._routes[model, provider] = Route(model, provider)
        _count_route(route, line)

    def _count_cost(self, line: Line, labels: tuple[str, str, str]) -> None:
        cost = self._cost_of(line)
        if cost is Unpriced.UNKNOWN:
            metrics.UNPRICED.labels(*labels[1:]).inc()
        elif isinstance(cost, Decimal) and cost:
            counter = self._costs.get(labels)
            if counter is None:
                counter = self._costs[labels] = metrics.COST.labels(*labels)
            counter.inc(float(cost))

    def _labels(self, line: Line) -> tuple[str, str, str]:
        labels = (
            self._tenants.label(line.tenant),
            self._models.label(line.model),
            self._providers.label(line.target),
        )
        if labels not in self._series:
            if len(self._series) >= SERIES_CAP:
                return OTHER, OTHER, labels[2]
            self._series.add(labels)
        return labels


def _count_route(route: Route, line: Line) -> None:
    attempts = line.attempts or 0
    route.attempts.inc(attempts)
    if attempts > 1:
        route.fallbacks.inc()
    if line.client_left:
        route.disconnects.inc()
    elif may_cost(line) and line.status == 200 and _is_silent(line):
        route.unmetered.inc()
    if line.first_byte_ms is not None:
        route.first_byte.observe(line.first_byte_ms / 1000)
        if line.duration_ms is not None:
            route.duration.observe(line.duration_ms / 1000)


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
