"""The ext_authz service: decodes, decides, answers. Replies for known keys are made once per key and snapshot."""

import time

import structlog

from authz import codec
from authz.check import Refusal, check
from authz.keys import KeyTable
from headgate import metrics, tracing
from headgate.grpc_server import Metadata, Method
from headgate.snapshot import Snapshot
from headgate.tables import Holder

log = structlog.get_logger()


class Callers:
    """What one snapshot says of who may call."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.keys = KeyTable(snapshot.keys)
        self.generation = snapshot.generation
        self.allowed: dict[bytes, bytes] = {}


class Authorization:
    """envoy.service.auth.v3.Authorization."""

    def __init__(self, holder: Holder) -> None:
        holder.add(Callers)
        self._holder = holder
        self._refusals = metrics.Refusals("authz", metrics.AUTHZ_REASONS)

    def check(self, question: codec.Question, call: Metadata) -> bytes:
        """Answers one CheckRequest."""
        span = tracing.begin("authz", call)
        callers = self._holder.current.of(Callers)
        verdict = check(callers.keys, question.headers, question.path, time.time())
        if isinstance(verdict, Refusal):
            log.info("refused", request_id=question.request_id, status=verdict.status, code=verdict.code)
            self._refusals.count(verdict.reason)
            if span:
                span.end(headgate__refusal=verdict.reason)
            return codec.deny(verdict, question)
        answer = callers.allowed.get(verdict.digest)
        if answer is None:
            answer = callers.allowed[verdict.digest] = codec.allow(verdict, callers.generation)
        if span:
            span.end(headgate__tenant=verdict.tenant)
        return answer


def services(holder: Holder) -> list[Method]:
    """What a worker serves for this part."""
    return [Method(codec.SERVICE, codec.METHOD, Authorization(holder).check, codec.decode, streams=False)]
