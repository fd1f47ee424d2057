"""The limiter: one reservation per request, decided by the counters, or here while they are away.

extproc, in the same worker, asks for it when the plan is made. Envoy's RateLimitService asks of requests for some
engines once more, for a slot (admission.py), which may take minutes.

A request that only what others still hold is in the way of is asked about again, within a fifth of a second.
"""

import asyncio
import os
import time
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import structlog

from headgate import metrics, tracing
from headgate.contract import WORKERS_ENV
from headgate.counters.address import counters_address
from headgate.counters.client import Counters, Unavailable
from headgate.counters.emergency import Emergency, Taken, least_output
from headgate.counters.limits import Applying, Limit, TenantLimits
from headgate.counters.reservation import Verdict, Wish, amount_of, read_verdict, reserve_call
from headgate.counters.scripts import Call
from headgate.counters.settlement import Settled, settle_call
from headgate.feed.identity import gateway_id
from headgate.grpc_server import CallFailed, Metadata, Method, Status
from headgate.limiting import UNLIMITED, Ask, Decision, Denied, Granted
from headgate.refusals import LIMITER_REASONS, Refusals
from headgate.snapshot import TenantRow
from headgate.tables import Generation, Holder
from ratelimit import codec
from ratelimit.adapter_wait import Adapters
from ratelimit.admission import Admission
from ratelimit.away import Away
from ratelimit.engines import Engines
from ratelimit.late import Late
from ratelimit.refusal import denied, refusal_alone, refusal_of
from ratelimit.rules import Rules
from ratelimit.shown import headers_of, notices_of
from ratelimit.tally import Tally
from ratelimit.waiting import PAUSES_S, Places, may_come_back

# A round trip takes well below a millisecond; what has not answered by now is not worth a client's time.
COUNTERS_TIMEOUT_S = 0.02

log = structlog.get_logger()

T = TypeVar("T")


