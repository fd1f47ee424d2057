"""The ext_proc service: one short gRPC stream per request, closed with the plan.

Closing it is what lets an answer outlive this process: nothing of a running stream depends on Python.
"""

import re
from collections.abc import AsyncIterator, Callable

import structlog

from extproc import codec
from extproc.exchange import Exchange
from extproc.refusal import Refusal
from extproc.steps import ON_BODY, ON_HEADERS, run
from extproc.surfaces import Surface
from headgate.snapshot import Snapshot
from headgate.worker import Method

log = structlog.get_logger()


class ExternalProcessor:
    """envoy.service.ext_proc.v3.ExternalProcessor over one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    async def process(self, messages: AsyncIterator[codec.Message], _context: object) -> AsyncIterator[bytes]:
        """Headers, then the body; the answer to the body is the plan and the last word."""
        exchange: Exchange | None = None
        async for message in messages:
            if exchange is None:
                exchange = Exchange(codec.incoming(message), self._snapshot)
                answer = _guarded(_on_headers, exchange)
                if answer is codec.CONTINUE and codec.ends_here(message):
                    answer = _guarded(_on_body, exchange)  # no body will come: the steps say what is missing
                yield answer
                if answer is not codec.CONTINUE:
                    return
            else:
                exchange.raw_body = codec.body_of(message)
                yield _guarded(_on_body, exchange)
                return


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
        return codec.refused(refusal, exchange.surface)
    except Exception:  # the stream's boundary: a bug costs this request, not the worker
        log.exception("failed", **known)
        bug = Refusal("The gateway failed to handle the request. Report its request id.", code="gateway_error")
        return codec.refused(bug, exchange.surface)


def _known(param: str | None, surface: Surface) -> str | None:
    """The parameter for the log, if the name is the API's: names that a client made up may say anything."""
    return param if param and re.split(r"[.\[]", param)[0] in surface.parameters else None


def services(snapshot: Snapshot) -> list[Method]:
    """What a worker serves for this part."""
    handler = ExternalProcessor(snapshot).process
    return [Method(codec.SERVICE, codec.METHOD, handler, codec.decode, streams=True)]
