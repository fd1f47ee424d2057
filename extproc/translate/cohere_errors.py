"""Cohere's errors (docs.cohere.com/reference/errors), in an answer's body or in a stream. Pure.

{"message": …, "id": …}; in OpenAI's shape where envoy/module has put an error in the place of an answer. What a
provider says of the gateway's own credential or account is not for the client.
"""

import re
from typing import Any

import msgspec

from extproc.refusal import printable
from extproc.translate.failure import STATUS, Failure, Kind, kind_of
from extproc.translate.openai_errors import CONTEXT_LENGTH_CODE

# Cohere's own statuses, and what clients are told in their place.
_KINDS: dict[int, Kind] = {498: "authentication", 499: "server"}
_SHOWN = {498: 401, 499: 502}

_TOO_LONG = re.compile(r"tokens in the prompt|size limit exceeded by|prompt is too long")
_OF_THE_ACCOUNT = re.compile(r"\b(?:API|trial|production) (?:key|token)s?\b", re.IGNORECASE)
_MESSAGE_LIMIT = 2000  # characters


class _Error(msgspec.Struct):
    message: str = ""
    code: Any = None


class _Body(msgspec.Struct):
    message: str = ""
    error: _Error | None = None


_body = msgspec.json.Decoder(_Body)


def failure_of(status: int, body: bytes, provider: str) -> Failure:
    """The failure that an answer with this status (400 or more) tells of; the body may be anything."""
    kind = _KINDS.get(status) or kind_of(status)
    try:
        found = _body.decode(body)
        error = found.error or _Error(found.message)
    except (msgspec.DecodeError, ValueError, RecursionError):
        error = _Error()
    if not error.message and not _is_ours(kind):
        said = f"The provider '{provider}' answered with status {status} and without an error in its API's form."
        return Failure(kind, said, _SHOWN.get(status, status))
    return _failure(error, kind, _SHOWN.get(status, status), provider)


def failure_in_stream(message: str | None, kind: Kind = "server") -> Failure:
    """The failure that a stream, or a body with status 200, tells of in these words."""
    return _failure(_Error(message or ""), kind, STATUS[kind], None)


def _failure(error: _Error, kind: Kind, status: int, provider: str | None) -> Failure:
    message = printable(error.message)[:_MESSAGE_LIMIT]
    if _is_ours(kind):
        return Failure(kind, f"{_subject(provider)} refused the gateway's credential or account.", status)
    if _OF_THE_ACCOUNT.search(message):
        limit = kind == "rate_limit"
        said = (
            "has a limit for the gateway's account, which is reached." if limit else "refused the gateway's account."
        )
        return Failure(kind if limit else "permission", f"{_subject(provider)} {said}", status)
    code = error.code if isinstance(error.code, str) else None
    if kind in ("invalid_request", "too_large") and _TOO_LONG.search(message):
        code = CONTEXT_LENGTH_CODE
    return Failure(kind, message or f"{_subject(provider)} gave no reason.", status, code=code)


def _is_ours(kind: Kind) -> bool:
    """Whether it is about the gateway's credential or account."""
    return kind in ("authentication", "permission")


def _subject(provider: str | None) -> str:
    return "The provider" if provider is None else f"The provider '{provider}'"
