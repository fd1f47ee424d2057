"""Errors of OpenAI's API and of the servers that speak it, in all the shapes in which they come. Pure.

OpenAI's own {"error": {…}}, the same in a list (Gemini), flat {"object": "error", "message": …} (older vLLM and
Mistral), {"error": "…"} (Ollama), FastAPI's {"detail": …}, plain text and pages of HTML from proxies on the way.
"""

import re
from typing import Any

import msgspec

from extproc.translate.failure import Failure, Kind, kind_of
from headgate.contract import ADAPTER_NOT_LOADED

CONTEXT_LENGTH_CODE = "context_length_exceeded"

_MESSAGE_LIMIT = 2000  # characters of a provider's message that a client is told
# In a stream there is no status, only these words of `type`, `code` or `status`.
_STATUS_OF_WORD = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "invalid_argument": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "notfounderror": 404,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "too_many_requests": 429,
    "insufficient_quota": 429,
    "resource_exhausted": 429,
    "tokens": 429,
    "requests": 429,
    "overloaded_error": 503,
    "service_unavailable": 503,
    "unavailable": 503,
    "timeout": 504,
}
_CONTEXT_LENGTH = re.compile(
    r"maximum context length|context[ _]length exceeded|context_length_exceeded|maximum model length|max_model_len"
    r"|exceeds? (?:the |this )?(?:model'?s? |available |maximum )*context|exceed_context_size|context window"
    r"|max_new_tokens.{0,3} must be <=|input token count.{0,60}exceeds the maximum",
    re.IGNORECASE | re.DOTALL,
)
_REFUSED = {
    401: "The provider '{}' refused the gateway's credential.",
    402: "The provider '{}' refused the gateway's account: it asks for payment.",
    403: "The provider '{}' refused the gateway's credential: it does not permit this request.",
}


def failure_of(status: int, body: bytes, provider: str) -> Failure:
    """The failure that an answer of status 400 or more stands for."""
    kind = kind_of(status)
    if status in _REFUSED:  # the provider's own words may hold parts of the credential
        return Failure(kind, _REFUSED[status].format(provider), status)
    found = _found(body)
    if found is None:
        return Failure(kind, _of_text(status, body, provider), status)
    message, param, code, _ = found
    if code == ADAPTER_NOT_LOADED:  # ours: an engine's 404 on its way through Envoy (envoy/module/attempt.c)
        return Failure.of("overloaded", message or "", code=code)
    return _failure(kind, message or f"The provider '{provider}' answered with status {status}.", status, param, code)


def failure_in(body: bytes) -> Failure:
    """The failure of an error that came with status 200: in a stream, or in an answer's place."""
    message, param, code, words = _found(body) or (None, None, None, ())
    statuses = (_status_of(word) for word in words)
    status = next((status for status in statuses if status), 502)
    kind = kind_of(status)
    if status in _REFUSED:
        return Failure.of(kind, "The provider refused the gateway's credential.")
    return _failure(kind, message or "The provider reported an error without a message.", None, param, code)


def _failure(kind: Kind, message: str, status: int | None, param: str | None, code: str | None) -> Failure:
    if kind in ("invalid_request", "too_large", "server") and _CONTEXT_LENGTH.search(f"{code} {message}"):
        kind, status, code = "invalid_request", 400, CONTEXT_LENGTH_CODE
    shown = message if len(message) <= _MESSAGE_LIMIT else f"{message[:_MESSAGE_LIMIT]}…"
    if status is None:
        return Failure.of(kind, shown, param=param, code=code)
    return Failure(kind, shown, status, param, code)


def _found(body: bytes) -> tuple[str | None, str | None, str | None, tuple[Any, ...]] | None:
    """Message, param, code, and the words that may name a status. None for what is no error in JSON."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return None
    error = value.get("error") or value
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return None
    message = _message(error.get("message")) or _message(error.get("detail"))
    words = tuple(error.get(name) for name in ("code", "type", "status"))
    return message, _text(error.get("param")), _text(error.get("code")), words


def _message(value: Any) -> str | None:
    """A message, or FastAPI's list of what is wrong with which member."""
    if isinstance(value, dict):
        value = value.get("detail")
    if isinstance(value, list):
        return "; ".join(filter(None, map(_detail, value))) or None
    return _text(value)


def _detail(value: Any) -> str | None:
    if not isinstance(value, dict):
        return _text(value)
    place, message = value.get("loc"), _text(value.get("msg"))
    path = ".".join(str(step) for step in place if isinstance(step, str | int)) if isinstance(place, list) else ""
    return f"{path}: {message}" if path and message else message


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _status_of(word: Any) -> int | None:
    if isinstance(word, str):
        word = int(word) if word.isascii() and word.isdigit() and len(word) == len("400") else word.lower()
    if isinstance(word, int):
        return word if 400 <= word <= 599 else None
    return _STATUS_OF_WORD.get(word) if isinstance(word, str) else None


def _of_text(status: int, body: bytes, provider: str) -> str:
    text = body.decode(errors="replace").strip()
    said = f"The provider '{provider}' answered with status {status}"
    if not text:
        return f"{said} and no body."
    if text.startswith("<") or not text.isprintable() or len(text) > _MESSAGE_LIMIT:
        return f"{said} and something that is not JSON."
    return f"{said}: {text}"
