"""Where the usage store is, as `services.usage` says it. Pure; no error quotes the URL: a password may be in it."""

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_QUERY = ("password", "ca")
_FORM = "clickhouse://user@host:8123/database"


@dataclass(frozen=True, slots=True)
class PasswordPlace:
    """Where a password is read when a connection is made: a variable of the environment, or a file."""

    kind: Literal["env", "file"]
    place: str


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A ClickHouse. `password` is that of the URL, or where it is; `ca` a file of certificates to trust instead."""

    host: str
    port: int
    tls: bool
    database: str
    user: str
    password: str | PasswordPlace = field(repr=False)
    ca: str | None


def parse(text: str) -> StoreUrl:
    """Raises ValueError with a text for the operator."""
    parts = urlsplit(text)
    if parts.scheme not in ("clickhouse", "clickhouses"):
        raise ValueError("expected a URL that starts with clickhouse:// or clickhouses://")
    tls = parts.scheme == "clickhouses"
    if not parts.hostname:
        raise ValueError(f"expected a URL with a host, such as {_FORM}")
    database = parts.path.strip("/") or "headgate"
    if not _DATABASE.fullmatch(database):
        raise ValueError(f"expected a database of letters, digits and _ after the host, such as {_FORM}")
    query = _query_of(parts.query)
    if "ca" in query and not tls:
        raise ValueError("expected clickhouses:// where ca= is given")
    password: str | PasswordPlace = unquote(parts.password or "")
    if "password" in query:
        if password:
            raise ValueError("expected one password, found one in the URL and one in password=")
        password = _place_of(query["password"])
    port = parts.port or (8443 if tls else 8123)
    return StoreUrl(
        parts.hostname, port, tls, database, unquote(parts.username or "default"), password, query.get("ca")
    )


def password_variables(text: str | None) -> tuple[str, ...]:
    """The variable of the environment that the password is in, if one is named."""
    password = parse(text).password if text else ""
    return (password.place,) if isinstance(password, PasswordPlace) and password.kind == "env" else ()


def _query_of(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True)
    query = dict(pairs)
    if len(query) < len(pairs) or not set(query) <= set(_QUERY) or not all(query.values()):
        raise ValueError(
            "expected nothing after ? but password=env:NAME, password=file:/PATH and ca=/PATH, each once"
        )
    if not query.get("ca", "/").startswith("/"):
        raise ValueError("expected an absolute path after ca=")
    return query


def _place_of(text: str) -> PasswordPlace:
    kind, _, place = text.partition(":")
    if kind == "env" and place:
        return PasswordPlace("env", place)
    if kind == "file" and place.startswith("/"):
        return PasswordPlace("file", place)
    raise ValueError("expected env:NAME or file:/PATH (absolute) after password=")
