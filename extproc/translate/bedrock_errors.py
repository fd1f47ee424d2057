"""Errors of Amazon Bedrock, in an answer's body or in a stream, as a Failure. Pure.

{"message": …}, with the exception's name in `__type` or in a header; envoy/module has read that one, so that the
status says what the name does. What Amazon says of the gateway's credential, account or role is not for the client:
it names them.
"""

import re
from typing import Any

import msgspec

from extproc.refusal import printable
from extproc.translate.failure import STATUS, Failure, Kind, kind_of
from extproc.translate.openai_errors import CONTEXT_LENGTH_CODE

# By the exception's name, its first letter small as in streams.
_KINDS: dict[str, Kind] = {
    "accessDeniedException": "permission",
    "expiredTokenException": "authentication",
    "incompleteSignatureException": "authentication",
    "internalServerException": "server",
    "invalidSignatureException": "authentication",
    "missingAuthenticationTokenException": "authentication",
    "modelErrorException": "server",
    "modelNotReadyException": "overloaded",
    "modelStreamErrorException": "server",
    "modelTimeoutException": "timeout",
    "resourceNotFoundException": "not_found",
    "serviceQuotaExceededException": "rate_limit",
    "serviceUnavailableException": "overloaded",
    "throttlingException": "rate_limit",
    "unrecognizedClientException": "authentication",
    "validationException": "invalid_request",
}
_TOO_LONG = re.compile(
    r"input is too long|prompt is too long|maximum context length|too many input tokens|context window"
    r"|number of input tokens exceeds|exceed context limit",
    re.IGNORECASE,
)
# An account in a resource's name, a user or a role.
_OURS = re.compile(r"\barn:aws|not authorized to perform|security token|access key", re.IGNORECASE)
_LIMITED = 429
_MESSAGE_LIMIT = 2000  # characters


class _Error(msgspec.Struct):
    """Of Bedrock's itself, and what envoy/module/attempt.c puts in the place of a page: in `error`."""

    message: str | None = None
    Message: str | None = None
    type: Any = msgspec.field(name="__type", default=None)
    code: Any = None
    error: Any = None
    original_status: int | None = msgspec.field(name="originalStatusCode", default=None)


_error = msgspec.json.Decoder(_Error)


def failure_of(status: int, body: bytes, provider: str) -> Failure:
    """The failure that an answer with this status (400 or more) tells of; the body may be anything."""
    try:
        error = _error.decode(body)
        if error.error is not None:
            error = msgspec.convert(error.error, _Error)
    except (msgspec.DecodeError, ValueError, RecursionError):
        said = f"The provider '{provider}' answered with status {status} and without an error in its API's form."
        error = _Error(said)
    kind = _KINDS.get(_name_of(error.type)) or kind_of(status)
    return _failure(error, kind, status, provider)


def failure_in_stream(name: str, payload: bytes) -> Failure:
    """The failure that an exception's frame tells of; its payload may be anything."""
    try:
        error = _error.decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        error = _Error()
    kind = _KINDS.get(name, "server")
    if kind == "server" and error.original_status == _LIMITED:
        kind = "rate_limit"
    return _failure(error, kind, STATUS[kind], None)


def failure_in_answer(body: bytes) -> Failure | None:
    """The failure of an error that came with status 200 in an answer's place."""
    try:
        error = _error.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if error.type is None and error.error is None:
        return None
    return failure_in_stream(_name_of(error.type), body)


def _failure(error: _Error, kind: Kind, status: int, provider: str | None) -> Failure:
    said = error.message or error.Message or ""
    subject = "The provider" if provider is None else f"The provider '{provider}'"
    if kind in ("authentication", "permission") or status in (401, 402, 403):
        return Failure(kind, f"{subject} refused the gateway's credential or account.", status)
    message = printable(said)[:_MESSAGE_LIMIT]
    code = error.code if isinstance(error.code, str) else None
    if kind in ("invalid_request", "too_large") and _TOO_LONG.search(message):
        code = CONTEXT_LENGTH_CODE
    if _OURS.search(message):
        message = f"{subject} refused the request, in words that are about the gateway's account."
    return Failure(kind, message or f"{subject} gave no reason.", status, code=code)


def _name_of(given: Any) -> str:
    """`ThrottlingException` of `com.amazon.coral.availability#ThrottlingException`, as streams write it."""
    name = given.rpartition("#")[2].partition(":")[0] if isinstance(given, str) else ""
    return name[:1].lower() + name[1:]
