"""Errors of Google's APIs (cloud.google.com/apis/design/errors), in an answer's body or in a stream. Pure.

{"error": {"code": 400, "message": …, "status": "INVALID_ARGUMENT", "details": […]}}, also in a list; `code` is a word
where envoy/module/attempt.c has put an error in the place of an answer. What a provider says of the gateway's own
credential or account is not for the client: it may show part of the key.
"""

import re
from typing import Any

import msgspec

from extproc.refusal import printable
from extproc.translate.failure import STATUS, Failure, Kind, kind_of
from extproc.translate.openai_errors import CONTEXT_LENGTH_CODE

# google.rpc.Code
_KINDS: dict[str, Kind] = {
    "ABORTED": "invalid_request",
    "ALREADY_EXISTS": "invalid_request",
    "CANCELLED": "server",
    "DATA_LOSS": "server",
    "DEADLINE_EXCEEDED": "timeout",
    "FAILED_PRECONDITION": "permission",  # this account, from this country, without billing: no
    "INTERNAL": "server",
    "INVALID_ARGUMENT": "invalid_request",
    "NOT_FOUND": "not_found",
    "OUT_OF_RANGE": "invalid_request",
    "PERMISSION_DENIED": "permission",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "UNAUTHENTICATED": "authentication",
    "UNAVAILABLE": "overloaded",
    "UNIMPLEMENTED": "invalid_request",
    "UNKNOWN": "server",
}
_OF_THE_KEY = ("API_KEY_INVALID", "API_KEY_EXPIRED")  # `reason` in `details`, with status 400
_KEY_IN_WORDS = re.compile(r"\bAPI[ _]key\b", re.IGNORECASE)
_TOO_LONG = re.compile(r"input token count.{0,60}exceeds the maximum|maximum number of tokens allowed", re.DOTALL)
_MESSAGE_LIMIT = 2000  # characters


class _Detail(msgspec.Struct):
    reason: Any = None


class _Error(msgspec.Struct):
    code: int | str | None = None
    message: str = ""
    status: str = ""
    details: list[_Detail] | None = None


class _Body(msgspec.Struct):
    error: _Error


_body = msgspec.json.Decoder(_Body | list[_Body])


def failure_of(status: int, body: bytes, provider: str) -> Failure:
    """The failure that an answer with this status (400 or more) tells of; the body may be anything."""
    try:
        found = _body.decode(body)
        error = found[0].error if isinstance(found, list) else found.error
    except (msgspec.DecodeError, ValueError, RecursionError, IndexError):
        kind = kind_of(status)
        said = f"The provider '{provider}' answered with status {status} and without an error in its API's form."
        return Failure(kind, _refused(provider) if _is_ours(kind) else said, status)
    return _failure(error, _KINDS.get(error.status) or kind_of(status), status, provider)


def failure_in_stream(error: Any, provider: str | None = None) -> Failure:
    """The failure that the `error` of an event (or of a body with status 200) tells of; it may be anything."""
    try:
        found = msgspec.convert({"message": error} if isinstance(error, str) else error, _Error)
    except (msgspec.ValidationError, ValueError, RecursionError):
        found = _Error()
    status = found.code if isinstance(found.code, int) and 400 <= found.code <= 599 else None
    kind = _KINDS.get(found.status) or (kind_of(status) if status else "server")
    return _failure(found, kind, status or STATUS[kind], provider)


def _failure(error: _Error, kind: Kind, status: int, provider: str | None) -> Failure:
    message = printable(error.message)[:_MESSAGE_LIMIT]
    if any(detail.reason in _OF_THE_KEY for detail in error.details or ()) or (
        kind == "invalid_request" and _KEY_IN_WORDS.search(message)
    ):
        kind = "authentication"
    if _is_ours(kind) or status in (401, 402, 403):
        return Failure(kind, _refused(provider), status)
    code = error.code if isinstance(error.code, str) else None
    if kind == "invalid_request" and _TOO_LONG.search(message):
        code = CONTEXT_LENGTH_CODE
    return Failure(kind, message or f"{_subject(provider)} gave no reason.", status, code=code)


def _is_ours(kind: Kind) -> bool:
    """Whether it is about the gateway's credential or account."""
    return kind in ("authentication", "permission")


def _subject(provider: str | None) -> str:
    return "The provider" if provider is None else f"The provider '{provider}'"


def _refused(provider: str | None) -> str:
    return f"{_subject(provider)} refused the gateway's credential or account."
