"""What stands before control's apps on its socket, and answers by itself where they cannot.

Supervisors ask here how control is and for the first admin key, and engines report here what they have of adapters,
on paths that Envoy leads nobody to. While the database is not open, requests are 503 and say why, but for those about
usage, which need none; no answer begins later than `ANSWER_WITHIN_S`.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog

from control.opening import Opening
from control.store.failures import (
    ForeignSchema,
    NewerSchema,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLost,
)
from headgate.adapter_reports import REPORTS
from headgate.auth_secrets import SecretAway
from headgate.contract import ADAPTER_UPLOADS, ADMIN_OPENAPI, ERROR_SOURCE, IDENTITY_HEADER, REQUEST_ID
from headgate.endpoints import is_about_usage
from headgate.error_shapes import Api, Problem, content_type_of, rendered

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

HEALTH, FIRST_KEY = "/health", "/first-key"
ANSWER_WITHIN_S = 25.0  # Envoy waits for 30
_IDENTITY, _ID = IDENTITY_HEADER.encode(), REQUEST_ID.encode()
_JSON = "application/json"
_MOST_REPORT_BYTES = 2**20

# Of a database that can't be opened; StoreAway is the others.
_CODES: Mapping[type[StoreError], str] = {
    NewerSchema: "store_newer",
    ForeignSchema: "store_foreign",
    StoreLost: "store_lost",
    StoreBusy: "store_busy",
    StoreFull: "store_full",
    StoreDamaged: "store_damaged",
}

log = structlog.get_logger()


class Gate:
    """ASGI. `app` gives the admin API's app, `usage` that of what is asked about usage. `first_key` makes that key,
    in a thread; None where there is one. `report` takes what engines say of adapters, in a thread too, and gives a
    status and what to say: JSON, or why not.
    """

    def __init__(
        self,
        opening: Opening,
        app: Callable[[], Awaitable[App]],
        usage: Callable[[], Awaitable[App]],
        first_key: Callable[[], str | None],
        report: Callable[[bytes], tuple[int, bytes]],
    ) -> None:
        self._opening, self._app, self._usage = opening, app, usage
        self._first_key, self._report = first_key, report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        asked = (scope["method"], scope["path"])
        if asked == ("GET", HEALTH):
            await _answer(send, 200, msgspec.json.encode(self._opening.standing))
        elif asked == ("POST", FIRST_KEY):
            await self._give_first_key(send)
        elif asked == ("POST", REPORTS):
            await self._take_report(receive, send)
        elif is_about_usage(scope["path"]):
            await self._pass(self._usage, scope, receive, send)
        elif self._may_pass(scope):
            await self._pass(self._app, scope, receive, send)
        else:
            await _refuse(scope, send, self._why_not())

    def _may_pass(self, scope: Scope) -> bool:
        """Who has no identity is refused by the app, before anything is said of the database."""
        is_open = scope["method"] == "GET" and scope["path"] == ADMIN_OPENAPI
        return self._opening.opened or is_open or all(name != _IDENTITY for name, _ in scope["headers"])

    def _why_not(self) -> Problem:
        failure = self._opening.failure
        code = _CODES.get(type(failure), "store_away") if failure else "store_opening"
        text = str(failure) if failure else "the database is being opened"
        return Problem(503, f"{text}; what is in force goes on, and this is tried again", "", code=code)

    async def _give_first_key(self, send: Send) -> None:
        if not self._opening.opened:
            await _answer(send, 503, b"")
            return
        try:
            key = await asyncio.to_thread(self._first_key)
        except (StoreError, SecretAway) as error:
            log.warning("the first admin key can't be made", error=str(error))
            await _answer(send, 503, b"")
            return
        if key is None:
            await _answer(send, 204, b"")
        else:
            await _answer(send, 201, msgspec.json.encode({"key": key}))

    async def _take_report(self, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more and len(body) <= _MOST_REPORT_BYTES:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if more or not self._opening.opened:
            await _answer(send, 413 if more else 503, b"")
            return
        status, said = await asyncio.to_thread(self._report, body)
        await _answer(send, status, said, _JSON if status == 200 else "text/plain")

    async def _pass(self, made: Callable[[], Awaitable[App]], scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Any) -> None:
            nonlocal begun
            begun = True
            limit.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(None if _is_upload(scope) else ANSWER_WITHIN_S) as limit:
                app = await made()
                await app(scope, receive, sending)
        except Exception as error:  # a request's boundary; the app names its own failures
            if begun:
                raise
            if not (isinstance(error, TimeoutError) and limit.expired()):
                log.exception("control can't answer")
                failed = Problem(500, "the gateway failed; its log says why", "server_error", code="internal_error")
                await _refuse(scope, send, failed)
                return
            text = (
                "this took too long; whether the change was made is open: look, or ask with the same Idempotency-Key"
            )
            if is_about_usage(scope["path"]):
                text = "this took too long: ask for less at once"
            await _refuse(scope, send, Problem(503, text, "server_error", code="too_slow"))


def _is_upload(scope: Scope) -> bool:
    """Envoy has a time for those, and control one for their bodies (control/adapters/arriving.py)."""
    return scope["method"] == "POST" and re.fullmatch(ADAPTER_UPLOADS, scope["path"]) is not None


async def _refuse(scope: Scope, send: Send, problem: Problem) -> None:
    request_id = next((value.decode("latin-1") for name, value in scope["headers"] if name == _ID), None)
    api: Api = "openai" if is_about_usage(scope["path"]) else "admin"
    body = rendered(api, problem, request_id)
    headers = {"retry-after": "5", **({ERROR_SOURCE: "gateway"} if api == "openai" else {})}
    await _answer(send, problem.status, body, content_type_of(api), headers)


async def _answer(
    send: Send, status: int, body: bytes, content_type: str = _JSON, more: Mapping[str, str] | None = None
) -> None:
    headers = {"content-length": str(len(body)), **({"content-type": content_type} if body else {}), **(more or {})}
    if status == 204:
        del headers["content-length"]
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
