"""The URL of `services.database`: a file of SQLite's, or a PostgreSQL as libpq finds it. No IO.

It stays as it is written. Texts quote no part of it but names of options: a password may stand in it.
"""

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from headgate.config import addresses
from headgate.config.wording import nearest, quoted

# https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile", "servicefile")
_OPTIONS = frozenset(
    (
        *_FILES,
        *("host", "hostaddr", "port", "dbname", "user", "password", "require_auth", "channel_binding", "service"),
        *("connect_timeout", "client_encoding", "options", "application_name", "fallback_application_name"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        *("gssencmode", "krbsrvname", "gsslib", "gssdelegation", "requirepeer", "target_session_attrs"),
        *("sslmode", "sslnegotiation", "sslcompression", "sslpassword", "sslcertmode", "sslcrldir", "sslsni"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version", "load_balance_hosts"),
    )
)
_SYSTEMS = ("sslrootcert", "system")
_SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_by_scheme = addresses.service_url("postgresql", "sqlite")


def database_url(value: Any) -> str:
    """Raises ValueError for what would lead nowhere, or elsewhere than it says."""
    if isinstance(value, str) and "#" in value:  # first: urlsplit takes the rest of a password for the fragment
        raise ValueError("expected a URL without '#' (in a password it is written %23)")
    url = _by_scheme(value)
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        _check_file(parts)
    else:
        _check_server(parts)
    return url


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for a server."""
    parts = urlsplit(url)
    return Path(parts.path[1:]) if parts.scheme == "sqlite" else None


def files_of(url: str) -> dict[str, Path]:
    """What a PostgreSQL's URL refers to, by its option."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {}
    given = dict(parse_qsl(parts.query))
    return {name: Path(given[name]) for name in _FILES if name in given and (name, given[name]) != _SYSTEMS}


def _check_file(parts: SplitResult) -> None:
    if not parts.path.startswith("//") or parts.path.strip("/") == "":
        raise ValueError("expected an absolute path: sqlite:////path has four slashes")
    if parts.query:
        raise ValueError("expected a URL without options: SQLite's are Headgate's own")


def _check_server(parts: SplitResult) -> None:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    name = unquote(parts.path.removeprefix("/")) or options.get("dbname", "")
    if not name or "/" in name:
        raise ValueError("expected a URL that ends in the name of a database, postgresql://host/NAME")
    for option, said in options.items():
        if option not in _OPTIONS:
            raise ValueError(f"unknown option {quoted(option[:40])}{nearest(option, sorted(_OPTIONS))}")
        if option == "sslmode" and said not in _SSLMODES:
            raise ValueError(f"expected sslmode to be one of {', '.join(_SSLMODES)}")
        if option in _FILES and not said.startswith("/") and (option, said) != _SYSTEMS:
            raise ValueError(f"expected {option} to be an absolute path")
