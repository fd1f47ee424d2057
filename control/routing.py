"""How routes are registered: each names its action, and nothing of a request is looked at before it may be done.

`GuardedRoute` is the one place that enforces control/roles.py. A route without an action can't be registered.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, nullcontext
from typing import Any, TypeVar

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from control.authentication import IDENTITY
from control.body import JsonRequest
from control.call import Call, Service
from control.problems import MEDIA_TYPE, MOST_FINDINGS, Finding, Problem, ProblemDetails, invalid
from control.roles import ACTIONS, Asker, NotAllowed, admitted
from control.traffic import Traffic

ACTION = "x-headgate-action"  # in the OpenAPI, too
UPLOADS = "x-headgate-uploads"  # likewise: the body is the route's to read, and no JSON
WAITS = "x-headgate-waits"  # likewise: for another store than the database
SERVICE = "service"  # in the app's state
_HELD = "headgate.held"  # in the scope: what ends with the answer
_USUAL = (401, 403, 422, 429, 500, 503)
_TEXTS = {
    400: "The cursor or the JSON can't be read.",
    401: "No valid key or token.",
    403: "No role of the caller's may do this here.",
    404: "There is no such object, or none that the caller may know of.",
    408: "The body took too long.",
    409: "It does not fit what there is: managed by file, taken, in use, an unknown reference.",
    412: "If-Match names another version than there is.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request says something that can't be; `errors` names all of it.",
    429: "The tenant asks too much at once, or changes too much: later, as `retry-after` says.",
    500: "The gateway failed.",
    503: "The database, or another part, can't answer now.",
    507: "A disk is full.",
}
_ETAG = {"ETag": {"description": "The object's version, for If-Match.", "schema": {"type": "string"}}}
F = TypeVar("F", bound=Callable[..., Any])


class GuardedRoute(APIRoute):
    """A route that is only for those whose role has its action."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        action = str((more.get("openapi_extra") or {}).get(ACTION))
        if action not in ACTIONS:
            raise TypeError(f"{path}: a route has to name one of the actions of control/roles.py")
        if ACTIONS[action].of_tenant != ("{tenant}" in path):
            raise TypeError(f"{path}: {action} is of a tenant, or its path has one: both or neither")
        self.action: str = action
        self.uploads = bool((more.get("openapi_extra") or {}).get(UPLOADS))
        self.waits = bool((more.get("openapi_extra") or {}).get(WAITS))
        super().__init__(path, endpoint, **more)
        self._query = set(_query_of(self.dependant))

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, to the end of its answer."""
        with ExitStack() as held:
            scope[_HELD] = held
            await super().handle(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Who may not gets no further than here: not the body, not the path's names, nothing is looked up."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            service: Service = getattr(request.app.state, SERVICE)
            try:
                asker = admitted(request.scope[IDENTITY], self.action, request.path_params.get("tenant"))
            except NotAllowed as refused:
                raise Problem(403, "role_not_allowed", str(refused)) from None
            writes = request.method not in ("GET", "HEAD")
            request.scope[_HELD].enter_context(service.traffic.asking(asker, writes=writes))
            self._check_query(request)
            asked = JsonRequest(request.scope, request.receive)
            if not self.uploads:
                await asked.read()
            asked.state.call = Call(asker, service, asked, service.declared())
            async with self._holding(service.traffic, asker):
                return await handle(asked)

        return guarded

    def _holding(self, traffic: Traffic, asker: Asker) -> AbstractAsyncContextManager[None]:
        """What a request takes from others; one that waits takes it by itself, when it needs it."""
        if self.uploads:
            return traffic.uploading(asker)
        return nullcontext() if self.waits else traffic.working(asker)

    def _check_query(self, request: Request) -> None:
        """A misspelt filter would show everything."""
        given = [name for name, _ in request.query_params.multi_items()]
        odd = [name for name in given if name not in self._query or given.count(name) > 1]
        if odd:
            expected = f"each of {', '.join(sorted(self._query))} at most once" if self._query else "no parameters"
            told = sorted(set(odd))[:MOST_FINDINGS]
            raise invalid(*(Finding(at=f"query.{name}", expected=expected) for name in told))


def _query_of(dependant: Dependant) -> Iterator[str]:
    """The names that a route knows, and what it depends on."""
    yield from (parameter.alias for parameter in dependant.query_params)
    for more in dependant.dependencies:
        yield from _query_of(more)


class Routes:
    """The routes of one module."""

    def __init__(self, tag: str) -> None:
        self.router = APIRouter(prefix="/admin/v1", route_class=GuardedRoute, tags=[tag])

    def serve(
        self,
        method: str,
        path: str,
        action: str,
        gives: Any,
        *,
        status: int = 200,
        fails: tuple[int, ...] = (),
        more: dict[int | str, dict[str, Any]] | None = None,
        uploads: bool = False,
        waits: bool = False,
    ) -> Callable[[F], F]:
        """Registers a function. `gives` is what it answers, None nothing; `fails`: statuses beside the usual ones.

        With `uploads` it reads the body by itself, and is done again with every request: no Idempotency-Key holds.
        With `waits` it holds no place of the database's but where it says so (Traffic.working).
        """
        answers: dict[int | str, dict[str, Any]] = {
            code: {"description": _TEXTS[code], "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
            for code in sorted({*_USUAL, *fails, *_of_method(method, path)})
        }
        answers[status] = {"headers": _ETAG} if gives is not None and method != "GET" else {}
        parameters = [*_IF_MATCH] if method in ("PATCH", "PUT", "DELETE") else []
        parameters += [*_IDEMPOTENCY_KEY] if method == "POST" and not uploads else []
        extra: dict[str, Any] = {ACTION: action, **({"parameters": parameters} if parameters else {})}
        extra |= {WAITS: True} if waits else {}
        if uploads:
            extra |= {UPLOADS: True, "requestBody": {"required": True, "content": _BYTES}}
        return self.router.api_route(
            path,
            methods=[method],
            response_model=gives,
            status_code=status,
            responses=answers | (more or {}),
            openapi_extra=extra,
        )


_PROBLEM = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_IF_MATCH = (
    {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": "The ETag of what was read: 412 if it has changed since.",
        "schema": {"type": "string"},
    },
)
_IDEMPOTENCY_KEY = (
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "For 24 hours the same request with the same key is done once and answered alike.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
)


def _of_method(method: str, path: str) -> tuple[int, ...]:
    found = [404] if "{" in path else []
    if method != "GET":
        found += [400, 408, 409, 413, 415, 507]
    if method in ("PUT", "PATCH", "DELETE"):
        found += [412]
    return tuple(found)
