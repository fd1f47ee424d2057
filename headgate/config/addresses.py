"""Where things are: listening addresses, providers' and services' URLs.

The parsers take any value of the file and raise ValueError with a text for the operator. URLs are never
quoted in those texts: a password may stand in one. No IO, no name resolution.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

from headgate.config.wording import found
from headgate.objects.location import parse as parse_objects_url
from headgate.store_url import parse as parse_store_url

_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)
_URL_PATH = re.compile(r"(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)*/?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. `host` is a name or an IP address, without brackets; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{_bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class Url:
    """An http(s) URL; `port` is always filled in, `path` is "" or starts and does not end with a slash."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """`host:port`, with brackets around an IPv6 address."""
        return f"{_bracketed(self.host)}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def address(value: Any) -> Address:
    """`127.0.0.1:8080`, `localhost:8080` or `[::1]:8080`."""
    wanted = f"expected host:port, such as 127.0.0.1:8080 or [::1]:8080, found {found(value)}"
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not colon or not port.isascii() or not port.isdigit() or not host:
        raise ValueError(wanted)
    if len(port) > 5 or int(port) > 65_535:
        raise ValueError(f"expected a port from 0 to 65535, found {port[:20]}")
    plain_host = _unbracketed(host)
    if plain_host is None:
        raise ValueError(wanted)
    return Address(plain_host, int(port))


def reached_address(value: Any) -> Address:
    """The same for somebody else's: no port of the system's choice, and no address that stands for all."""
    reached = address(value)
    if reached.port == 0:
        raise ValueError("expected a port from 1 to 65535, found 0")
    if is_address(reached.host) and ipaddress.ip_address(reached.host).is_unspecified:
        raise ValueError(f"expected a host that can be connected to, found {found(value)}")
    return reached


def host_name(value: Any) -> str:
    """A DNS name."""
    if not isinstance(value, str) or not _HOST.fullmatch(value) or is_address(value):
        raise ValueError(f"expected a DNS name, found {found(value)}")
    return value.lower()


def is_address(host: str) -> bool:
    """Whether it is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    return ipaddress.ip_address(host).is_loopback if is_address(host) else host.lower() == "localhost"


def url(value: Any) -> Url:
    """An http or https URL without user, query or fragment."""
    parts = _split_url(value)
    if parts.scheme not in ("http", "https"):
        raise ValueError("expected a URL that starts with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("expected a URL without user or password (credentials go in api_key)")
    if "?" in value or "#" in value:
        raise ValueError("expected a URL without query or fragment")
    host, port = _host_and_port(parts)
    path = parts.path
    if not _URL_PATH.fullmatch(path) or any(segment in (".", "..") for segment in path.split("/")):
        raise ValueError("expected a URL whose path has no empty, dot or unescaped parts")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return Url(scheme, host, port or (443 if scheme == "https" else 80), path.rstrip("/"))


def service_url(*schemes: str, several: bool = False) -> Callable[[Any], str]:
    """A parser of the URLs of one service, kept as text; only the schemes in `schemes` are allowed.

    `several`: nodes of a cluster may stand between commas.
    """
    allowed = " or ".join(f"{scheme}://" for scheme in schemes)

    def parse(value: Any) -> str:
        parts = _split_url(value, wanted=f"expected a URL that starts with {allowed}")
        if parts.scheme not in schemes:
            raise ValueError(f"expected a URL that starts with {allowed}")
        if parts.scheme in ("unix", "file", "sqlite"):
            if not parts.path.strip("/"):
                raise ValueError(f"expected a path after {parts.scheme}://")
        elif several:
            _check_nodes(parts)
        elif not (parts.scheme == "postgresql" and _names_a_socket(parts)):
            _host_and_port(parts)
        return str(value)

    return parse


def store_url(value: Any) -> str:
    """The usage store's URL, kept as text."""
    text = service_url("clickhouse", "clickhouses")(value)
    parse_store_url(text)
    return text


def objects_url(value: Any) -> str:
    """The URL of the store of objects, kept as text."""
    if not isinstance(value, str):
        raise ValueError("expected a URL that starts with s3:// or file://")  # noqa: TRY004 - pydantic collects these
    parse_objects_url(value)
    return value


def _names_a_socket(parts: SplitResult) -> bool:
    """As libpq has it: no host before the path, and the socket's folder in the query."""
    no_host = not parts.netloc.rpartition("@")[2]
    return no_host and any(folder.startswith("/") for folder in parse_qs(parts.query).get("host", []))


def _check_nodes(parts: SplitResult) -> None:
    nodes = [_host_and_port(_split_url(f"node://{node}")) for node in parts.netloc.rpartition("@")[2].split(",")]
    if len({(host, port or 6379) for host, port in nodes}) < len(nodes):
        raise ValueError("expected a URL that names every node once")


def _split_url(value: Any, wanted: str = "expected a URL that starts with http:// or https://") -> SplitResult:
    # urlsplit drops tabs and line breaks silently: look first.
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value) or "://" not in value:
        raise ValueError(wanted)
    try:
        return urlsplit(value)
    except ValueError:
        raise ValueError("expected a URL with a valid host") from None


def _host_and_port(parts: SplitResult) -> tuple[str, int | None]:
    try:
        port = parts.port
    except ValueError:
        raise ValueError("expected a URL with a port from 1 to 65535") from None
    netloc = parts.netloc.rpartition("@")[2]
    if port == 0 or netloc.endswith(":"):
        raise ValueError("expected a URL with a port from 1 to 65535")
    host = _unbracketed(netloc if port is None else netloc.rpartition(":")[0])
    if host is None:
        raise ValueError("expected a URL with a valid host")
    return host, port


def _unbracketed(host: str) -> str | None:
    """The host without brackets; None if it is neither a name nor an address."""
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            return None
    return host.lower() if _HOST.fullmatch(host) else None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
