"""One attempt at one target: the ext_proc call among a provider cluster's upstream filters.

Its request is made from the body that Envoy has kept; when the target speaks another API its answer is translated
too. Everything that it has to know comes with the request: another worker may have planned it.
"""

import asyncio
import time
from collections.abc import Iterator

import structlog

from extproc import attempt_codec as codec
from extproc.attempt_answer import Answer, Context, StreamedAnswer, answer_of
from extproc.attempt_rows import AttemptRow, AttemptRows, decoded
from extproc.document import Document
from extproc.refusal import Refusal
from extproc.same_api import Wanted, write_same_api
from extproc.surfaces import BY_NAME, Surface
from extproc.translate import direction_of, failures_of
from extproc.translate.direction import Direction, Known, ProviderRequest, Target
from extproc.translate.failure import Failure
from headgate import metrics
from headgate.contract import DROPPED, MAX_TOKENS
from headgate.error_shapes import Problem, rendered
from headgate.grpc_server import Metadata, Reply

log = structlog.get_logger()

_failures = metrics.FAILURES.labels("extproc")
_HELD_SHARE = 0.8  # of the time that a target has for its head
_HEADER_LIMIT = 1_000  # characters of `x-headgate-dropped`


class Attempt:
    """One call. For a target that speaks the client's API it ends with the request, otherwise with the answer."""

    def __init__(self, call: Metadata) -> None:
        self._call = call
        self._began = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._what: codec.Attempted | None = None
        self._translation: _Translation | None = None
        self._answer: Answer | None = None

    def on_message(self, message: codec.Message) -> Reply:
        """Answers the next message of Envoy's."""
        if self._answer is not None:  # by far the most are pieces of an answer
            return self._of_answer(message)
        part = codec.kind(message)
        if part == "request_headers":
            self._what = what = codec.attempted(message)
            return codec.CONTINUE, not what.attempts
        if part == "request_body" and self._what:
            return self._request(self._what, codec.body_of(message))
        if part == "response_headers" and self._translation:
            self._answer, reply = answer_of(codec.head_of(message), self._translation.context())
            if isinstance(self._answer, StreamedAnswer) and self._translation.headers_ms:
                self._let_go_in_time(self._answer, self._translation.headers_ms)
            return reply
        return None, True

    def _let_go_in_time(self, answer: StreamedAnswer, headers_ms: int) -> None:
        """Envoy gives up on a target whose head it has not seen in time, and this one has sent it."""
        left_s = headers_ms * _HELD_SHARE / 1000 - (time.monotonic() - self._began)
        self._timer = asyncio.get_running_loop().call_later(max(0.0, left_s), self._let_go, answer)

    def _let_go(self, answer: StreamedAnswer) -> None:
        head = answer.let_go()
        if head is not None:
            self._call.push(head)

    def _of_answer(self, message: codec.Message) -> Reply:
        if self._timer and isinstance(self._answer, StreamedAnswer) and not self._answer.is_held:
            self._timer.cancel()
            self._timer = None
        if self._answer and codec.kind(message) == "response_body":
            return self._answer.take(*codec.piece_of(message))
        if self._answer and codec.kind(message) == "response_trailers":
            return self._ended_by_trailers(self._answer)
        return None, True

    def _ended_by_trailers(self, answer: Answer) -> Reply:
        """Trailers end a body whose last piece said nothing of it."""
        replies, _ = answer.take(b"", True)
        rest = [replies] if isinstance(replies, bytes) else replies or []
        return [*rest, codec.TRAILERS], True

    def _request(self, what: codec.Attempted, body: bytes) -> Reply:
        try:
            return self._made(what, body)
        except Refusal as refusal:  # the plan leaves such targets out: what it cannot see is a client's mistake
            log.info("refused", request_id=what.request_id, status=refusal.status, code=refusal.code)
            return codec.refused(refusal.status, _shown(refusal, what)), True
        except Exception:  # a bug costs this attempt
            log.exception("failed", request_id=what.request_id, attempt=what.number)
            _failures.inc()
            bug = Refusal("The gateway failed to handle the request. Report its request id.", code="gateway_error")
            return codec.refused(bug.status, _shown(bug, what)), True

    def _made(self, what: codec.Attempted, body: bytes) -> Reply:
        rows, surface = decoded(what.attempts), BY_NAME[what.surface]
        row = rows.rows[min(what.number, len(rows.rows)) - 1]
        document = Document(body)
        if row.api == surface.api:
            return _same_api(document, surface, row, rows), True
        direction = direction_of(surface.name, row.api)
        if direction is None:
            raise LookupError(f"no way from {surface.name} to {row.api}")
        sent = direction.request(document.values, Target(row.provider, row.model, row.usage, row.max_output_tokens))
        self._translation = _Translation(
            what, row, rows, surface, direction, sent, functions=bool(document.get("functions"))
        )
        return codec.request(sent.body, sent.path, sent.headers), False


class _Translation:
    """What was sent to a target of another API, for when its answer comes."""

    def __init__(
        self,
        what: codec.Attempted,
        row: AttemptRow,
        rows: AttemptRows,
        surface: Surface,
        direction: Direction,
        sent: ProviderRequest,
        *,
        functions: bool,
    ) -> None:
        self._what, self._row, self._rows = what, row, rows
        self._surface, self._direction, self._notes = surface, direction, tuple(_notes(sent))
        self._functions = functions
        self.headers_ms = rows.headers_ms

    def context(self) -> Context:
        """What the answer's translation goes by."""
        return Context(
            direction=self._direction,
            api=self._surface.api,
            known=Known(self._what.request_id, int(time.time()), functions=self._functions),
            streams=self._rows.streams,
            notes=self._notes,
            failure_of=self._failure_of,
            report=self._report,
        )

    def _failure_of(self, status: int, body: bytes) -> Failure:
        return failures_of(self._row.api)(status, body, self._row.provider)

    def _report(self, failure: Failure, begun: bool) -> None:
        row, what = self._row, self._what
        log.warning(
            "provider failed in its answer",
            request_id=what.request_id,
            provider=row.provider,
            attempt=what.number,
            kind=failure.kind,
            begun=begun,
            problem=failure.message if failure.kind == "malformed" else None,
        )
        metrics.FAILED_ANSWERS.labels(row.provider, failure.kind).inc()


def _notes(sent: ProviderRequest) -> Iterator[tuple[str, str]]:
    """Headers for the client: what was changed of its request."""
    if sent.dropped:
        names = ", ".join(sent.dropped)
        yield DROPPED, names if len(names) <= _HEADER_LIMIT else f"{names[:_HEADER_LIMIT].rpartition(', ')[0]}, ..."
    if sent.max_tokens is not None:
        yield MAX_TOKENS, str(sent.max_tokens)


def _same_api(document: Document, surface: Surface, row: AttemptRow, rows: AttemptRows) -> bytes:
    write_same_api(document, surface, Wanted(row.model, row.usage, rows.asked_usage, rows.asked_each))
    return codec.request(document.render(), surface.path, ())


def _shown(refusal: Refusal, what: codec.Attempted) -> bytes:
    problem = Problem(refusal.status, refusal.message, refusal.kind, refusal.param, refusal.code)
    return rendered(BY_NAME[what.surface].api, problem, what.request_id)
