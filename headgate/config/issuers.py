"""`auth.oidc` and `auth.clients` of gateway.yaml, as frozen types: whose tokens and certificates say who calls."""

import re
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PlainValidator

from headgate.clients import DNS, SPIFFE, URI
from headgate.config import addresses, values
from headgate.config.entry import Entry, FilePath, Name
from headgate.config.wording import found, quoted
from headgate.issuers import ALGORITHMS, Algorithm
from headgate.roles import ROLES, TENANT_ROLES, Role, TenantRole

MAX_SKEW_S = 300.0
_REGISTERED = ("iss", "aud", "exp", "nbf", "iat", "jti")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


def is_local(url: str) -> bool:
    """Whether a URL is of this machine: there, and nowhere else, http will do."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def _secure_url(what: str, *, query: bool = False) -> Callable[[Any], str]:
    """A parser of URLs that stay as they are written: an issuer is compared letter by letter."""

    def parse(value: Any) -> str:
        addresses.url(value.partition("?")[0] if query and isinstance(value, str) and value.isascii() else value)
        if value.startswith("http://") and not is_local(value):
            raise ValueError(f"expected {what} that starts with https:// (http:// is for this machine alone)")
        return str(value)

    return parse


def _text(what: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= 256 or not value.isprintable():
            raise ValueError(f"expected {what}, found {found(value)}")
        if value != value.strip():
            raise ValueError(f"expected {what}, without spaces around it, found {found(value)}")
        return value

    return parse


def _claim(value: Any) -> str:
    """A claim's name, or a path of names: which of them it is, only a token tells."""
    said = _text("the name of a claim, or a path such as realm.roles")(value)
    if "" in said.split(".") or any(part != part.strip() for part in said.split(".")):
        raise ValueError(f"expected a path of names between single dots, such as realm.roles, found {found(value)}")
    if said in _REGISTERED:
        raise ValueError(f"{quoted(said)} says something else in every token (RFC 7519): expected another claim")
    return said


def _skew(value: Any) -> float:
    seconds = 0.0 if value == 0 or value == "0s" else values.duration(value)
    if seconds > MAX_SKEW_S:
        raise ValueError(f"expected a duration from 0s to 5m, found {found(value)}")
    return seconds


def certificate_name(value: Any) -> str:
    """A name as certificates have it, with what it is: only whole names, so that nobody is let in by a pattern."""
    text = value if isinstance(value, str) and len(value) <= 2048 and re.fullmatch(r"[!-~]+", value) else ""
    if text.startswith(SPIFFE) and re.fullmatch(r"[a-z0-9._-]+(/[A-Za-z0-9._-]+)*", text.removeprefix(SPIFFE)):
        return text
    if text.startswith(URI) and "://" in text and not text.removeprefix(URI).startswith(SPIFFE):
        return text
    if text.startswith(DNS) and _HOST.fullmatch(text.removeprefix(DNS).lower()):
        return text.lower()
    raise ValueError(
        "expected a name of a certificate, spiffe://TRUST-DOMAIN/PATH, uri:URI or dns:NAME (without *), "
        f"found {found(value)}"
    )


def _one_or_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


_Claim = Annotated[str, PlainValidator(_claim)]
_Audience = Annotated[str, PlainValidator(_text("who tokens are for, as their aud says"))]
_Word = Annotated[str, PlainValidator(_text("a role as the issuer calls it"))]


class Issuer(Entry):
    """Who signs tokens that are taken here, and what their claims mean."""

    issuer: Annotated[str, PlainValidator(_secure_url("an issuer"))]
    audience: Annotated[list[_Audience], BeforeValidator(_one_or_list), Field(min_length=1)]
    tenant_claim: _Claim | None = None
    roles_claim: _Claim | None = None
    roles: dict[_Word, Annotated[Role, PlainValidator(values.one_of(*ROLES))]] = Field(default={})
    jwks_uri: Annotated[str | None, PlainValidator(_secure_url("a URL", query=True))] = None
    ca: FilePath | None = None
    clock_skew_s: Annotated[float, PlainValidator(_skew)] = Field(default=60.0, alias="clock_skew")
    algorithms: list[Annotated[Algorithm, PlainValidator(values.one_of(*ALGORITHMS))]] = Field(
        default=list(ALGORITHMS), min_length=1
    )


class Client(Entry):
    """Whoever shows a certificate with this name."""

    san: Annotated[str, PlainValidator(certificate_name)]
    tenant: Name
    role: Annotated[TenantRole, PlainValidator(values.one_of(*TENANT_ROLES))] = "developer"


Issuers = Annotated[list[Issuer], BeforeValidator(_one_or_list), Field(min_length=1)]
