"""A provider's answer that has stored chat completions in it, on its way to their tenant: one, or a list of them.

It is held until it is whole. The gateway's own pairs are taken out of `metadata`; of a list goes on only what the
counters know as this tenant's at this provider, whatever the provider says. Where nobody can tell, nothing goes on.
"""

from collections.abc import Awaitable
from dataclasses import dataclass

import msgspec
import structlog

from extproc import attempt_codec as codec
from extproc.exchange import Maker
from extproc.kept import KeptResponses
from extproc.stored import without_marks
from extproc.translate.failure import Failure
from extproc.translate.problem import problem_of
from headgate import metrics
from headgate.contract import ERROR_SOURCE
from headgate.counters.client import Unavailable
from headgate.error_shapes import Problem, rendered
from headgate.grpc_server import Reply

log = structlog.get_logger()

LIMIT_BYTES = 64 * 2**20
_BODY_HEADERS = ("content-length", "transfer-encoding")
_AWAY = Problem(
    503,
    "The gateway cannot look up stored completions right now. Retry after a short wait.",
    "server_error",
    code="completion_ids_unavailable",
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose list it is, and which provider's; and the models to which the key is confined that asks."""

    tenant: str
    provider: str
    kept: KeptResponses
    key_models: frozenset[str] | None = None

    def may_see(self, maker: Maker | None) -> bool:
        """Whether what was made by it is the tenant's, and the key's business."""
        if maker is None or maker.provider != self.provider:
            return False
        return self.key_models is None or maker.model in self.key_models


class _Item(msgspec.Struct):
    id: str


_page = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_item = msgspec.json.Decoder(_Item)


class StoredAnswer:
    """The rest of a call after the request's head, where the answer is to be changed. `owner`: of a list."""

    def __init__(self, request_id: str, owner: Owner | None = None) -> None:
        self._request_id = request_id
        self._owner = owner
        self._passes = False
        self._pieces: list[bytes] = []
        self._size = 0

    def on_message(self, message: codec.Message) -> Reply | Awaitable[Reply]:
        """Answers the next message of Envoy's."""
        match codec.kind(message):
            case "request_body":
                return codec.BODY_GOES_ON, False
            case "response_headers":
                return self._begin(codec.head_of(message))
            case "response_body":
                return self._take(*codec.piece_of(message))
            case "response_trailers":
                return (codec.TRAILERS, True) if self._passes else self._finish(trailers=True)
        return None, True

    def _begin(self, head: codec.AnswerHead) -> Reply:
        is_json = head.content_type.partition(";")[0].strip() == "application/json"
        self._passes = head.status != 200 or head.ends or not (is_json or self._owner)
        if not self._passes:
            return None, False
        if head.ends and self._owner and head.status == 200:
            status, body = self._malformed("is empty")
            return codec.whole(status, _headers(status), body), True
        # What it says of its length was of the whole; it goes on piece by piece.
        return codec.head(head.status, (), _BODY_HEADERS if not head.ends else ()), head.ends

    def _take(self, data: bytes, last: bool) -> Reply | Awaitable[Reply]:
        if self._passes:
            return codec.piece(data, last=last), last
        self._size += len(data)
        if self._size <= LIMIT_BYTES:
            self._pieces.append(data)
        return self._finish() if last else (None, False)

    def _finish(self, *, trailers: bool = False) -> Reply | Awaitable[Reply]:
        body = b"".join(self._pieces)
        if self._size > LIMIT_BYTES:
            return _sent(*self._malformed("is too large"), trailers=trailers)
        if self._owner:
            return self._filtered(body, self._owner, trailers=trailers)
        try:
            body = without_marks(body)
        except msgspec.MsgspecError:  # then nothing of ours is in it: it goes on as it is
            log.warning("a completion cannot be read", request_id=self._request_id)
        return _sent(200, body, trailers=trailers)

    async def _filtered(self, body: bytes, owner: Owner, *, trailers: bool) -> Reply:
        try:
            found = 200, await _own(body, owner)
        except Unavailable as gone:
            log.warning("stored completions cannot be looked up", tenant=owner.tenant, reason=gone.reason)
            found = _AWAY.status, rendered("openai", _AWAY, self._request_id)
        except (msgspec.MsgspecError, KeyError):
            metrics.FAILED_ANSWERS.labels(owner.provider, "malformed").inc()
            found = self._malformed("is no list of completions")
        return _sent(*found, trailers=trailers)

    def _malformed(self, what: str) -> tuple[int, bytes]:
        log.warning("provider failed in its answer", request_id=self._request_id, problem=what)
        failure = Failure.of("malformed", f"The provider's answer {what}.")
        return failure.status, rendered("openai", problem_of(failure), self._request_id)


async def _own(body: bytes, owner: Owner) -> bytes:
    """The page with the tenant's own completions. Raises Unavailable, msgspec.MsgspecError, KeyError."""
    page = _page.decode(body)
    items = _items.decode(page["data"])
    ids = [_item.decode(item).id for item in items]
    makers = await owner.kept.makers(owner.tenant, ids, "completions")
    own = [at for at, maker in enumerate(makers) if owner.may_see(maker)]
    if len(own) < len(items) and owner.key_models is None:
        log.warning("a list has completions that are nobody's here", tenant=owner.tenant, items=len(items) - len(own))
    ends = (ids[own[0]], ids[own[-1]]) if own else (None, None)
    page["data"] = msgspec.Raw(b"[" + b",".join(without_marks(items[at]) for at in own) + b"]")
    page |= {
        name: msgspec.Raw(msgspec.json.encode(end)) for name, end in zip(("first_id", "last_id"), ends, strict=True)
    }
    return msgspec.json.encode(page)


def _sent(status: int, body: bytes, *, trailers: bool) -> Reply:
    replies = [codec.head(status, _headers(status), _BODY_HEADERS), codec.piece(body, last=not trailers)]
    return ([*replies, codec.TRAILERS] if trailers else replies), True


def _headers(status: int) -> list[tuple[str, str]]:
    headers = [("content-type", "application/json")]
    if status != 200:
        headers.append((ERROR_SOURCE, "gateway" if status == _AWAY.status else "provider"))
    return headers
