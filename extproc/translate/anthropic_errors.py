"""Anthropic's errors (platform.claude.com, "Errors"), in an answer's body or in a stream, as a Failure. Pure.

What a provider says of the gateway's own credential or account is not for the client: it may show part of the key.
"""

from typing import Any

import msgspec

from extproc.refusal import printable
from extproc.translate.failure import STATUS, Failure, Kind, kind_of

_KINDS: dict[str, Kind] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "billing_error": "permission",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "conflict_error": "invalid_request",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "api_error": "server",
    "overloaded_error": "overloaded",
    "timeout_error": "timeout",
}
_TOO_LONG = ("prompt is too long", "exceed context limit", "exceeds the context window", "maximum context length")
_OUT_OF_MONEY = ("credit balance is too low", "specified API usage limits")  # with status 400
_MESSAGE_LIMIT = 2000  # characters
_STATUS_LIMIT = 599


class _Details(msgspec.Struct):
    error_code: str | None = None


class _Error(msgspec.Struct):
    type: str = ""
    message: str = ""
    details: _Details | None = None


class _Body(msgspec.Struct):
    error: _Error


_body = msgspec.json.Decoder(_Body)


def failure_of(status: int, body: bytes, provider: str) -> Failure:
    """The failure that an answer with this status (400 or more) tells of; the body may be anything."""
    try:
        error = _body.decode(body).error
    except (msgspec.DecodeError, ValueError, RecursionError):
        kind = kind_of(status)
        said = f"The provider '{provider}' answered with status {status} and without an error in its API's form."
        return Failure(kind, _refused(provider) if _is_ours(kind) else said, _shown(status))
    return _failure(error, _KINDS.get(error.type) or kind_of(status), _shown(status), provider)


def failure_in_stream(error: Any, provider: str | None = None) -> Failure:
    """The failure that the `error` of an event (or of a body with status 200) tells of; it may be anything."""
    try:
        found = msgspec.convert(error, _Error)
    except (msgspec.ValidationError, ValueError, RecursionError):
        found = _Error()
    kind = _KINDS.get(found.type, "server")
    return _failure(found, kind, STATUS[kind], provider)


def _failure(error: _Error, kind: Kind, status: int, provider: str | None) -> Failure:
    message = printable(error.message)[:_MESSAGE_LIMIT]
    if any(words in message for words in _OUT_OF_MONEY):
        kind = "permission"
    if _is_ours(kind) or status in (401, 402, 403):
        return Failure(kind, _refused(provider), status)
    code = error.details.error_code if error.details else None
    if kind in ("invalid_request", "too_large") and any(words in message for words in _TOO_LONG):
        code = "context_length_exceeded"  # what clients of OpenAI's look for
    return Failure(kind, message or f"{_subject(provider)} gave no reason.", status, code=code)


def _is_ours(kind: Kind) -> bool:
    """Whether it is about the gateway's credential or account."""
    return kind in ("authentication", "permission")


def _subject(provider: str | None) -> str:
    return "The provider" if provider is None else f"The provider '{provider}'"


def _refused(provider: str | None) -> str:
    return f"{_subject(provider)} refused the gateway's credential or account."


def _shown(status: int) -> int:
    """529 is Anthropic's own."""
    return 503 if status == 529 else min(status, _STATUS_LIMIT)
