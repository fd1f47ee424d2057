"""Counts the limiter's decisions, and logs those that say no."""

import structlog

from headgate import metrics
from headgate.counters.limits import Limit
from headgate.counters.reservation import Verdict
from headgate.limiting import Ask
from headgate.limits import KINDS
from headgate.refusals import Refusals
from ratelimit.shown import in_overage

log = structlog.get_logger()


class Tally:
    """Of one worker. `refusals` are the limiter's."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        by = ("counters", "emergency")
        self._allowed = {one: metrics.LIMITER_DECISIONS.labels("allowed", one) for one in by}
        self._refused = {one: metrics.LIMITER_DECISIONS.labels("refused", one) for one in by}
        self._lowered = {one: metrics.LIMITER_LOWERED.labels(one) for one in by}
        outcomes = ("allowed", "refused", "too many")
        self._waited = {one: metrics.LIMITER_WAITS.labels(one.replace(" ", "_")) for one in outcomes}
        self._passed = {
            (kind, limit): metrics.LIMITER_PASSED.labels(kind, limit)
            for kind in KINDS
            for limit in ("soft", "overage")
        }

    def allowed(self, by: str, *, lowered: bool) -> None:
        """A request goes on; `lowered`: with shorter answers than it asked for."""
        self._allowed[by].inc()
        if lowered:
            self._lowered[by].inc()

    def waited(self, outcome: str) -> None:
        """A request could not go on at once, and was asked about again."""
        self._waited[outcome].inc()

    def passed(self, verdict: Verdict) -> None:
        """What it goes on in spite of."""
        for limit in verdict.warned:
            self._passed[limit.kind.name, "soft"].inc()
        for standing in verdict.standings:
            if in_overage(standing):
                self._passed[standing.limit.kind.name, "overage"].inc()

    def refused(self, ask: Ask, limit: Limit, by: str) -> None:
        """A request does not go on."""
        self._refused[by].inc()
        self._refusals.count(limit.kind.name)
        alone = {"emergency": True} if by == "emergency" else {}
        log.info("refused", request_id=ask.request_id, tenant=ask.tenant, status=429, limit=limit.name, **alone)
