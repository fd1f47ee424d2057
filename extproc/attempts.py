"""Attempts at targets: their requests, and what becomes of answers in another API than the client's.

One call is among each provider cluster's upstream filters: it makes an attempt's request from the body that Envoy has
kept, and translates answers that come whole. Streams are translated by another call, in front of the router: Envoy
must not be given pieces among upstream filters when the provider has ended its answer already (docs/architecture.md).
Everything that they have to know comes with the request: another worker may have planned it.
"""

import time
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, replace

import structlog

from extproc import attempt_codec as codec
from extproc.attempt_answer import Answer, Context, answer_of
from extproc.attempt_rows import AttemptRow, AttemptRows, decoded
from extproc.body import read
from extproc.fit import header_text
from extproc.kept import KeptResponses
from extproc.native import is_native, native_fit
from extproc.refusal import Refusal
from extproc.same_api import Wanted, write_same_api
from extproc.stored_answer import Owner, StoredAnswer
from extproc.surface import Surface
from extproc.surfaces import BY_NAME, CHAT_LIST, SHOW_STORED
from extproc.translate import direction_of, failures_of
from extproc.translate.direction import Direction, Known, ProviderRequest, Target
from extproc.translate.failure import Failure
from headgate import metrics
from headgate.contract import DROPPED, MAX_TOKENS
from headgate.error_shapes import Problem, rendered
from headgate.grpc_server import Reply

log = structlog.get_logger()

_failures = metrics.FAILURES.labels("extproc")
_show_stored = frozenset(surface.name for surface in SHOW_STORED)


class TranslatedAnswer:
    """One call with an answer: its head, then its pieces."""

    def __init__(self) -> None:
        self._answer: Answer | None = None
        self._has_body = False

    def on_message(self, message: codec.Message) -> Reply:
        """Answers the next message of Envoy's."""
        part = codec.kind(message)
        if self._answer is None:
            return self.begin(message, _Attempted.of(codec.answered(message)))
        if part == "response_body":
            self._has_body = True
            return self._answer.take(*codec.piece_of(message))
        if part == "response_trailers":
            return self._ended_by_trailers(self._answer)
        return None, True

    def begin(self, message: codec.Message, attempted: "_Attempted") -> Reply:
        """Takes the head."""
        self._answer, reply = answer_of(codec.head_of(message), attempted.context())
        return reply

    def _ended_by_trailers(self, answer: Answer) -> Reply:
        """Trailers end a body whose last piece said nothing of it; where there is none, pieces have no place."""
        if not self._has_body:
            return answer.end_without_body()
        replies, _ = answer.take(b"", True)
        rest = [replies] if isinstance(replies, bytes) else replies or []
        return [*map(codec.before_trailers, rest), codec.TRAILERS], True


class Attempt:
    """One call with a request; with its answer too, if that comes whole and has to be translated or changed."""

    def __init__(self, kept: KeptResponses) -> None:
        self._kept = kept
        self._what: codec.Attempted | None = None
        self._attempted: _Attempted | None = None
        self._answer: TranslatedAnswer | StoredAnswer | None = None

    def on_message(self, message: codec.Message) -> Reply | Awaitable[Reply]:
        """Answers the next message of Envoy's."""
        if self._answer is not None:
            return self._answer.on_message(message)
        part = codec.kind(message)
        if part == "request_headers":
            self._what = what = codec.attempted(message)
            if what.surface in _show_stored:
                self._answer = StoredAnswer(what.request_id, self._owner(what))
            return codec.CONTINUE, not what.attempts
        if part == "request_body" and self._what:
            return self._request(self._what, codec.body_of(message))
        if part == "response_headers" and self._attempted:
            self._answer = answer = TranslatedAnswer()
            return answer.begin(message, self._attempted)
        return None, True

    def _owner(self, what: codec.Attempted) -> Owner | None:
        if what.surface != CHAT_LIST.name:
            return None
        return Owner(what.tenant, decoded(what.attempts).rows[0].provider, self._kept, what.key_models)

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
        rows, row, surface = _planned(what)
        document = read(body, what.content_type, surface)
        if is_native(row, surface):
            fit = native_fit(row, surface, document.values)
            marks = what.marks if row.stored else {}
            wanted = Wanted(row.model, row.usage, rows.asked_usage, rows.asked_each, fit, marks)
            write_same_api(document, surface, wanted)
            if marks and not rows.streams:
                self._answer = StoredAnswer(what.request_id)
            return codec.request(document.render(), surface.path), self._answer is None
        target = Target(row.provider, row.model, row.usage, row.max_output_tokens, row.preset)
        sent = _direction(surface, row).request(document.values, target)
        what = replace(
            what,
            notes=tuple(_notes(sent)),
            functions=bool(document.get("functions")),
            as_base64=document.get("encoding_format") == "base64",
            echo=sent.echo,
        )
        self._attempted = _Attempted.of(what)
        return codec.request(sent.body, sent.path, sent.headers, what=what), rows.streams


@dataclass(frozen=True, slots=True)
class _Attempted:
    """What was sent to a target of another API, for when its answer comes."""

    what: codec.Attempted
    rows: AttemptRows
    row: AttemptRow
    surface: Surface

    @classmethod
    def of(cls, what: codec.Attempted) -> "_Attempted":
        """As the plan has it."""
        return cls(what, *_planned(what))

    def context(self) -> Context:
        """What the answer's translation goes by."""
        what = self.what
        return Context(
            direction=_direction(self.surface, self.row),
            api=self.surface.api,
            known=Known(
                what.request_id,
                int(time.time()),
                what.functions,
                what.as_base64,
                what.echo,
                self.row.model,
            ),
            streams=self.rows.streams,
            notes=what.notes,
            failure_of=self._failure_of,
            report=self._report,
        )

    def _failure_of(self, status: int, body: bytes) -> Failure:
        return failures_of(self.row.api)(status, body, self.row.provider)

    def _report(self, failure: Failure, begun: bool) -> None:
        log.warning(
            "provider failed in its answer",
            request_id=self.what.request_id,
            provider=self.row.provider,
            attempt=self.what.number,
            kind=failure.kind,
            begun=begun,
            problem=failure.message if failure.kind == "malformed" else None,
        )
        metrics.FAILED_ANSWERS.labels(self.row.provider, failure.kind).inc()


def _planned(what: codec.Attempted) -> tuple[AttemptRows, AttemptRow, Surface]:
    rows = decoded(what.attempts)
    return rows, rows.rows[min(what.number, len(rows.rows)) - 1], BY_NAME[what.surface]


def _direction(surface: Surface, row: AttemptRow) -> Direction:
    direction = direction_of(surface.name, row.api)
    if direction is None:
        raise LookupError(f"no way from {surface.name} to {row.api}")
    return direction


def _notes(sent: ProviderRequest) -> Iterator[tuple[str, str]]:
    """Headers for the client: what was changed of its request."""
    if sent.dropped:
        yield DROPPED, header_text(sent.dropped)
    if sent.max_tokens is not None:
        yield MAX_TOKENS, str(sent.max_tokens)


def _shown(refusal: Refusal, what: codec.Attempted) -> bytes:
    problem = Problem(refusal.status, refusal.message, refusal.kind, refusal.param, refusal.code)
    return rendered(BY_NAME[what.surface].api, problem, what.request_id)
