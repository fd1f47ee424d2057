"""Reads a request's body: bounded in size and time, and JSON in one meaning only.

Browsers send JSON to another origin only after asking, and nobody answers them there: so a body (and every POST, with
a body or without) has to be `application/json`, which keeps other sites from using a client certificate.
"""

import asyncio
import json
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request

from control.problems import Problem

MOST_BYTES = 256 * 1024
LONGEST_S = 10.0
_DEEPEST = 50
_MOST_DIGITS = 400


class Ambiguous(ValueError):  # noqa: N818 - what is found
    """Text that parsers read differently."""


class JsonRequest(Request):
    """What routes are given: its body and JSON are those that `read` has looked at."""

    async def read(self) -> None:
        """Raises Problem for what is no body of ours."""
        self._body = await _bytes(self)
        if self.method in ("POST", "PUT", "PATCH") and (self._body or self.method == "POST"):
            _check_type(self.headers.get("content-type", ""))
        if self._body and self.method not in ("GET", "HEAD"):  # there it has no meaning
            self._json = _parsed(self._body)


async def _bytes(request: Request) -> bytes:
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > MOST_BYTES:
        raise _too_large()
    pieces, size = [], 0
    try:
        async with asyncio.timeout(LONGEST_S):
            async for piece in request.stream():
                size += len(piece)
                if size > MOST_BYTES:
                    raise _too_large()
                pieces.append(piece)
    except TimeoutError:
        raise Problem(408, "body_too_slow", f"expected the body within {LONGEST_S:.0f} s") from None
    return b"".join(pieces)


def _check_type(said: str) -> None:
    kind, _, parameters = said.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise Problem(415, "unsupported_media_type", "expected content-type: application/json")


def _too_large() -> Problem:
    return Problem(413, "body_too_large", f"expected at most {MOST_BYTES} bytes")


def _parsed(body: bytes) -> Any:
    try:
        value = json.loads(
            body.decode(),
            object_pairs_hook=_object,
            parse_float=_fraction,
            parse_int=_whole,
            parse_constant=_constant,
        )
        _check_text(value, 0)
    except Ambiguous as error:
        raise Problem(400, "bad_json", str(error)) from None
    except UnicodeDecodeError:
        raise Problem(400, "bad_json", "expected UTF-8") from None
    except json.JSONDecodeError as error:
        raise Problem(400, "bad_json", f"expected JSON: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Problem(400, "bad_json", f"expected at most {_DEEPEST} levels") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Ambiguous("expected each member of an object once")
    return found


def _fraction(text: str) -> Decimal | int:
    """Exactly as written; 5.0 is a whole number, as in JSON Schema."""
    if len(text) > _MOST_DIGITS:
        raise Ambiguous(f"expected numbers of at most {_MOST_DIGITS} characters")
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent that is larger than any
        number = Decimal("Infinity")
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        raise Ambiguous(f"expected numbers with exponents of at most {_MOST_DIGITS}")
    if -16 < number.adjusted() < 16 and number == number.to_integral_value():
        return int(number)
    return number


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise Ambiguous(f"expected numbers of at most {_MOST_DIGITS} characters")
    return int(text)


def _constant(text: str) -> Any:
    raise Ambiguous(f"{text} is no number of JSON's")


def _check_text(value: Any, depth: int) -> None:
    """No lone surrogates, and not too deep."""
    if depth > _DEEPEST:
        raise Ambiguous(f"expected at most {_DEEPEST} levels")
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise Ambiguous("expected text without lone surrogates")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, depth + 1)
            _check_text(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_text(item, depth + 1)
