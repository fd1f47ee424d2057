"""Issuers of tokens and their public keys: as the tables name them, and the file that each issuer's keys are in.

The ledger writes the files, authz reads them; No key of a
token's and no secret is in here.
"""

import hashlib
from pathlib import Path
from typing import Literal, get_args

import msgspec

from headgate.contract import ISSUER_KEYS
from headgate.roles import Role

Algorithm = Literal["RS256", "ES256", "EdDSA"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

REFETCH_S = 30.0  # an unknown key id makes for no more than one fetch in this time
LIVE_S = 86_400.0  # how long keys count that could not be fetched again


class IssuerRow(msgspec.Struct, frozen=True):
    """One of `auth.oidc`. `ca` is a file below the state directory; `roles` leads from an issuer's word to ours."""

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[Algorithm, ...] = ALGORITHMS
    clock_skew_s: float = 60.0
    jwks_uri: str | None = None
    ca: str | None = None
    tenant_claim: str | None = None
    roles_claim: str | None = None
    roles: dict[str, Role] = {}


class PublicKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key that verifies one algorithm's signatures; the rest is as RFC 7518 and 8037 have it, base64url."""

    alg: Algorithm
    kid: str | None = None
    n: str | None = None
    e: str | None = None
    x: str | None = None
    y: str | None = None


class IssuerKeys(msgspec.Struct, frozen=True):
    """An issuer's keys: when they were fetched, and when it was last tried. Seconds since the epoch, 0 is never."""

    issuer: str
    keys: list[PublicKey]
    fetched: float
    tried: float


def keys_file(row: IssuerRow) -> Path:
    """Where an issuer's keys are; keys of another place are another file."""
    text = f"{row.issuer}\n{row.jwks_uri or ''}"
    return ISSUER_KEYS / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"


def wanted_file(row: IssuerRow) -> Path:
    """Touched when a token names a key that is not among them."""
    return keys_file(row).with_suffix(".wanted")


def read_keys(path: Path) -> IssuerKeys | None:
    """None where there is no such file. Raises OSError or msgspec.DecodeError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=IssuerKeys)
    except FileNotFoundError:
        return None
