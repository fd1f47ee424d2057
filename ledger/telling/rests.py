"""What failed attempts mean for the next ones: metrics of them, and a rest for a model whose provider said 429.

With a key out of several it is the model that rests with this key. Keys that are refused:
ledger/telling/refused_keys.py.
"""

import datetime as dt

from headgate import metrics
from headgate.feed.publisher import Publisher
from headgate.metric_names import KEYS_CAP, PROVIDERS_CAP, Names
from ledger.spool.attempts import Attempt, age_s, kind_of, kind_of_flags, rest_s
from ledger.spool.lines import Line


class AttemptMetrics:
    """An observer of attempts, and of `end` lines for those that Envoy did not even try."""

    def __init__(self) -> None:
        self._providers = Names(PROVIDERS_CAP)

    def on_attempt(self, attempt: Attempt) -> None:
        """Count it by what happened. One that another attempt of its request has outrun has not failed."""
        provider, kind = self._providers.label(attempt.target), kind_of(attempt)
        if kind == "hedged":
            metrics.HEDGED.labels(provider).inc()
        else:
            metrics.ATTEMPT_FAILURES.labels(provider, kind).inc()

    def on_line(self, line: Line) -> None:
        """A request that ended at a target which Envoy would not try has no line of that attempt."""
        kind = kind_of_flags(line.flags) if line.type == "end" else None
        if kind in ("breaker", "no_endpoint"):
            metrics.ATTEMPT_FAILURES.labels(self._providers.label(line.target), kind).inc()


class Rests:
    """An observer of attempts: hands rests to the publisher."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._providers, self._keys = Names(PROVIDERS_CAP), Names(KEYS_CAP)

    def on_attempt(self, attempt: Attempt) -> None:
        """Rest what asked for it. Without the model nobody knows what to rest."""
        if attempt.status != 429 or not attempt.cluster or not attempt.upstream_model:
            return
        now = dt.datetime.now(dt.UTC)
        left_s = rest_s(attempt.retry_after, now, attempt.retry_after_ms) - age_s(attempt, now)
        if left_s > 0:
            self._publisher.rest(attempt.cluster, attempt.upstream_model, left_s)
            names = self._providers.label(attempt.target), self._keys.label(attempt.provider_key)
            metrics.RESTS.labels(*names).inc()
