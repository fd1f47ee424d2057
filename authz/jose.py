"""A token as it is written: three parts, each in the one way that there is. Pure; verifies nothing.

Everything that could be read in two ways is refused here, before any signature is looked at: other ways to write the
same bytes, members given twice, numbers that are none. What a header says of keys (`jku`, `jwk`, `x5u`, `x5c`) is
never looked at.
"""

import binascii
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec

MAX_CHARS = 16 * 2**10
MAX_KID_CHARS = 256

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
# RFC 8725, 3.11: a logout token or a proof of possession, from the same issuer, is no token to call with.
_TYPES = ("jwt", "at+jwt", "application/jwt", "application/at+jwt")
# An extension that has to be understood (RFC 7515, 4.1.11), a payload that is not in the token (RFC 7797), another
# token inside of it, a compressed one.
_NOT_UNDERSTOOD = ("crit", "b64", "cty", "zip")


class Malformed(ValueError):  # noqa: N818 - it is the token that is
    """Not a token that is read here. The text says why, and quotes nothing of it."""


class Token(msgspec.Struct, frozen=True):
    """What a token says of itself. Nothing of it is verified."""

    algorithm: str
    kid: str | None
    claims: dict[str, Any]


def looks_like_token(credential: str) -> bool:
    """Whether it is one, rather than a key: a key has no dot."""
    return credential.count(".") == 2


def read(text: str) -> Token:
    """The token's header and claims. Raises Malformed, and nothing else, whatever the text is."""
    if len(text) > MAX_CHARS:
        raise Malformed("too long")
    parts = _COMPACT.fullmatch(text)
    if not parts:
        raise Malformed("not three parts of base64url")
    header, claims, _ = _object(parts[1]), _object(parts[2]), _bytes(parts[3])
    if not header.keys().isdisjoint(_NOT_UNDERSTOOD):
        raise Malformed("a header that is not understood")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise Malformed("another type of token")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        raise Malformed("no algorithm")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID_CHARS):
        raise Malformed("a key id that is none")
    return Token(algorithm, kid, claims)


def _object(part: str) -> dict[str, Any]:
    try:
        found = json.loads(_bytes(part).decode(), object_pairs_hook=_members, parse_constant=_no_number)
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("a part that is no JSON") from None
    if not isinstance(found, dict):
        raise Malformed("a part that is no JSON object")
    return found


def _bytes(part: str) -> bytes:
    try:
        data = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise Malformed("a part that is no base64url") from None
    if urlsafe_b64encode(data).decode().rstrip("=") != part:  # bits at the end that stand for nothing
        raise Malformed("a part that is no base64url")
    return data


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Malformed("a member twice")
    return found


def _no_number(_: str) -> None:
    raise Malformed("a number that is none")
