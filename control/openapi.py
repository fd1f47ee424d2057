"""The OpenAPI document of the admin API: what FastAPI knows, with our errors and security, made once."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from control.authentication import OPENAPI
from control.problems import MEDIA_TYPE, ProblemDetails

_DESCRIPTION = "Tenants, keys, people, limits and the audit log of a Headgate gateway. docs/admin-api.md explains it."
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A virtual key of the database, or a token."},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key", "description": "A virtual key."},
}


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The document. It lists what begins with /admin/v1 alone: there is nothing else."""
    document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas[ProblemDetails.__name__] = problem
    components["securitySchemes"] = _SECURITY
    document["security"] = [{name: []} for name in _SECURITY]
    document["paths"][OPENAPI] = _own_path()
    return document


def openapi_route(app: FastAPI) -> Route:
    """The one route that anybody may read."""
    made: list[bytes] = []

    async def openapi(_: Request) -> Response:
        if not made:
            made.append(json.dumps(openapi_of(app)).encode())
        return Response(made[0], media_type="application/json")

    return Route(OPENAPI, openapi, methods=["GET"])


def _own_path() -> dict[str, Any]:
    answer = {"description": "This document.", "content": {"application/json": {"schema": {"type": "object"}}}}
    failed = {"description": "The gateway failed.", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
    responses = {"200": answer, "500": failed}
    return {"get": {"operationId": "read_openapi", "tags": ["me"], "security": [], "responses": responses}}
