"""Who a caller of the admin API is, as authz says it to control: one header's value, signed under the service key.

The signature is over the method and the path with its query too, which are not repeated in the text: it is good for
that one request, and only for a short time. Pure, no clock: both sides give the time in.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Literal

import msgspec

from headgate.roles import Role, TenantRole

CallerKind = Literal["key", "user", "client"]

MAX_AGE_MS = 30_000
MAX_CHARS = 60_000  # of the header's value; Envoy takes no more of all headers together
_PURPOSE = b"headgate identity 1\n"


class BadIdentity(Exception):  # noqa: N818 - it is the caller that is refused
    """The text is none of ours, is another request's, or is too old. The message names no part of it."""


class Identity(msgspec.Struct, frozen=True):
    """`id` is a key's, a user's, or the name in a client's certificate. `tenant` is None for whoever is of none.

    `memberships` are a person's roles by tenant. `path` has the query. `issued_ms` is milliseconds since the epoch.
    `models`: those that a key is confined to; None for all of its tenant's.
    """

    kind: CallerKind
    id: str
    tenant: str | None
    role: Role
    memberships: dict[str, TenantRole]
    request_id: str
    source_address: str
    method: str
    path: str
    issued_ms: int
    models: tuple[str, ...] | None = None


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    kind: CallerKind
    id: str
    tenant: str | None
    role: Role
    memberships: dict[str, TenantRole]
    request_id: str
    source_address: str
    issued_ms: int
    models: tuple[str, ...] | None = None


def sign(identity: Identity, service_key: bytes) -> str:
    """The header's value: the JSON as base64url, a dot, HMAC-SHA256 over all of it as base64url."""
    said = _Said(
        identity.kind,
        identity.id,
        identity.tenant,
        identity.role,
        identity.memberships,
        identity.request_id,
        identity.source_address,
        identity.issued_ms,
        identity.models,
    )
    body = msgspec.json.encode(said)
    return f"{_text(body)}.{_text(_mac(body, service_key, identity.method, identity.path))}"


def verify(text: str, service_key: bytes, *, method: str, path: str, now_ms: int) -> Identity:
    """Who it is that asks with this method for this path, query included. Raises BadIdentity."""
    if len(text) > MAX_CHARS or not text.isascii():
        raise BadIdentity("not an identity")
    body, _, signature = text.partition(".")
    try:
        read, given = _bytes(body), _bytes(signature)
    except ValueError:
        raise BadIdentity("not an identity") from None
    if not hmac.compare_digest(given, _mac(read, service_key, method, path)):
        raise BadIdentity("not signed for this request")
    try:
        said = msgspec.json.decode(read, type=_Said)
    except msgspec.DecodeError:  # signed, but by another version
        raise BadIdentity("not an identity of this version") from None
    if abs(now_ms - said.issued_ms) > MAX_AGE_MS:
        raise BadIdentity("too old")
    return Identity(**{name: getattr(said, name) for name in _Said.__struct_fields__}, method=method, path=path)


def _mac(body: bytes, service_key: bytes, method: str, path: str) -> bytes:
    """Lengths come first, so that no other method, path and body make the same text.

    A query that is empty is none: not all that a request passes keep its question mark.
    """
    where, _, query = path.partition("?")
    asked = f"{where}?{query}" if query else where
    parts = [method.encode("utf-8", "surrogateescape"), asked.encode("utf-8", "surrogateescape"), body]
    sizes = " ".join(str(len(part)) for part in parts)
    return hmac.digest(service_key, b"\n".join([_PURPOSE, sizes.encode(), *parts]), sha256)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Raises ValueError, also for other ways to write the same bytes."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(data) != text:
        raise ValueError(text)
    return data
