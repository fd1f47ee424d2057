"""What a verified token's claims say: for whom it is, until when, of which tenants and roles. Pure; `now` comes in.

Claims are the issuer's word, and no more is taken from them than `auth.oidc` names. Whether the tenants exist, and
what the database says of the person, is `authz.token`'s business.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from headgate.issuers import IssuerRow
from headgate.roles import ROLES, TENANT_ROLES, Role

MAX_SUBJECT_CHARS = 255  # OpenID Connect Core, 2
MAX_VALUES = 200  # of a claim; nobody is of more tenants or groups that matter here
_MAX_TIME = 2**53


class Unacceptable(Exception):  # noqa: N818 - it is the token that is refused
    """The claims are not good here. The text is a reason of headgate.refusals.AUTHZ_REASONS."""


class Verified(msgspec.Struct, frozen=True):
    """Somebody, by a token that ends at `ends`. No tenants: the claims name none; no role: nor that."""

    issuer: str
    subject: str
    tenants: tuple[str, ...]
    role: Role | None
    ends: float


def verified(claims: dict[str, Any], row: IssuerRow, now: float) -> Verified:
    """Raises Unacceptable. The signature has been verified by a key of this issuer's."""
    if claims.get("iss") != row.issuer:
        raise Unacceptable("unknown_issuer")
    _require_audience(claims.get("aud"), row)
    ends = _require_times(claims, row.clock_skew_s, now)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARS or not subject.isprintable():
        raise Unacceptable("bad_token_claims")
    tenants = _texts(claims, row.tenant_claim)
    return Verified(row.issuer, subject, tenants, _role(_texts(claims, row.roles_claim), row), ends)


def _require_audience(given: Any, row: IssuerRow) -> None:
    audiences = given if isinstance(given, list) else [given]
    if not any(isinstance(one, str) and one in row.audience for one in audiences):
        raise Unacceptable("wrong_audience")


def _require_times(claims: dict[str, Any], skew_s: float, now: float) -> float:
    """When the token ends, the clocks' difference included."""
    ends, begins, made = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if ends is None:
        raise Unacceptable("bad_token_claims")
    if ends + skew_s <= now:
        raise Unacceptable("expired_token")
    if any(moment is not None and moment - skew_s > now for moment in (begins, made)):
        raise Unacceptable("token_not_valid_yet")
    return ends + skew_s


def _time(claims: dict[str, Any], name: str) -> float | None:
    """RFC 7519, 2: seconds since the epoch, which may be a fraction."""
    if name not in claims:
        return None
    value = claims[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= _MAX_TIME or not math.isfinite(value):
        raise Unacceptable("bad_token_claims")
    return float(value)


def _texts(claims: dict[str, Any], path: str | None) -> tuple[str, ...]:
    """The words of a claim that is one or a list of them; none where it is not there, or empty."""
    value = next(_found(claims, path), None) if path else None
    values = value if isinstance(value, list) else [value] if value not in (None, "") else []
    if len(values) > MAX_VALUES or not all(isinstance(one, str) for one in values):
        raise Unacceptable("bad_token_claims")
    return tuple(dict.fromkeys(values))


def _found(value: Any, path: str) -> Iterator[Any]:
    """What is at a path such as `realm.roles`; names may have dots in them, as URLs do: the longest first."""
    if not isinstance(value, dict):
        return
    if path in value:
        yield value[path]
    cut = len(path)
    while (cut := path.rfind(".", 0, cut)) > 0:
        yield from _found(value.get(path[:cut]), path[cut + 1 :])


def _role(words: tuple[str, ...], row: IssuerRow) -> Role | None:
    """The highest of the roles that they stand for. Only `roles` makes an admin of the whole gateway."""
    known: Mapping[str, Role] = row.roles or {role: role for role in TENANT_ROLES}
    found = {known.get(word) for word in words}
    return next((role for role in ROLES if role in found), None)
