"""The ext_proc service: one short gRPC stream per request, closed with the plan and what is reserved for it.

Closing it is what lets an answer outlive this process: nothing of a running stream depends on Python, unless it has
to be translated (attempts.py).
"""

import os
import re
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from extproc import codec
from extproc.attempts import Attempt, TranslatedAnswer
from extproc.budgets import Budgets, Purses
from extproc.exchange import Exchange
from extproc.kept import KeptResponses
from extproc.limits import ask_of
from extproc.refusal import Refusal
from extproc.steps import ON_BODY, ON_CHAIN, ON_COUNT, ON_HEADERS, ON_MAKER, ON_RESPONSE, run
from extproc.surface import Surface
from extproc.surfaces import CHAT_LIST, CHAT_UPDATE, OF_STORED
from extproc.tokens.counter import Counter
from extproc.tokens.ranks import RanksError
from extproc.warming import warm
from extproc.watch import WatchedAnswer
from headgate import metrics, tracing
from headgate.contract import ATTEMPT_ROLE, EPOCH, ROLE, WATCH_ROLE, WORKERS_ENV
from headgate.counters.address import counters_address
from headgate.counters.client import Unavailable
from headgate.counters.responses import Kind
from headgate.directory.following import Following
from headgate.feed import subscriber as feed
from headgate.feed.allowances import Allowances
from headgate.feed.factors import Factors
from headgate.feed.figures import Figures
from headgate.feed.full_engines import FullEngines, QueueListener
from headgate.feed.identity import gateway_id
from headgate.feed.replicas import Replicas
from headgate.feed.states import TargetStates
from headgate.grpc_server import Metadata, Method, Reply
from headgate.limiting import Decision, Denied, Granted
from headgate.refusals import EXTPROC_REASONS, Refusals
from headgate.snapshot import Snapshot
from headgate.spool_room import SpoolRoom
from headgate.tables import Generation, Holder

KeepWithin = Callable[[Exchange], Awaitable[None]]
ReserveFor = Callable[[Exchange], Decision | Awaitable[Decision]]
Write = Callable[[Exchange, Granted], bytes]

log = structlog.get_logger()

_refusals = Refusals("extproc", EXTPROC_REASONS)
_room = SpoolRoom()
_failures = metrics.FAILURES.labels("extproc")


