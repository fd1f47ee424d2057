"""A provider's answer on its way to a client of another API: whole, streamed, or an error.

The head of an answer is held until it is certain what it is: a failure before that becomes an HTTP status, which
Envoy's router answers with the next attempt; a failure after it is told in the client's stream.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from extproc import attempt_codec as codec
from extproc.attempt_codec import AnswerHead
from extproc.translate.direction import Direction, Known, StreamDecoder
from extproc.translate.failure import Failure
from extproc.translate.problem import problem_of
from headgate.error_shapes import Api, rendered
from headgate.grpc_server import Reply

WHOLE_LIMIT_BYTES = 64 * 2**20
ERROR_LIMIT_BYTES = 256 * 2**10  # what is read of an error; the rest says nothing more

_JSON = ("content-type", "application/json")
# The second is Bedrock's; envoy/module/attempt.c takes it from no other.
_STREAMS = ("text/event-stream", "application/vnd.amazon.eventstream")
_EVENTS = ("content-type", _STREAMS[0])
_BODY_HEADERS = ("content-length", "content-encoding", "transfer-encoding")
_NO_BODY = "The provider answered without a body."
_NOTHING: Reply = (None, False)


@dataclass(frozen=True, slots=True)
class Context:
    """What an answer's translation goes by. `report` is told of failures, and whether the answer had begun."""

    direction: Direction
    api: Api  # the client's
    known: Known
    streams: bool
    notes: tuple[tuple[str, str], ...]  # headers that say how the request was changed
    failure_of: Callable[[int, bytes], Failure]
    report: Callable[[Failure, bool], None]


class Answer(Protocol):
    """An answer that is coming in."""

    def take(self, data: bytes, last: bool) -> Reply:
        """What goes on for a piece of it."""

    def end_without_body(self) -> Reply:
        """What goes on when trailers follow the head: Envoy takes no piece then."""


def answer_of(head: AnswerHead, context: Context) -> tuple[Answer, Reply]:
    """The answer that this head begins, and what goes on for the head alone."""
    if _is_stream(head, context):
        return _StreamedAnswer(context, _type_of(head)), _NOTHING
    if head.status >= 300:
        answer: Answer = _ErrorAnswer(head, context)
        status = _status(head.status, context)
        if head.ends:
            body = _rendered(context.failure_of(head.status, b""), context)
            return answer, (codec.whole(status, [_JSON], body), True)
        return answer, (codec.head(status, [_JSON], _BODY_HEADERS), False)
    if fault := _fault(head, context):
        failure = Failure.of("malformed", fault)
        return _Refused(), _refused(failure, context, has_body=not head.ends)
    if head.input_tokens is not None:
        context = replace(context, known=replace(context.known, input_tokens=head.input_tokens))
    return _WholeAnswer(context), _NOTHING


def _is_stream(head: AnswerHead, context: Context) -> bool:
    """Whether events follow, be they an error's: the decoder tells. envoy/module gives those another status."""
    plain = head.content_encoding in ("", "identity")
    return context.streams and plain and not head.ends and _type_of(head) in _STREAMS


def _fault(head: AnswerHead, context: Context) -> str | None:
    """What makes a head with status 200 none of an answer."""
    wanted = _STREAMS if context.streams else ("application/json",)
    found = _type_of(head)
    if found not in wanted:
        return f"The provider answered with '{found[:80]}' where '{wanted[0]}' was expected."
    if head.content_encoding not in ("", "identity"):
        return "The provider answered with a compressed body, which nobody had asked for."
    if head.status != 200 or head.ends:
        return _NO_BODY
    return None


def _type_of(head: AnswerHead) -> str:
    return head.content_type.partition(";")[0].strip()


class _WholeAnswer:
    """A JSON answer: translated once all of it is there."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, data: bytes, last: bool) -> Reply:
        """Collects; the last piece is answered with everything."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > WHOLE_LIMIT_BYTES:
            return _refused(
                Failure.of("malformed", "The provider's answer is too large to be translated."), self._context
            )
        if not last:
            return _NOTHING
        context = self._context
        body = context.direction.whole(b"".join(self._pieces), context.known)
        if isinstance(body, Failure):
            return _refused(body, context)
        headers = [_JSON, *context.notes]
        return [codec.head(200, headers, _BODY_HEADERS), codec.piece(body, last=True)], True

    def end_without_body(self) -> Reply:
        """No answer."""
        return _nothing(self._context)


class _StreamedAnswer:
    """A stream of events: held until the answer itself has begun, then piece by piece."""

    def __init__(self, context: Context, media_type: str) -> None:
        self._context = context
        self._headers = [*context.notes, *([] if media_type == _STREAMS[0] else [_EVENTS])]
        self._decoder: StreamDecoder = context.direction.stream(context.known)
        self._held: list[bytes] | None = []  # None once the head has gone on

    def take(self, data: bytes, last: bool) -> Reply:
        """What the decoder makes of it."""
        decoder = self._decoder
        out = decoder.feed(data) if data else b""
        if last and decoder.failure is None:
            out += decoder.end()
        if decoder.failure is not None:
            return self._failed(decoder.failure, out)
        if self._held is None:
            return (codec.piece(out, last=last) if out or last else None), last
        self._held.append(out)
        if not (decoder.started or last):
            return _NOTHING
        begun, self._held = b"".join(self._held), None
        return [codec.head(200, self._headers, _BODY_HEADERS), codec.piece(begun, last=last)], last

    def end_without_body(self) -> Reply:
        """No answer."""
        return _nothing(self._context)

    def _failed(self, failure: Failure, out: bytes) -> Reply:
        if self._held is not None:
            return _refused(failure, self._context)
        self._context.report(failure, True)
        return codec.piece(out, last=True), True


class _ErrorAnswer:
    """An error: its head has gone on by now, its body in the client's shape follows."""

    def __init__(self, head: AnswerHead, context: Context) -> None:
        self._status, self._context = head.status, context
        self._body = b""

    def take(self, data: bytes, last: bool) -> Reply:
        """Collects; the last piece is answered with the error."""
        if len(self._body) < ERROR_LIMIT_BYTES:
            self._body += data
        if not last:
            return _NOTHING
        failure = self._context.failure_of(self._status, self._body)
        return codec.piece(_rendered(failure, self._context), last=True), True

    def end_without_body(self) -> Reply:
        """The status is all there is."""
        return codec.TRAILERS, True


class _Refused:
    """Nothing of it is wanted."""

    def take(self, data: bytes, last: bool) -> Reply:  # noqa: ARG002
        """Nothing goes on."""
        return None, last

    def end_without_body(self) -> Reply:
        """Nothing goes on."""
        return None, True


def _nothing(context: Context) -> Reply:
    """The answer has turned out to be its head alone."""
    return _refused(Failure.of("malformed", _NO_BODY), context, has_body=False)


def _refused(failure: Failure, context: Context, *, has_body: bool = True) -> Reply:
    """The answer is an error from its head on."""
    context.report(failure, False)
    body = _rendered(failure, context)
    if not has_body:
        return codec.whole(_status(failure.status, context), [_JSON], body), True
    return [
        codec.head(_status(failure.status, context), [_JSON], _BODY_HEADERS),
        codec.piece(body, last=True),
    ], True


def _status(status: int, context: Context) -> int:
    """529 is Anthropic's own; a redirect is nothing that a client of ours could follow."""
    if status < 400:
        return 502
    return 503 if status == 529 and context.api == "openai" else status


def _rendered(failure: Failure, context: Context) -> bytes:
    problem = problem_of(failure, _status(failure.status, context))
    return rendered(context.api, problem, context.known.request_id)
