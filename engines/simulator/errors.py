"""Errors in the shapes of OpenAI and of Anthropic, as bytes. Pure.

SimulatorError
├── BodyError     the client's body is not JSON, or a known field has the wrong type or value (400)
├── AdapterError  a LoRA adapter cannot be loaded or unloaded (400, 404, 500)
├── ModelError    no such model (404)
└── DeadEngineError   what a real engine would not have survived: the process ends
"""

import re
from typing import Any, Final

import msgspec

_ERROR_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}

_MESSAGES_ERROR_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

# msgspec's messages: "Expected `int`, got `str` - at `$.max_tokens`", "… unknown field `x` - at `$.simulate`"
_PATH: Final = re.compile(r" - at `\$\.?(.*)`$")
_FIELD: Final = re.compile(r"(?:unknown|required) field `([^`]*)`")


class SimulatorError(Exception):
    """Whatever the simulator refuses on its own account."""


class BodyError(SimulatorError):
    """The body of a request cannot be used. `param` is the path of the field at fault, if there is one."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class AdapterError(SimulatorError):
    """Why an adapter cannot be had, as vLLM says it: `kind` is its error's type."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


class ModelError(SimulatorError):
    """Neither the model nor an adapter has this name."""

    def __init__(self, model: str) -> None:
        super().__init__(f"The model `{model}` does not exist.")


class DeadEngineError(SimulatorError):
    """The engine is gone."""


def body_error_of(error: Exception) -> BodyError:
    """Turn what msgspec says about a body into a `BodyError` that names the field."""
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return BodyError(f"The request body is not valid JSON: {text}")
    path, field = _PATH.search(text), _FIELD.search(text)
    names = [match.group(1) for match in (path, field) if match and match.group(1)]
    return BodyError(text, ".".join(names) or None)


def error_body(
    status: int,
    message: str,
    *,
    error_type: str | None = None,
    param: str | None = None,
    code: str | None = None,
) -> bytes:
    """Return `{"error": {"message", "type", "param", "code"}}`; the type follows the status unless given."""
    if error_type is None:
        error_type = _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return error_object_body({"message": message, "type": error_type, "param": param, "code": code})


def engine_error_body(status: int, message: str, kind: str, param: str | None = None) -> bytes:
    """Return an error as vLLM makes them, whose `code` is the status."""
    return error_object_body({"message": message, "type": kind, "param": param, "code": status})


def error_object_body(error: dict[str, Any]) -> bytes:
    """Return the body for an error object that is complete already."""
    return msgspec.json.encode({"error": error})


def messages_error_body(status: int, message: str, request_id: str) -> bytes:
    """Return `{"type": "error", "error": {"type", "message"}, "request_id"}`; the type follows the status."""
    kind = _MESSAGES_ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return messages_error_object_body({"type": kind, "message": message}, request_id)


def messages_error_object_body(error: dict[str, Any], request_id: str) -> bytes:
    """Return the body for an error object that is complete already."""
    return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})