class Process:
    """One call: headers, then the body; the answer to the body is the plan and the last word."""

    def __init__(
        self,
        tables: Generation,
        following: Following,
        state_of: Callable[[str, str], int],
        counter: Counter,
        span: tracing.Span | None = None,
        *,
        factor_of: Callable[[str, str], float],
        is_full: Callable[[str], bool],
        figures: Figures,
        allowances: Allowances,
        replicas: Replicas,
        kept: KeptResponses,
        keep_within: KeepWithin,
        reserve: ReserveFor,
    ) -> None:
        self._snapshot = tables.snapshot
        self._tenants = tables.tenants
        self._following = following
        self._counter = counter
        self._state_of = state_of
        self._factor_of = factor_of
        self._is_full = is_full
        self._figures = figures
        self._allowances = allowances
        self._replicas = replicas
        self._kept = kept
        self._keep_within = keep_within
        self._reserve = reserve
        self._exchange: Exchange | None = None
        self._span = span

    def on_message(self, message: codec.Message) -> Reply | Awaitable[Reply]:
        """Answers the next message of Envoy's."""
        exchange = self._exchange
        if exchange is not None:
            exchange.raw_body = codec.body_of(message)
            return self._about_response(exchange) if exchange.surface.by_id else self._read(exchange)
        short = _room.is_short(self._snapshot.spool.min_free_bytes)
        incoming = codec.incoming(message)
        if incoming.directory > self._following.directory.version:
            self._following.catch_up(incoming.directory)
        tenant = self._tenants.find(incoming.tenant)
        limits = tenant.limits if tenant else None
        exchange = self._exchange = Exchange(
            incoming,
            self._snapshot,
            tenant,
            is_misconfigured=tenant is None and self._tenants.is_misconfigured(incoming.tenant),
            spool_is_short=short,
            state_of=self._state_of,
            factor_of=self._factor_of,
            is_full=self._is_full,
            figures=self._figures,
            allowances=self._allowances,
            replicas=self._replicas,
            has_token_limits=limits is not None and limits.counts_tokens,
        )
        answer = _guarded(_on_headers, exchange)
        if answer is not None:
            return self._last(answer)
        if not codec.ends_here(message):
            return codec.CONTINUE, False
        # Without a body the steps say what is missing.
        return self._about_response(exchange, at_head=True) if exchange.surface.by_id else self._read(exchange)

    async def _about_response(self, exchange: Exchange, *, at_head: bool = False) -> Reply:
        await self._look_up(exchange)
        answer = _guarded(_on_response, exchange)
        return await self._within_limits(exchange, answer, _write_at_head if at_head else _write_response)

    async def _going_on(self, exchange: Exchange) -> Reply:
        await self._look_up(exchange)
        reply = self._known(exchange)
        return reply if isinstance(reply, tuple) else await reply

    async def _look_up(self, exchange: Exchange) -> None:
        kind: Kind = "completions" if exchange.surface in OF_STORED else "responses"
        tenant = exchange.incoming.tenant
        try:
            exchange.maker = await self._kept.maker(tenant, exchange.response_id, kind)
            if exchange.stores or exchange.surface in (CHAT_LIST, CHAT_UPDATE):
                exchange.mark = await self._kept.mark(tenant)
        except Unavailable as gone:
            exchange.was_found = False
            log.warning("what a provider keeps cannot be looked up", kind=kind, reason=gone.reason)

    def _read(self, exchange: Exchange) -> Reply | Awaitable[Reply]:
        answer = _guarded(_on_body, exchange)
        if answer is not None:
            return self._last(answer)
        return self._going_on(exchange) if exchange.response_id or exchange.stores else self._known(exchange)

    def _known(self, exchange: Exchange) -> Reply | Awaitable[Reply]:
        answer = _guarded(_on_maker, exchange)
        if answer is not None:
            return self._last(answer)
        tenant, counter = exchange.incoming.tenant, self._counter
        for model, prompt in list(exchange.to_count.items()):
            size = counter.quick(prompt, tenant)
            if size is None:
                return self._counted(exchange)
            exchange.sizes[model] = size
            del exchange.to_count[model]
        return self._planned(exchange)

    async def _counted(self, exchange: Exchange) -> Reply:
        tenant = exchange.incoming.tenant
        try:
            for model, prompt in exchange.to_count.items():
                exchange.sizes[model] = await self._counter.count(prompt, tenant)
        except RanksError as error:  # then windows are for the providers to judge, and limits go by a guess
            log.error("tokens cannot be counted", problem=str(error))  # noqa: TRY400 - the installation's fault
        reply = self._planned(exchange)
        return reply if isinstance(reply, tuple) else await reply

    def _planned(self, exchange: Exchange) -> Reply | Awaitable[Reply]:
        answer = _guarded(_on_count, exchange)
        if answer is None and exchange.has_budgets:
            return self._within_budgets(exchange)
        return self._limited(exchange, answer or _guarded(_on_chain, exchange), _write)

    async def _within_budgets(self, exchange: Exchange) -> Reply:
        try:
            await self._keep_within(exchange)
        except Refusal as refusal:
            return self._last(_refused(refusal, exchange))
        return await self._within_limits(exchange, _guarded(_on_chain, exchange), _write)

    async def _within_limits(self, exchange: Exchange, answer: bytes | None, write: Write) -> Reply:
        reply = self._limited(exchange, answer, write)
        return reply if isinstance(reply, tuple) else await reply

    def _limited(self, exchange: Exchange, answer: bytes | None, write: Write) -> Reply | Awaitable[Reply]:
        """The last word, `answer` if there is one: that of a request with a plan is the limiter's."""
        if answer is not None:
            return self._last(answer)
        decision = self._reserve(exchange)
        if isinstance(decision, Granted | Denied):
            return self._decided(exchange, decision, write)
        return self._decided_later(exchange, decision, write)

    async def _decided_later(self, exchange: Exchange, decision: Awaitable[Decision], write: Write) -> Reply:
        return self._decided(exchange, await decision, write)

    def _decided(self, exchange: Exchange, decision: Decision, write: Write) -> Reply:
        if isinstance(decision, Granted):
            return self._last(_guarded(lambda one: write(one, decision), exchange))
        exchange.refusal = "limits"
        return self._last(codec.denied(exchange.plan, decision))

    def _last(self, answer: bytes | None) -> Reply:
        if self._span:
            _end(self._span, self._exchange)
        return answer, True


def _end(span: tracing.Span, exchange: Exchange | None) -> None:
    """What is known by now; a refused request has no model that is ours."""
    if exchange is None:
        return
    planned = hasattr(exchange, "plan")
    span.end(
        headgate__tenant=exchange.incoming.tenant,
        headgate__refusal=exchange.refusal,
        gen_ai__operation__name=exchange.surface.operation,
        gen_ai__request__model=exchange.model if planned else None,
        headgate__attempts_planned=len(exchange.plan.clusters) if planned else None,
    )


def _on_headers(exchange: Exchange) -> bytes | None:
    """The answer, when the headers are enough for one."""
    answer = run(ON_HEADERS, exchange)
    return codec.answered(answer) if answer else None


def _on_body(exchange: Exchange) -> bytes | None:
    """The answer, when the body is enough for one."""
    answer = run(ON_BODY, exchange)
    return codec.answered(answer) if answer else None


def _on_maker(exchange: Exchange) -> bytes | None:
    """The answer, when there is no need to count for one."""
    answer = run(ON_MAKER, exchange)
    return codec.answered(answer) if answer else None


