"""The decision on one request's caller. Pure: headers, path and the time in, a verdict out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from authz.keys import KeyTable, bearer_token
from headgate.contract import TENANT_HEADER
from headgate.snapshot import Key

_TENANT_PATH = re.compile(r"/tenants/([^/?]*)(?:[/?]|$)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not. The text never says which part of a credential was wrong."""

    status: int
    message: str
    code: str | None
    param: str | None = None
    reason: str = ""  # for operators alone, one of headgate.metrics.AUTHZ_REASONS


MISSING = Refusal(
    401,
    "No API key was provided. Send it as `Authorization: Bearer KEY`, or in the `api-key` or `x-api-key` header.",
    None,
    reason="missing_key",
)
OTHER_TENANT = Refusal(
    403,
    "The API key does not belong to the tenant that this request names.",
    "tenant_mismatch",
    reason="tenant_mismatch",
)


def _invalid(reason: str) -> Refusal:
    """The client learns the same whatever is wrong with its key."""
    return Refusal(401, "Incorrect API key provided.", "invalid_api_key", reason=reason)


def check(keys: KeyTable, headers: Mapping[str, str], path: str, now: float) -> Key | Refusal:
    """The key that the request may act as, or why it may not. Header names are lower case."""
    credentials = _credentials(headers)
    if not credentials:
        return MISSING
    first = credentials[0]
    # Two credentials that differ: whichever one we chose, another hop might choose the other.
    if any(credential != first for credential in credentials[1:]):
        return _invalid("conflicting_keys")
    key = keys.find(first, now)
    if key is None:
        return _invalid(keys.reason(first, now))
    if any(named != key.tenant for named in _named_tenants(headers, path)):
        return OTHER_TENANT
    return key


def _credentials(headers: Mapping[str, str]) -> list[str]:
    """Everything that claims to be a credential; a malformed one is "" and will not be found."""
    found = [headers[name].strip() for name in ("api-key", "x-api-key") if name in headers]
    if "authorization" in headers:
        found.insert(0, bearer_token(headers["authorization"]))
    return found


def _named_tenants(headers: Mapping[str, str], path: str) -> list[str]:
    named = [headers[TENANT_HEADER]] if TENANT_HEADER in headers else []
    match = _TENANT_PATH.match(path)
    if match:
        named.append(unquote(match[1]))
    return named
