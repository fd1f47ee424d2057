"""An error as each of the clients' APIs writes it, and which API's client a request comes from. Pure.

The admin API is one of them: its errors are problem details (RFC 9457).

Every server of ours and Envoy's own replies take their error bodies from here. Nothing is lost in either shape: what
Anthropic's has no place for at its top is in the message and in `details`.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import msgspec

Api = Literal["openai", "anthropic", "admin"]

# A request header that every client of Anthropic's sends: it tells whose list of models is meant.
VERSION_HEADER = "anthropic-version"
# On every answer to them: x-request-id by the name that their SDKs read.
ANTHROPIC_REQUEST_ID = "request-id"

# The surfaces whose clients speak Anthropic's API (extproc/surfaces.py).
ANTHROPIC_SURFACES = ("messages", "count_tokens")

# Of whole paths, query included; for Envoy (RE2) as well as for Python. Model ids may contain slashes.
MESSAGES_PATH = r"(?:/tenants/[^/?]*)?/v1/messages(?:[/?].*)?"
MODELS_PATH = r"(?:/tenants/[^/?]*)?/v1/models(?:[/?].*)?"
ADMIN_PATHS = r"/admin/v1(?:[/?].*)?"
_MESSAGES, _MODELS, _ADMIN = re.compile(MESSAGES_PATH), re.compile(MODELS_PATH), re.compile(ADMIN_PATHS)

PROBLEM_TYPE = "urn:headgate:problem:"  # and the code

# https://platform.claude.com/docs/en/api/errors; the other 4xx are `invalid_request_error` there too.
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told. `kind` is OpenAI's `type`; Anthropic's follows from the status."""

    status: int
    message: str
    kind: str
    param: str | None = None
    code: str | None = None


def api_of_path(path: str, *, versioned: bool) -> Api:
    """Whose client asks for this path; `versioned`: the request has the header `anthropic-version`."""
    if _MESSAGES.fullmatch(path) or (versioned and _MODELS.fullmatch(path)):
        return "anthropic"
    return "admin" if _ADMIN.fullmatch(path) else "openai"


def content_type_of(api: Api) -> str:
    """Of an error's body."""
    return "application/problem+json" if api == "admin" else "application/json"


def api_of_surface(name: str) -> Api:
    """Whose client uses the surface of this name."""
    return "anthropic" if name in ANTHROPIC_SURFACES else "openai"


def anthropic_type(status: int) -> str:
    """Anthropic's word for the kind of an error with this status."""
    return _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def error_object(api: Api, problem: Problem, request_id: str | None) -> dict[str, Any]:
    """The body, for whoever puts JSON together by other means."""
    message, param, code = problem.message, problem.param, problem.code
    if api == "admin":
        return _problem_details(problem, request_id)
    if api == "openai":
        return {"error": {"message": message, "type": problem.kind, "param": param, "code": code}}
    error: dict[str, Any] = {"type": anthropic_type(problem.status), "message": _naming(param, message)}
    details = {name: value for name, value in (("error_code", code), ("param", param)) if value is not None}
    if details:
        error["details"] = details
    return {"type": "error", "error": error, "request_id": request_id or None}


def _problem_details(problem: Problem, request_id: str | None) -> dict[str, Any]:
    status = HTTPStatus(problem.status)
    code = problem.code or status.name.lower()
    return {
        "type": f"{PROBLEM_TYPE}{code}",
        "title": status.phrase,
        "status": problem.status,
        "detail": problem.message,
        "code": code,
        "request_id": request_id or None,
    }


def rendered(api: Api, problem: Problem, request_id: str | None) -> bytes:
    """The body as JSON."""
    return msgspec.json.encode(error_object(api, problem, request_id))


def _naming(param: str | None, message: str) -> str:
    """The message, which must say what parameter it is about: people read it, and programs have nothing else."""
    return message if param is None or param.casefold() in message.casefold() else f"{param}: {message}"