def _on_response(exchange: Exchange) -> bytes | None:
    """An answer, or none and there is the plan."""
    answer = run(ON_RESPONSE, exchange)
    return codec.answered(answer) if answer else None


def _on_count(exchange: Exchange) -> bytes | None:
    """The answer, when the count is all that was asked for."""
    answer = run(ON_COUNT, exchange)
    return codec.answered(answer) if answer else None


def _on_chain(exchange: Exchange) -> None:
    """Fills the plan."""
    run(ON_CHAIN, exchange)


def _write(exchange: Exchange, granted: Granted) -> bytes:
    body = exchange.document.render()
    edited = not exchange.surface.passes or body is not exchange.raw_body
    return codec.planned(exchange.plan, granted, body, exchange.document.field_at, edited=edited)


def _write_response(exchange: Exchange, granted: Granted) -> bytes:
    """Whatever the client has put into a body that the API does not have stays here."""
    body = exchange.document.render() if exchange.surface is CHAT_UPDATE else b""
    return codec.planned(exchange.plan, granted, body)


def _write_at_head(exchange: Exchange, granted: Granted) -> bytes:
    return codec.planned_at_head(exchange.plan, granted)


def _guarded(decide: Callable[[Exchange], bytes | None], exchange: Exchange) -> bytes | None:
    """What `decide` says; refusals in the client's API shape, our own failures too."""
    try:
        return decide(exchange)
    except Refusal as refusal:
        return _refused(refusal, exchange)
    except Exception:  # the stream's boundary: a bug costs this request, not the worker
        log.exception("failed", **_whose(exchange))
        exchange.refusal = "gateway_error"
        _failures.inc()
        bug = Refusal("The gateway failed to handle the request. Report its request id.", code="gateway_error")
        return codec.refused(bug, exchange)


def _refused(refusal: Refusal, exchange: Exchange) -> bytes:
    param = _known(refusal.param, exchange.surface)
    log.info("refused", **_whose(exchange), status=refusal.status, code=refusal.code, param=param)
    exchange.refusal = refusal.code or metrics.OTHER
    _refusals.count(refusal.code)
    return codec.refused(refusal, exchange)


def _whose(exchange: Exchange) -> dict[str, str]:
    return {"request_id": exchange.incoming.request_id, "tenant": exchange.incoming.tenant}


def _known(param: str | None, surface: Surface) -> str | None:
    """The parameter for the log, if the name is the API's: names that a client made up may say anything."""
    return param if param and re.split(r"[.\[]", param)[0] in surface.parameters else None


def _listen(listener: QueueListener, snapshot: Snapshot) -> None:
    """From the first generation on in which some engine can be full."""
    if snapshot.slots:
        listener.start()


def services(
    holder: Holder,
    states: TargetStates | None = None,
    factors: Factors | None = None,
    counter: Counter | None = None,
    figures: Figures | None = None,
    kept: KeptResponses | None = None,
    budgets: Budgets | None = None,
    allowances: Allowances | None = None,
    replicas: Replicas | None = None,
) -> list[Method]:
    """What a worker serves for this part. Without `states` it listens to the feed, which takes a running loop."""
    factors, counter, kept = factors or Factors(), counter or Counter(), kept or KeptResponses()
    workers = int(os.environ.get(WORKERS_ENV, "1"))
    figures, budgets = figures or Figures(gateway_id(), workers), budgets or Budgets(workers)
    allowances, replicas = allowances or Allowances(workers), replicas or Replicas()
    targets = states or feed.start(factors, figures, allowances, replicas)
    holder.add(partial(warm, counter, holder.following))
    holder.add(Purses)
    holder.add(budgets.connect)
    full = FullEngines()
    holder.add(partial(_listen, QueueListener(counters_address(), full.take)))

    def process(call: Metadata) -> Process | Attempt | TranslatedAnswer | WatchedAnswer:
        role = call.header(ROLE)
        if role == WATCH_ROLE:
            return WatchedAnswer(kept)
        if role is not None:
            return Attempt(kept) if role == ATTEMPT_ROLE else TranslatedAnswer()
        # A call ends with the generation that it began with.
        tables = holder.current

        def keep_within(exchange: Exchange) -> Awaitable[None]:
            return budgets.keep_within(exchange, tables.of(Purses), call.header(EPOCH) or "")

        def reserve(exchange: Exchange) -> Decision | Awaitable[Decision]:
            return holder.reserve(ask_of(exchange, call.header(EPOCH) or ""), call)

        return Process(
            tables,
            holder.following,
            targets.of,
            counter,
            tracing.begin("extproc", call),
            factor_of=factors.of,
            is_full=full.is_full,
            figures=figures,
            allowances=allowances,
            replicas=replicas,
            kept=kept,
            keep_within=keep_within,
            reserve=reserve,
        )

    return [Method(codec.SERVICE, codec.METHOD, process, codec.decode, streams=True)]
