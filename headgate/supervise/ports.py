"""Addresses: parsing, and finding out beforehand whether one is free.

Envoy binds with SO_REUSEPORT, so a second Envoy would share a port in silence. The probe binds without it.
"""

import asyncio
import errno
import socket
from dataclasses import dataclass
from typing import cast

from headgate.config.addresses import Address
from headgate.config.model import Gateway
from headgate.supervise.refusal import Refusal

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read here, never bound


@dataclass(frozen=True, slots=True)
class Listen:
    """One address of `listen`, under the name that the file gives it (`listen.http`)."""

    name: str
    address: Address
    kind: socket.SocketKind = socket.SOCK_STREAM

    def url(self, scheme: str) -> str:
        """A URL that reaches it from this machine."""
        host = _WILDCARDS.get(self.address.host, self.address.host)
        return f"{scheme}://{Address(host, self.address.port)}"


def edge_listens(gateway: Gateway) -> list[Listen]:
    """The addresses that Envoy binds."""
    found = [Listen("listen.http", gateway.listen.http)] if gateway.listen.http else []
    if https := gateway.listen.https:
        found.append(Listen("listen.https", https.address))
        if https.http3:
            found.append(Listen("listen.https", https.address, socket.SOCK_DGRAM))
    return found


def admin_listen(gateway: Gateway) -> Listen:
    """The address that the supervisor binds itself."""
    return Listen("listen.admin", gateway.listen.admin)


def taken(listen: Listen) -> Refusal:
    """What to tell the operator about an address that is in use."""
    return Refusal(f"{listen.name}: {listen.address} is taken by another process; stop it or change {listen.name}")


def require_free(listen: Listen) -> None:
    """Raise Refusal when `listen` can't be bound."""
    family, kind, protocol, address = _resolve(listen)
    with socket.socket(family, kind, protocol) as probe:
        if listen.kind == socket.SOCK_STREAM:  # with UDP it would mean to share
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT are no obstacle
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # as Envoy binds it
        try:
            probe.bind(address)
            if listen.kind == socket.SOCK_STREAM:
                probe.listen(1)  # two sockets with SO_REUSEADDR may be bound at once, but only one can listen
        except OSError as error:
            raise refusal_of(listen, error) from error


def refusal_of(listen: Listen, error: OSError) -> Refusal:
    """The line for an `error` from binding `listen`."""
    if isinstance(error, PermissionError):
        return Refusal(f"{listen.name}: {listen.address}: not allowed for this user; take a port from 1024 on")
    if error.errno == errno.EADDRINUSE:
        return taken(listen)
    return Refusal(f"{listen.name}: {listen.address}: {error.strerror}")


async def until_free(listen: Listen, within_s: float) -> None:
    """Wait until `listen` can be bound: an Envoy that drains lets go within tens of milliseconds.

    Raises Refusal when `within_s` was not enough.
    """
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        try:
            return require_free(listen)
        except Refusal:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.02)


def is_free_port(port: int) -> bool:
    """Whether a part of ours could listen on this loopback port."""
    try:
        require_free(Listen("", Address("127.0.0.1", port)))
    except Refusal:
        return False
    return True


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _resolve(listen: Listen) -> tuple[int, int, int, tuple[str | int, ...]]:
    try:
        found = socket.getaddrinfo(
            listen.address.host, listen.address.port, type=listen.kind, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise Refusal(f"{listen.name}: {listen.address}: {error.strerror}") from error
    family, kind, protocol, _name, address = found[0]
    return family, kind, protocol, cast("tuple[str | int, ...]", address)
