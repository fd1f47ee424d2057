"""What an issuer answers, read: where its keys are, which of them can be used, how long they stay fresh. Pure.

The issuer is trusted with its keys and with nothing else: it can name no plain address, no key that is secret or
weak, no time that is too long.
"""

import binascii
import ipaddress
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from headgate.issuers import ALGORITHMS, PublicKey

MAX_BYTES = 2**20
MAX_KEYS = 100
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192  # an honest key is no larger, and a larger one takes its time with every token
MAX_EXPONENT_BITS = 32
MAX_KID_CHARS = 256

FRESH_S = 3600.0  # where the issuer does not say
LEAST_FRESH_S = 300.0
MOST_FRESH_S = 6 * 3600.0  # well before they are too old to count, if the issuer can't be reached then

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?([0-9]{1,10})", re.IGNORECASE)
_UNSURE = re.compile(r"(?:^|[\s,])no-(?:store|cache)", re.IGNORECASE)
# A key that is secret: whoever has read it there can sign.
_SECRET_MEMBERS = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


class Unusable(ValueError):  # noqa: N818 - it is the answer that is
    """The answer is not what it should be. The text says why, without quoting it."""


def is_allowed(url: str) -> bool:
    """https, or http on this machine; neither user nor password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or "@" in parts.netloc or not re.fullmatch(r"[!-~]{1,2048}", url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def jwks_uri_of(body: bytes, issuer: str) -> str:
    """Where the keys are, by the issuer's metadata. OpenID Connect Discovery 4.3. Raises Unusable."""
    document = _object(body)
    if document.get("issuer") != issuer:
        raise Unusable("the metadata is another issuer's")
    uri = document.get("jwks_uri")
    if not isinstance(uri, str) or not is_allowed(uri):
        raise Unusable("the metadata has no jwks_uri with https")
    if uri.startswith("http:") and not issuer.startswith("http:"):  # an issuer elsewhere names ports of this machine
        raise Unusable("the metadata has no jwks_uri with https")
    return uri


def keys_of(body: bytes) -> tuple[list[PublicKey], int]:
    """The keys that can be used, and how many there are that can't. Raises Unusable."""
    keys = _object(body).get("keys")
    if not isinstance(keys, list):
        raise Unusable("the answer is no set of keys")
    if len(keys) > MAX_KEYS:
        raise Unusable(f"there are more than {MAX_KEYS} keys")
    found = [key for member in keys for key in _usable(member)]
    return found, len(keys) - len(found)


def fresh_s(cache_control: str) -> float:
    """For how long not to ask again."""
    given = _MAX_AGE.search(cache_control)
    wanted = LEAST_FRESH_S if _UNSURE.search(cache_control) else float(given[1]) if given else FRESH_S
    return min(max(wanted, LEAST_FRESH_S), MOST_FRESH_S)


def _usable(member: Any) -> Iterator[PublicKey]:
    """RFC 7517, 5: keys of kinds that are not known here are passed over."""
    if not isinstance(member, dict) or not _SECRET_MEMBERS.isdisjoint(member):
        return
    if member.get("use", "sig") != "sig" or not _verifies(member.get("key_ops", ["verify"])):
        return
    kid = member.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID_CHARS):
        return
    kind = (member.get("kty"), member.get("crv"))
    n, e, x, y = (_number(member.get(name)) for name in ("n", "e", "x", "y"))
    if kind == ("RSA", None) and n and e and _is_strong(n, e):
        key = PublicKey("RS256", kid, n=member["n"], e=member["e"])
    elif kind == ("EC", "P-256") and x and y:
        key = PublicKey("ES256", kid, x=member["x"], y=member["y"])
    elif kind == ("OKP", "Ed25519") and x:
        key = PublicKey("EdDSA", kid, x=member["x"])
    else:
        return
    if member.get("alg", key.alg) == key.alg and key.alg in ALGORITHMS:
        yield key


def _verifies(operations: Any) -> bool:
    return isinstance(operations, list) and "verify" in operations


def _is_strong(n: bytes, e: bytes) -> bool:
    modulus, exponent = int.from_bytes(n), int.from_bytes(e)
    sizes = MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS and exponent.bit_length() <= MAX_EXPONENT_BITS
    return sizes and exponent > 1 and exponent % 2 == 1 and modulus % 2 == 1


def _number(value: Any) -> bytes | None:
    """Bytes that are written as base64url; None for anything else."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,2048}", value):
        return None
    try:
        return urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return None


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unusable("the answer is no JSON") from None
    if not isinstance(document, dict):
        raise Unusable("the answer is no JSON object")
    return document


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
