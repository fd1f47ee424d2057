"""The ext_proc service: one short gRPC stream per request, closed with the plan.

Closing it is what lets an answer outlive this process: nothing of a running stream depends on Python.
"""

from collections.abc import AsyncIterator

import structlog

from extproc import codec
from extproc.exchange import Exchange
from extproc.refusal import Refusal
from extproc.steps import ON_BODY, ON_HEADERS, Step, run
from headgate.snapshot import Snapshot
from headgate.wire.ext_proc_pb2 import ProcessingRequest
from headgate.worker import Method

log = structlog.get_logger()


class ExternalProcessor:
    """envoy.service.ext_proc.v3.ExternalProcessor over one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    async def process(self, messages: AsyncIterator[ProcessingRequest], _context: object) -> AsyncIterator[bytes]:
        """Headers, then the body; the answer to the body is the plan and the last word."""
        exchange: Exchange | None = None
        async for message in messages:
            if exchange is None:
                if not codec.has_headers(message):
                    return
                exchange = Exchange(codec.incoming(message), self._snapshot)
                answer = self._on_headers(exchange, ends_here=codec.ends_here(message))
                yield answer or codec.CONTINUE
                if answer:
                    return
            else:
                body = codec.body_of(message)
                if body is not None:
                    exchange.raw_body = body
                    yield self._on_body(exchange)
                return

    def _on_headers(self, exchange: Exchange, *, ends_here: bool) -> bytes | None:
        answer = self._run(ON_HEADERS, exchange)
        # Without a body to come, the steps for it say what is missing.
        return self._on_body(exchange) if answer is None and ends_here else answer

    def _on_body(self, exchange: Exchange) -> bytes:
        return self._run(ON_BODY, exchange) or codec.planned(exchange.plan, exchange.document.render())

    def _run(self, steps: tuple[Step, ...], exchange: Exchange) -> bytes | None:
        """The steps' answer on the wire; None when they let the request go on."""
        known = {"request_id": exchange.incoming.request_id, "tenant": exchange.incoming.tenant}
        try:
            answer = run(steps, exchange)
        except Refusal as refusal:
            log.info("refused", **known, status=refusal.status, code=refusal.code, param=refusal.param)
            return codec.refused(refusal, exchange.surface)
        except Exception:
            log.exception("failed", **known)
            bug = Refusal("The gateway failed to handle the request. Report its request id.", code="gateway_error")
            return codec.refused(bug, exchange.surface)
        return codec.answered(answer) if answer else None


def services(snapshot: Snapshot) -> list[Method]:
    """What a worker serves for this part."""
    handler = ExternalProcessor(snapshot).process
    return [Method(codec.SERVICE, codec.METHOD, handler, codec.decode, streams=True)]
