"""Before everything else: who asks. Without a valid identity from authz every path is 401, also those that lead
nowhere.

The outermost layer of the app, so it is also where what nobody expected becomes a 500 without details, and where
answers get the headers that keep browsers from doing anything with them.
"""

import re
import time
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control.problems import Problem, secret_away
from headgate.auth_secrets import SecretAway
from headgate.contract import IDENTITY_HEADER
from headgate.identity import BadIdentity, Identity, verify

OPENAPI = "/admin/v1/openapi.json"
IDENTITY = "headgate.identity"  # in the scope
_SECURE = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_ENCODED_SLASH = re.compile(rb"%(2f|5c)", re.IGNORECASE)

log = structlog.get_logger()


Told = Callable[[Problem, str | None], Response]


class Authentication:
    """`service_key` is asked for each request: it may be replaced while the process runs.

    `note_use` is told who asks, of each request with a valid identity. `told` makes an answer
    of a problem and the request's id.
    """

    def __init__(
        self,
        app: ASGIApp,
        service_key: Callable[[], bytes],
        note_use: Callable[[Identity], None],
        clock: Callable[[], float] = time.time,
        told: Told = Problem.response,
    ) -> None:
        self._app, self._service_key, self._note_use, self._clock = app, service_key, note_use, clock
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; other kinds of connections have no place here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        answering = _Answering(send)
        if scope["method"] == "GET" and scope["path"] == OPENAPI:
            await self._through(scope, receive, answering, None)
            return
        try:
            identity = self._identified(scope)
        except SecretAway as away:
            log.error("nobody can be let in: the service key can't be read", file=str(away))  # noqa: TRY400 - a state, no bug
            await self._told(secret_away(), None)(scope, receive, answering)
            return
        if identity is None:
            problem = Problem(401, "unauthenticated", "expected a valid key or token", headers=_CHALLENGE)
            await self._told(problem, None)(scope, receive, answering)
            return
        self._note_use(identity)
        answering.request_id = identity.request_id
        if _ENCODED_SLASH.search(scope.get("raw_path") or b""):  # routes go by decoded paths: a name must not be two
            problem = Problem(404, "not_found", "expected no encoded slash: a model's name has its own as they are")
            await self._told(problem, identity.request_id)(scope, receive, answering)
            return
        scope[IDENTITY] = identity
        await self._through(scope, receive, answering, identity)

    def _identified(self, scope: Scope) -> Identity | None:
        given = Headers(scope=scope).getlist(IDENTITY_HEADER)
        if len(given) != 1:
            return None
        path = scope.get("raw_path") or scope["path"].encode()
        query = scope.get("query_string", b"")
        whole = (path + b"?" + query if query else path).decode("latin-1")
        now_ms = round(self._clock() * 1000)
        try:
            return verify(given[0], self._service_key(), method=scope["method"], path=whole, now_ms=now_ms)
        except BadIdentity as error:
            log.warning("a request without a valid identity", problem=str(error))
            return None

    async def _through(self, scope: Scope, receive: Receive, send: "_Answering", identity: Identity | None) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:  # the process's boundary: one request fails, and its id leads to why
            request_id = identity.request_id if identity else None
            log.exception("the admin API failed", request_id=request_id, method=scope["method"])
            if send.started:
                raise
            problem = Problem(500, "internal_error", "the gateway failed; its log says why, by the request id")
            await self._told(problem, request_id)(scope, receive, send)


_CHALLENGE = {"www-authenticate": 'Bearer realm="headgate"'}


class _Answering:
    """Sends, with the headers that every answer has."""

    def __init__(self, send: Send) -> None:
        self._send, self.started = send, False
        self.request_id: str | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in _SECURE.items():
                headers[name] = value
            if self.request_id:
                headers["x-request-id"] = self.request_id
        await self._send(message)
