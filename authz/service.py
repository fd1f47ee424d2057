"""The ext_authz service: decodes, decides, answers. Replies for known keys are made once per key and snapshot."""

import time
from collections.abc import Awaitable

import structlog

from authz import codec
from authz.caller import Caller, Known
from authz.callers import Callers
from authz.check import check, check_admin, check_usage, credentials_of
from authz.refusal import NO_SERVICE_KEY, Refusal, too_many
from authz.waiting import Waiting
from headgate import tracing
from headgate.auth_secrets import SecretAway
from headgate.contract import ADMIN_OPENAPI, ADMIN_PATH
from headgate.endpoints import is_about_usage
from headgate.grpc_server import Metadata, Method
from headgate.identity import Identity, sign
from headgate.log_rate import LogRate
from headgate.refusals import AUTHZ_REASONS, Refusals
from headgate.tables import Holder

log = structlog.get_logger()

_ADMIN = ADMIN_PATH.rstrip("/")


class Authorization:
    """envoy.service.auth.v3.Authorization."""

    def __init__(self, holder: Holder) -> None:
        holder.add(Callers)
        self._holder = holder
        self._refusals = Refusals("authz", AUTHZ_REASONS)
        self._waiting = Waiting()
        self._log_rate = LogRate()

    def check(self, question: codec.Question, call: Metadata) -> bytes | Awaitable[bytes]:
        """Answers one CheckRequest."""
        span = tracing.begin("authz", call)
        if question.path == ADMIN_OPENAPI and question.method == "GET":
            return codec.allow_admin(None)
        callers, now = self._holder.current.of(Callers), time.time()
        verdict = self._verdict(question, callers, now)
        if isinstance(verdict, Refusal) and (waits := _until_fetched(verdict, question, callers, now)):
            return self._later(waits, question, span)
        return self._answered(verdict, question, callers, span, now)

    async def _later(self, waits: Awaitable[None], question: codec.Question, span: tracing.Span | None) -> bytes:
        """Decides once more, when the keys of a token's issuer may have come."""
        await waits
        callers, now = self._holder.current.of(Callers), time.time()
        answer = self._answered(self._verdict(question, callers, now), question, callers, span, now)
        return answer if isinstance(answer, bytes) else await answer

    def _verdict(self, question: codec.Question, callers: Callers, now: float) -> Known | Refusal:
        following = self._holder.following

        def find(credential: str) -> Known | str:
            return callers.find(credential, following, now)

        client = callers.find_client(question.certificate, following, now)
        if _is_admin(question):
            return check_admin(find, question.headers, client)
        if is_about_usage(question.path):
            return check_usage(find, question.headers, question.path, client)
        return check(find, question.headers, question.path, client)

    def _answered(
        self,
        verdict: Known | Refusal,
        question: codec.Question,
        callers: Callers,
        span: tracing.Span | None,
        now: float,
    ) -> bytes | Awaitable[bytes]:
        if isinstance(verdict, Refusal):
            if span:
                span.end(headgate__refusal=verdict.reason)
            return self._refuse(verdict, question)
        if span:
            span.end(headgate__tenant=verdict.caller.tenant or "")
        if _is_admin(question) or is_about_usage(question.path):
            return self._for_control(verdict.caller, callers, question, now)
        if verdict.answer is None:
            verdict.answer = codec.allow(verdict.caller, callers.generation)
        return verdict.answer

    def _for_control(self, caller: Caller, callers: Callers, question: codec.Question, now: float) -> bytes:
        identity = Identity(
            caller.kind,
            caller.id,
            caller.tenant,
            caller.role,
            caller.memberships,
            question.request_id,
            question.source_address,
            question.method,
            question.path,
            int(now * 1000),
            caller.models if is_about_usage(question.path) else None,  # the admin API has no use for them
        )
        try:
            return codec.allow_admin(sign(identity, callers.secrets.service_key()))
        except SecretAway as error:
            log.error("service key is not there", path=str(error))  # noqa: TRY400 - nothing but its path is to tell
            return self._answer(NO_SERVICE_KEY, question)

    def _refuse(self, refusal: Refusal, question: codec.Question) -> bytes | Awaitable[bytes]:
        """Now, or later if many bad keys have come from there."""
        address = question.source_address if refusal.is_mistake else ""
        if not address:
            return self._answer(refusal, question)

        def refused(retry_after_s: int | None) -> bytes:
            told = refusal if retry_after_s is None else too_many(refusal.reason, retry_after_s)
            return self._answer(told, question)

        return self._waiting.refuse(address, time.monotonic(), refused)

    def _answer(self, refusal: Refusal, question: codec.Question) -> bytes:
        if (more := self._log_rate.line()) is not None:
            log.info("refused", request_id=question.request_id, status=refusal.status, code=refusal.code, **more)
        self._refusals.count(refusal.reason)
        return codec.deny(refusal, question)


def _is_admin(question: codec.Question) -> bool:
    return question.path.startswith(_ADMIN) and question.api == "admin"


def _until_fetched(
    refusal: Refusal, question: codec.Question, callers: Callers, now: float
) -> Awaitable[None] | None:
    credentials = credentials_of(question.headers)
    return callers.until_fetched(credentials[0], refusal.reason, now) if credentials else None


def services(holder: Holder) -> list[Method]:
    """What a worker serves for this part."""
    return [Method(codec.SERVICE, codec.METHOD, Authorization(holder).check, codec.decode, streams=False)]
