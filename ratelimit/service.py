"""The rate limit service: one reservation per request, decided by the counters, or here while they are away."""

import asyncio
import os
import time
from collections.abc import Awaitable

import structlog

from headgate import metrics, tracing
from headgate.contract import WORKERS_ENV
from headgate.counters.address import counters_address
from headgate.counters.client import Counters, Unavailable
from headgate.counters.scripts import RESERVE
from headgate.grpc_server import CallFailed, Metadata, Method, Status
from headgate.snapshot import Snapshot
from headgate.tables import Holder
from ratelimit import codec
from ratelimit.emergency import Emergency
from ratelimit.limits import Refused, TenantLimits, tightest, whole_seconds

# A round trip takes well below a millisecond; what has not answered by now is not worth a client's time.
COUNTERS_TIMEOUT_S = 0.1
# Beyond the model's total timeout: the answer's last bytes, and the follower's way.
LEASE_MARGIN_MS = 30_000
_UNKNOWN_MODEL_MS = 600_000

log = structlog.get_logger()


class Rules:
    """What one snapshot says of limits."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.tenants = {
            name: TenantLimits(name, row.limits) for name, row in snapshot.tenants.items() if row.limits is not None
        }
        self._total_ms = {name: row.total_ms for name, row in snapshot.models.items()}

    def lease_ms(self, model: str) -> int:
        """How long a reservation holds at most when nobody settles it."""
        return self._total_ms.get(model, _UNKNOWN_MODEL_MS) + LEASE_MARGIN_MS


class Limiter:
    """envoy.service.ratelimit.v3.RateLimitService."""

    def __init__(self, holder: Holder, workers: int) -> None:
        holder.add(Rules)
        self._holder = holder
        self._counters = Counters(counters_address(), COUNTERS_TIMEOUT_S, self._on_change)
        self._counters.start()
        self._emergency = Emergency(workers)
        self._since = time.monotonic()
        self._refusals = metrics.Refusals("limiter", metrics.LIMITER_REASONS)
        self._decisions = {
            (decision, by): metrics.LIMITER_DECISIONS.labels(decision, by)
            for decision in ("allowed", "refused")
            for by in ("counters", "emergency")
        }
        metrics.LIMITER_EMERGENCY.set(0)

    def should_rate_limit(self, ask: codec.Ask, call: Metadata) -> bytes | Awaitable[bytes]:
        """Answers one RateLimitRequest; at once where there is no limit."""
        if not (ask.tenant and ask.request_id and ask.epoch):
            raise CallFailed(Status.INTERNAL, "a request without tenant, id or epoch cannot be limited")
        span = tracing.begin("ratelimit", call)
        rules = self._holder.current.of(Rules)
        limits = rules.tenants.get(ask.tenant)
        if limits is None or not ask.model:  # without a model there is no plan: it goes nowhere
            if span:
                span.end(headgate__tenant=ask.tenant)
            return codec.UNLIMITED
        answer = self._reserve(ask, limits, rules.lease_ms(ask.model))
        return _traced(span, ask, answer) if span else answer

    async def _reserve(self, ask: codec.Ask, limits: TenantLimits, lease_ms: int) -> bytes:
        began = time.perf_counter()
        try:
            keys, arguments = limits.keys(ask.request_id), limits.arguments(ask.epoch, ask.request_id, lease_ms)
            reply = await self._counters.run(RESERVE, keys, arguments)
        except Unavailable as gone:
            return self._decide_alone(ask, limits, maybe=gone.maybe)
        finally:
            metrics.LIMITER_ROUND_TRIP.observe(time.perf_counter() - began)
        verdict = limits.verdict(reply)
        shown = codec.shown_to(ask, tightest(verdict.standings), time.time())
        if verdict.refused:
            return self._refuse(ask, verdict.refused, shown)
        self._decisions["allowed", "counters"].inc()
        return codec.allowed(shown, limits.holds)

    def _refuse(self, ask: codec.Ask, refusal: Refused, shown: codec.Shown | None) -> bytes:
        limit, wait_s = refusal.limit, whole_seconds(refusal.wait_ms)
        self._decisions["refused", "counters"].inc()
        self._refusals.count(limit.name)
        log.info("refused", request_id=ask.request_id, tenant=ask.tenant, status=429, limit=limit.name)
        message = (
            f"Rate limit reached for tenant '{ask.tenant}': limit {limit.cap} {limit.text} ({limit.name}), "
            f"used {refusal.used}. Retry in {wait_s} s."
        )
        return codec.refused(ask, message, refusal, shown)

    def _decide_alone(self, ask: codec.Ask, limits: TenantLimits, *, maybe: bool) -> bytes:
        refusal = self._emergency.take(ask.tenant, limits.windows, time.monotonic())
        if refusal is None:
            self._decisions["allowed", "emergency"].inc()
            # A call that was cut off may still take a slot: the follower is to look.
            return codec.allowed(None, None if maybe and limits.holds else False)
        limit, wait_s = refusal.limit, whole_seconds(refusal.wait_ms)
        self._decisions["refused", "emergency"].inc()
        self._refusals.count(limit.name)
        log.info(
            "refused", request_id=ask.request_id, tenant=ask.tenant, status=429, limit=limit.name, emergency=True
        )
        message = (
            f"Rate limit reached for tenant '{ask.tenant}': the gateway's counters are away, and until they are back "
            f"each of its workers lets {self._emergency.share(limit)} of {limit.cap} {limit.text} ({limit.name}) "
            f"pass, used {refusal.used}. Retry in {wait_s} s."
        )
        return codec.refused(ask, message, refusal, None)

    def _on_change(self, reason: str | None) -> None:
        """One line per change of state, whatever the load."""
        metrics.LIMITER_EMERGENCY.set(0 if reason is None else 1)
        if reason is None:
            self._emergency.clear()
            log.info("counters are back", after_s=round(time.monotonic() - self._since, 3))
        else:
            self._since = time.monotonic()
            log.error("counters are away: this worker limits by itself", reason=reason)


async def _traced(span: tracing.Span, ask: codec.Ask, answer: Awaitable[bytes]) -> bytes:
    try:
        return await answer
    finally:
        span.end(headgate__tenant=ask.tenant, gen_ai__request__model=ask.model)


def services(holder: Holder) -> list[Method]:
    """What a worker serves for this part; called in the worker's event loop."""
    asyncio.get_running_loop()
    workers = int(os.environ.get(WORKERS_ENV, "1"))
    limiter = Limiter(holder, workers)
    return [Method(codec.SERVICE, codec.METHOD, limiter.should_rate_limit, codec.decode, streams=False)]
