"""Where the counters are: a URL of `services.counters`, or the embedded server's socket."""

import functools
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from headgate.contract import COUNTERS_SOCKET, COUNTERS_URL_ENV


@dataclass(frozen=True, slots=True)
class CountersAddress:
    """A Unix socket, or a host with its port. The password is in no repr.

    `others` are more nodes of the same cluster, where all take the same credentials.
    """

    path: str | None = None
    host: str = "127.0.0.1"
    port: int = 6379
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    others: tuple[tuple[str, int], ...] = ()

    @property
    def name(self) -> str:
        """What people call it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"

    def each(self) -> "tuple[CountersAddress, ...]":
        """The nodes that are named, each by itself."""
        return (replace(self, others=()), *(self.at(host, port) for host, port in self.others))

    def at(self, host: str, port: int) -> "CountersAddress":
        """Another node, by the same credentials."""
        return replace(self, path=None, host=host, port=port, others=())

    def greeting(self) -> list[tuple[str, ...]]:
        """The commands that a new connection begins with."""
        commands: list[tuple[str, ...]] = []
        if self.password is not None:
            commands.append(("AUTH", *([self.user] if self.user else []), self.password))
        if self.database:
            commands.append(("SELECT", str(self.database)))
        return commands

    def context(self) -> ssl.SSLContext | None:
        """Verified TLS for `rediss://`."""
        return _verifying() if self.tls else None


EMBEDDED = CountersAddress(path=str(COUNTERS_SOCKET))


def counters_address(environ: Mapping[str, str] = os.environ) -> CountersAddress:
    """Where this process finds the counters. The URL comes by the environment: it may hold a password."""
    url = environ.get(COUNTERS_URL_ENV)
    return parsed(url) if url else EMBEDDED


def parsed(url: str) -> CountersAddress:
    """A checked `redis://`, `rediss://`, `valkey://` or `unix://` URL; several nodes stand between commas."""
    parts = urlsplit(url)
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if parts.scheme == "unix":
        database = parse_qs(parts.query).get("db", ["0"])[0]
        path = str(Path(unquote(parts.path)))
        return CountersAddress(path=path, user=user, password=password, database=_number(database))
    (host, port), *others = (_node(text) for text in parts.netloc.rpartition("@")[2].split(","))
    return CountersAddress(
        host=host,
        port=port,
        tls=parts.scheme == "rediss",
        user=user,
        password=password,
        database=_number(parts.path.strip("/")),
        others=tuple(others),
    )


def _node(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "127.0.0.1", parts.port or 6379


@functools.cache
def _verifying() -> ssl.SSLContext:
    return ssl.create_default_context()  # reads the system's certificates: some 10 ms


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
