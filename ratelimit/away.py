"""Whether this process has to limit by itself, and why: told to whoever watches, once per change."""

import asyncio
import time

import structlog

from headgate import metrics

# How long after a tenant's sums were last found missing they count as back: tenants do not all ask all the time.
_MISSING_S = 5.0

log = structlog.get_logger()


class Away:
    """The counters, or a node of them, may be away, or lack what the ledger has to write: used-up quotas."""

    def __init__(self) -> None:
        self._gone_at: dict[str, float] = {}  # nodes; one server alone, and slots that no node has, are ""
        self._missing_at: float | None = None
        self._missing_until = 0.0
        metrics.LIMITER_EMERGENCY.set(0)

    def changed(self, node: str, reason: str | None) -> None:
        """A connection is lost, or (None) back, or there is no need for it any more."""
        now = time.monotonic()
        which = {"node": node} if node else {}
        if reason is not None:
            self._gone_at[node] = now
            what = "a node of the counters is away: this worker limits its tenants by itself"
            log.error(what if node else "counters are away: this worker limits by itself", reason=reason, **which)
        elif gone_at := self._gone_at.pop(node, None):
            what = "a node of the counters is back, or others have its tenants"
            log.info(what if node else "counters are back", after_s=round(now - gone_at, 3), **which)
        self._set()

    def missing(self) -> None:
        """They answer, and do not know what a tenant has used of its days and months."""
        self._missing_until = time.monotonic() + _MISSING_S
        if self._missing_at is None:
            self._missing_at = time.monotonic()
            log.error("the ledger's sums are not in the counters: this worker limits by itself where they are needed")
            self._set()
            asyncio.get_running_loop().call_later(_MISSING_S, self._look)

    def _look(self) -> None:
        left_s = self._missing_until - time.monotonic()
        if left_s > 0:
            asyncio.get_running_loop().call_later(left_s, self._look)
        else:
            self._missing_at = None
            log.info("no sums of the ledger are missed any more")
            self._set()

    def _set(self) -> None:
        metrics.LIMITER_EMERGENCY.set(bool(self._gone_at) or self._missing_at is not None)