class Limiter:
    """envoy.service.ratelimit.v3.RateLimitService."""

    def __init__(self, holder: Holder, workers: int) -> None:
        holder.add(Rules)
        self._holder = holder
        self._away = Away()
        self._counters = Counters(counters_address(), COUNTERS_TIMEOUT_S, self._changed)
        self._late = Late(self._counters)
        self._counters.start()
        self._emergency = Emergency(workers)
        refusals = Refusals("limiter", LIMITER_REASONS)
        self._tally = Tally(refusals)
        self._places = Places()
        engines = Engines()
        self._adapters = Adapters(refusals, engines)
        self._admission = Admission(refusals, engines, self._adapters)
        holder.add(self._admission.connect)
        holder.add(self._adapters.connect)

    def _changed(self, node: str, reason: str | None) -> None:
        self._away.changed(node, reason)
        if reason is None:
            self._late.try_now()

    def should_rate_limit(self, ask: Ask, call: Metadata) -> Awaitable[bytes] | bytes:
        """Answers one RateLimitRequest: a slot of the engine that it names; where it names none, as `reserve`."""
        if not (ask.engine or ask.lacks_adapter):
            decision = self.reserve(ask, call)
            return codec.encoded(decision) if isinstance(decision, Granted | Denied) else _encoded(decision)
        _known(ask)
        span = tracing.begin("admission", call)
        tables = self._holder.current
        row, _, applying = self._applying(ask, tables)
        back = partial(self._give_back, ask, applying)
        answer = self._admission.admit(ask, tables.snapshot, row.limits if row else None, back)
        return _traced(span, ask, answer) if span else answer

    def reserve(self, ask: Ask, call: Metadata) -> Decision | Awaitable[Decision]:
        """Decides on one request; at once where there is no limit. Raises CallFailed where nobody can."""
        _known(ask)
        span = tracing.begin("ratelimit", call)
        tables = self._holder.current
        _, limits, applying = self._applying(ask, tables)
        if not (limits and applying and applying.limits):
            if ask.adapter:
                self._adapters.note(ask)
            if span:
                span.end(headgate__tenant=ask.tenant)
            return UNLIMITED
        rules = tables.of(Rules)
        wish = rules.wish(ask, has_credits=limits.has_credits)
        answer = self._reserve(ask, applying, wish, rules.lease_ms(ask.model))
        if ask.adapter:
            answer = self._noted(ask, answer)
        return _traced(span, ask, answer) if span else answer

    def _applying(
        self, ask: Ask, tables: Generation
    ) -> tuple[TenantRow | None, TenantLimits | None, Applying | None]:
        """The tenant, its limits, and those of them that hold for this request. Without a model there is no plan: it
        goes nowhere.
        """
        row = self._row_of(ask, tables) if ask.model else None
        if not (row and row.limits):
            return row, None, None
        limits = tables.of(Rules).limits(ask.tenant, row.limits, row.credits)
        return row, limits, limits.applying(ask.key_id, ask.model, ask.user)

    async def _noted(self, ask: Ask, answer: Awaitable[Decision]) -> Decision:
        """A request that is refused is no use of its adapter."""
        decision = await answer
        if isinstance(decision, Granted):
            self._adapters.note(ask)
        return decision

    def _row_of(self, ask: Ask, tables: Generation) -> TenantRow | None:
        if not ask.directory:
            return tables.tenants.known(ask.tenant)
        following = self._holder.following
        if ask.directory > following.directory.version:
            following.catch_up(ask.directory)
        row = tables.tenants.find(ask.tenant)
        if row is None:  # since it was planned: nothing that is unknown here is without limits
            log.warning("tenant is gone since the request was planned", request_id=ask.request_id, tenant=ask.tenant)
            raise CallFailed(Status.UNAVAILABLE, "the tenant is gone, or disabled")
        return row

    async def _reserve(self, ask: Ask, applying: Applying, wish: Wish, lease_ms: int) -> Decision:
        call = reserve_call(applying, wish, lease_ms)
        try:
            verdict = await self._verdict(applying, call)
            if may_come_back(verdict.refused):
                verdict = await self._again(applying, call, verdict)
        except Unavailable as gone:
            return self._decide_alone(ask, applying, wish, lease_ms, maybe=gone.maybe)
        if verdict.unknown:
            self._away.missing()
            return self._decide_alone(ask, applying, wish, lease_ms, maybe=False)
        return self._decided(ask, applying, wish, verdict)

    async def _give_back(self, ask: Ask, applying: Applying | None) -> bool:
        """What a request has reserved that goes nowhere; False: its `end` line does that."""
        gateway = gateway_id()
        if applying is None or not applying.settles:
            return True
        if gateway is None:  # whose ledger is told of alerts that wait
            return False
        nothing = Settled(ask.request_id, ask.epoch, round(time.time() * 1000), applying, requests=0, missed=False)
        try:
            await self._counters.run(*settle_call(ask.tenant, [nothing], gateway=gateway))
        except Unavailable:
            return False
        return True

    async def _verdict(self, applying: Applying, call: Call) -> Verdict:
        began = time.perf_counter()
        try:
            return read_verdict(applying, await self._counters.run(*call))
        finally:
            metrics.LIMITER_ROUND_TRIP.observe(time.perf_counter() - began)

    async def _again(self, applying: Applying, call: Call, verdict: Verdict) -> Verdict:
        """Waits for what may come back, a few times at most; the last verdict. Nothing is held meanwhile."""
        if not self._places.take(applying.tenant):
            self._tally.waited("too many")
            return verdict
        try:
            for pause_s in PAUSES_S:
                await asyncio.sleep(pause_s)
                verdict = await self._verdict(applying, call)
                if not may_come_back(verdict.refused):
                    break
        finally:
            self._places.leave(applying.tenant)
        self._tally.waited("refused" if verdict.refused else "allowed")
        return verdict

    def _decided(self, ask: Ask, applying: Applying, wish: Wish, verdict: Verdict) -> Decision:
        now = time.time()
        self._emergency.note(verdict.standings)
        headers = headers_of(ask.api, verdict.standings, verdict.refused, now)
        if verdict.refused:
            limit = verdict.refused.limit
            asked, least = _amounts(limit, wish)
            self._tally.refused(ask, limit, "counters")
            return denied(ask, refusal_of(ask, verdict.refused, asked, least, now), headers)
        lowered = verdict.grant < wish.output and not verdict.closed
        self._tally.allowed("counters", lowered=lowered)
        self._tally.passed(verdict)
        headers += notices_of(verdict, round(now * 1000))
        return Granted(applying.settles, tuple(headers), verdict.grant if lowered else None)

    def _decide_alone(self, ask: Ask, applying: Applying, wish: Wish, lease_ms: int, *, maybe: bool) -> Decision:
        """`maybe`: a call that was cut off may still have reserved something, so the follower is to look.

        So it is with all that passes here: it is reserved later, and the ledger adds what has ended by then.
        """
        now = time.monotonic()
        decided = self._emergency.take(ask.tenant, applying.limits, wish, now)
        standings = self._emergency.standings(ask.tenant, applying.limits, now)
        refused = None if isinstance(decided, Taken) else decided
        headers = headers_of(ask.api, standings, refused, time.time(), self._emergency.share)
        if isinstance(decided, Taken):
            lowered = decided.grant < wish.output
            self._tally.allowed("emergency", lowered=lowered)
            if applying.settles:
                granted = replace(wish, output=decided.grant)
                call = reserve_call(applying, granted, lease_ms, passed_ms=round(time.time() * 1000))
                self._late.add(call, lease_ms)
            return Granted(None, tuple(headers), decided.grant if lowered else None)
        self._tally.refused(ask, decided.limit, "emergency")
        share, (_, least) = self._emergency.share(decided.limit), _amounts(decided.limit, wish)
        refusal = refusal_alone(ask, decided, share, least)
        return denied(ask, refusal, headers, reserved=None if maybe and applying.settles else False)


def _amounts(limit: Limit, wish: Wish) -> tuple[int, int]:
    """What the request asks for of a limit, and the least that it could go on with."""
    dimension = limit.kind.dimension
    return amount_of(wish, dimension, wish.output), amount_of(wish, dimension, least_output(wish))


def _known(ask: Ask) -> None:
    if not (ask.tenant and ask.request_id and ask.epoch):
        raise CallFailed(Status.INTERNAL, "a request without tenant, id or epoch cannot be limited")


async def _encoded(decision: Awaitable[Decision]) -> bytes:
    return codec.encoded(await decision)


async def _traced(span: tracing.Span, ask: Ask, answer: Awaitable[T]) -> T:
    try:
        return await answer
    finally:
        span.end(headgate__tenant=ask.tenant, gen_ai__request__model=ask.model)


def services(holder: Holder) -> list[Method]:
    """What a worker serves for this part, and what extproc finds in the holder; called in the worker's event loop."""
    asyncio.get_running_loop()
    workers = int(os.environ.get(WORKERS_ENV, "1"))
    limiter = Limiter(holder, workers)
    holder.reserve = limiter.reserve
    return [Method(codec.SERVICE, codec.METHOD, limiter.should_rate_limit, codec.decode, streams=False)]
