"""The ext_proc service: one short gRPC stream per request, closed with the plan.

Closing it is what lets an answer outlive this process: nothing of a running stream depends on Python.
"""

import re
from collections.abc import Callable

import structlog

from extproc import codec
from extproc.exchange import Exchange
from extproc.refusal import Refusal
from extproc.steps import ON_BODY, ON_HEADERS, run
from extproc.surfaces import Surface
from headgate import metrics, tracing
from headgate.grpc_server import Metadata, Method, Reply
from headgate.snapshot import Snapshot
from headgate.spool_room import SpoolRoom
from headgate.tables import Holder

log = structlog.get_logger()

_refusals = metrics.Refusals("extproc", metrics.EXTPROC_REASONS)
_room = SpoolRoom()
_failures = metrics.FAILURES.labels("extproc")


class Process:
    """One call: headers, then the body; the answer to the body is the plan and the last word."""

    def __init__(self, snapshot: Snapshot, span: tracing.Span | None = None) -> None:
        self._snapshot = snapshot
        self._exchange: Exchange | None = None
        self._span = span

    def on_message(self, message: codec.Message) -> Reply:
        """Answers the next message of Envoy's."""
        reply = self._reply(message)
        if self._span and reply[1]:
            _end(self._span, self._exchange)
        return reply

    def _reply(self, message: codec.Message) -> Reply:
        exchange = self._exchange
        if exchange is not None:
            exchange.raw_body = codec.body_of(message)
            return _guarded(_on_body, exchange), True
        short = _room.is_short(self._snapshot.spool.min_free_bytes)
        exchange = self._exchange = Exchange(codec.incoming(message), self._snapshot, spool_is_short=short)
        answer = _guarded(_on_headers, exchange)
        if answer is codec.CONTINUE and codec.ends_here(message):
            answer = _guarded(_on_body, exchange)  # no body will come: the steps say what is missing
        return answer, answer is not codec.CONTINUE


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


def _on_headers(exchange: Exchange) -> bytes:
    """The answer, when the headers are enough for one."""
    answer = run(ON_HEADERS, exchange)
    return codec.answered(answer) if answer else codec.CONTINUE


def _on_body(exchange: Exchange) -> bytes:
    """An answer or the plan."""
    answer = run(ON_BODY, exchange)
    return codec.answered(answer) if answer else codec.planned(exchange.plan, exchange.document.render())


def _guarded(decide: Callable[[Exchange], bytes], exchange: Exchange) -> bytes:
    """What `decide` says; refusals in the client's API shape, our own failures too."""
    known = {"request_id": exchange.incoming.request_id, "tenant": exchange.incoming.tenant}
    try:
        return decide(exchange)
    except Refusal as refusal:
        param = _known(refusal.param, exchange.surface)
        log.info("refused", **known, status=refusal.status, code=refusal.code, param=param)
        exchange.refusal = refusal.code or metrics.OTHER
        _refusals.count(refusal.code)
        return codec.refused(refusal, exchange.surface)
    except Exception:  # the stream's boundary: a bug costs this request, not the worker
        log.exception("failed", **known)
        exchange.refusal = "gateway_error"
        _failures.inc()
        bug = Refusal("The gateway failed to handle the request. Report its request id.", code="gateway_error")
        return codec.refused(bug, exchange.surface)


def _known(param: str | None, surface: Surface) -> str | None:
    """The parameter for the log, if the name is the API's: names that a client made up may say anything."""
    return param if param and re.split(r"[.\[]", param)[0] in surface.parameters else None


def services(holder: Holder) -> list[Method]:
    """What a worker serves for this part."""

    def process(call: Metadata) -> Process:
        # A call ends with the generation that it began with.
        return Process(holder.current.snapshot, tracing.begin("extproc", call))

    return [Method(codec.SERVICE, codec.METHOD, process, codec.decode, streams=True)]
