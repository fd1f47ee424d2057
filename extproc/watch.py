"""The answer to a request whose response or completion its provider keeps: its maker is noted before its id is known.

One call for the head and as many of the first pieces as it takes; the rest of the answer passes without it. Whatever
goes wrong, the answer goes on: its id will not be known here then, and nobody is sent anywhere by a guess.
"""

from collections.abc import Awaitable

import structlog

from extproc import attempt_codec as codec
from extproc.exchange import Maker
from extproc.kept import KeptResponses, is_id
from extproc.response_id import ResponseId
from extproc.watch_codec import Watched, stored, watched
from headgate import metrics
from headgate.counters.client import Unavailable
from headgate.grpc_server import Reply

log = structlog.get_logger()

_noted, _unread, _lost = (metrics.RESPONSES_KEPT.labels(how) for how in ("noted", "unread", "lost"))


class WatchedAnswer:
    """One call with an answer's beginning."""

    def __init__(self, kept: KeptResponses) -> None:
        self._kept = kept
        self._what: Watched | None = None
        self._id: ResponseId | None = None

    def on_message(self, message: codec.Message) -> Reply | Awaitable[Reply]:
        """Answers the next message of Envoy's."""
        part = codec.kind(message)
        if part == "response_headers" and self._what is None:
            return self._begin(codec.head_of(message), watched(message))
        if part == "response_body" and self._id and self._what:
            return self._look(*codec.piece_of(message), self._id, self._what)
        return None, True

    def _begin(self, head: codec.AnswerHead, what: Watched) -> Reply:
        streams = head.content_type.startswith("text/event-stream")
        keeps = f",{what.provider}," in what.providers
        if head.status != 200 or head.ends or not keeps or head.content_encoding not in ("", "identity"):
            return codec.GO_ON, True
        if self._kept.is_away(what.tenant):
            _lost.inc()
            return stored("false"), True
        self._what = what
        self._id = ResponseId(streams=streams, at=(b"id",) if what.is_chat else (b"response", b"id"))
        return codec.GO_ON if what.is_listed else stored("unlisted"), False

    def _look(self, data: bytes, last: bool, found: ResponseId, what: Watched) -> Reply | Awaitable[Reply]:
        response_id = found.feed(data)
        if response_id is not None and is_id(response_id):
            return self._note(response_id, what)
        if response_id is None and not last and not found.gave_up:
            return codec.PIECE_GOES_ON, False
        log.warning("a response has no id that can be kept", provider=what.provider, tenant=what.tenant)
        _unread.inc()
        return codec.PIECE_GOES_ON, True

    async def _note(self, response_id: str, what: Watched) -> Reply:
        maker = Maker(what.model, what.provider, what.upstream_model, what.key, what.replica)
        try:
            await self._kept.note(what.tenant, response_id, maker, "completions" if what.is_chat else "responses")
        except Unavailable as gone:
            log.warning("who made a response is not kept", tenant=what.tenant, reason=gone.reason)
            _lost.inc()
        else:
            _noted.inc()
        return codec.PIECE_GOES_ON, True
