"""The admin API as an ASGI app: its layers, its routes, and what becomes of what they raise."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from control.adapters.objects import Objects
from control.authentication import IDENTITY, Authentication
from control.call import Service, problem_of
from control.deletion import DatabaseHolding, Deletions
from control.openapi import openapi_route
from control.problems import Problem, of_validation, secret_away
from control.routes import (
    accounts,
    adapter_versions,
    adapters,
    audit,
    deletions,
    grants,
    hosts,
    invoices,
    keys,
    limits,
    me,
    members,
    plans,
    platform,
    tenants,
    usage,
    users,
)
from control.routing import SERVICE, GuardedRoute
from control.sealing import Seal
from control.store.failures import StoreError
from control.store.store import Store
from control.tools import Tools
from control.traffic import Traffic
from headgate.auth_secrets import SecretAway
from headgate.declared import Declared

_PARTS = (
    me,
    tenants,
    grants,
    limits,
    keys,
    members,
    usage,
    users,
    plans,
    platform,
    audit,
    deletions,
    hosts,
    invoices,
    accounts,
    adapters,
    adapter_versions,
)


def make_app(
    store: Store, service_key: Callable[[], bytes], declared: Callable[[], Declared], tools: Tools
) -> FastAPI:
    """`service_key` and `declared` are asked for each request. The app's lifespan runs the deletions of tenants."""
    work = Deletions(store, [DatabaseHolding(store), *tools.holdings], tools.wanted)

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        work.start()
        yield
        work.close()

    app = FastAPI(
        title="Headgate admin API",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=living,
        redirect_slashes=False,
    )
    app.router.route_class = GuardedRoute
    objects = Objects(store, lambda: declared().adapters, tools.state)
    setattr(app.state, SERVICE, Service(store, declared, tools, Seal(service_key), work, Traffic(), objects))
    for part in _PARTS:
        app.router.routes.extend(part.routes.router.routes)
    app.router.routes.append(openapi_route(app))
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(StoreError, _store_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(SecretAway, _secret_away)
    app.add_middleware(Authentication, service_key=service_key, note_use=tools.note_use)
    return app


def _id(request: Request) -> str | None:
    identity = request.scope.get(IDENTITY)
    return identity.request_id if identity else None


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - what the handler is registered for
    return error.response(_id(request))


async def _store_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)  # noqa: S101 - likewise
    return problem_of(error).response(_id(request))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - likewise
    return of_validation(error.errors()).response(_id(request))


async def _secret_away(request: Request, error: Exception) -> Response:  # noqa: ARG001 - its text names a file
    return secret_away().response(_id(request))


async def _http_error(request: Request, error: Exception) -> Response:
    """No such path, or no such method there."""
    assert isinstance(error, HTTPException)  # noqa: S101 - likewise
    if error.status_code == 405:
        allowed = ", ".join(sorted(_methods(request)))
        return Problem(405, "method_not_allowed", f"expected one of {allowed}", headers={"allow": allowed}).response(
            _id(request)
        )
    if error.status_code == 404:
        return Problem(404, "not_found", "there is no such path").response(_id(request))
    return Problem(error.status_code, "bad_request", "the request can't be read").response(_id(request))


def _methods(request: Request) -> set[str]:
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods - {"HEAD"}
    return found
