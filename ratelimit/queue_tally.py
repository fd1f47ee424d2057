"""Counts what becomes of requests that want a slot of an engine, and logs those that get none."""

import structlog

from headgate import queue_metrics as metrics
from headgate.limiting import Ask
from headgate.metric_names import MODELS_CAP, TENANTS_CAP, Names
from headgate.refusals import Refusals

log = structlog.get_logger()


class QueueTally:
    """Of one worker. `refusals` are the limiter's."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._tenants, self._models = Names(TENANTS_CAP), Names(MODELS_CAP)

    def begins(self, ask: Ask) -> None:
        """One more waits."""
        metrics.QUEUE_WAITING.labels(*self._whose(ask)).inc()

    def stops(self, ask: Ask) -> None:
        """It waits no more, whatever has become of it."""
        metrics.QUEUE_WAITING.labels(*self._whose(ask)).dec()

    def waited(self, ask: Ask, waited_s: float, predicted_ms: int | None) -> None:
        """It has waited for so long. `predicted_ms`: how long it should have been, of one that has a slot now."""
        tenant, model = self._whose(ask)
        metrics.QUEUE_WAIT.labels(model).observe(waited_s)
        metrics.QUEUE_WAITED.labels(tenant, model).inc(waited_s)
        if predicted_ms:
            metrics.QUEUE_PREDICTION.labels(model).observe(waited_s * 1000 / predicted_ms)

    def ended(self, ask: Ask, outcome: str) -> None:
        """A request goes on, or its client has gone."""
        metrics.QUEUE_REQUESTS.labels(*self._whose(ask), outcome).inc()

    def refused(self, ask: Ask, outcome: str, code: str) -> None:
        """A request does not go on."""
        self.ended(ask, outcome)
        self._refusals.count(code)
        log.info("refused", request_id=ask.request_id, tenant=ask.tenant, status=503, reason=code, model=ask.model)

    def _whose(self, ask: Ask) -> tuple[str, str]:
        return self._tenants.label(ask.tenant), self._models.label(ask.model)
