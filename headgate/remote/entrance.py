"""Who gets in over a network: only callers whose verified certificate has one of the names that were given.

Others are gone before a byte of theirs is read. What a caller speaks is told by ALPN. Renewed files count for new
connections, within a second; a connection ends when the certificate does that it began with, all of them when the CAs
change. Its calls may go on to their end, and no new one is taken, whether the caller knows or not.
"""

import asyncio
import math
import ssl
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol, cast
from weakref import WeakKeyDictionary

import structlog

from headgate.clients import dns_name, uri_name
from headgate.config.certificates import CertificateError
from headgate.grpc_server import Server
from headgate.log_rate import LogRate
from headgate.remote.contexts import Renewed, server_context
from headgate.remote.network import Network, TlsFiles
from headgate.worker import TablesError

LOOK_EVERY_S = 1.0
REFUSES_AFTER_S = 10.0  # from the end on: a caller that does not heed it has no more calls
CUT_AFTER_S = 900.0  # likewise: those that run are cut

log = structlog.get_logger()


class Guest(Protocol):
    """A connection that was let in."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It begins."""

    def drain(self) -> None:
        """It ends, once what runs has ended."""

    def refuse(self) -> None:
        """It takes nothing new from now on."""

    def abort(self) -> None:
        """It ends now."""


class Entrance:
    """The TLS of a listener. `clients` are names as `auth.clients` has them; `spoken` makes guests, by ALPN.

    Raises CertificateError when the files cannot be used.
    """

    def __init__(
        self, files: TlsFiles, clients: Iterable[str], spoken: Mapping[str, Callable[[], asyncio.Protocol]]
    ) -> None:
        self._clients, self._spoken = frozenset(clients), spoken
        self._renewed = Renewed(files, lambda: server_context(files, list(spoken)))
        self.context = self._renewed.context
        self.context.sni_callback = self._greet  # called for each handshake, with a name or without
        self._ends: WeakKeyDictionary[Guest, float] = WeakKeyDictionary()
        self._log_rate = LogRate()

    def arrival(self) -> asyncio.Protocol:
        """The first moment of a connection."""
        return _Arrival(self)

    async def watch(self) -> None:
        """Takes over files that change, and ends what has expired, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = math.inf if self._renewed.look() else time.time()
            for guest in [guest for guest, ends in self._ends.items() if ends <= now]:
                del self._ends[guest]
                log.info("a connection ends: the caller's certificate has expired, or the CAs are others")
                _end(guest)

    def admit(self, transport: asyncio.BaseTransport) -> asyncio.Protocol | None:
        """Who goes on with this connection; None: nobody."""
        certificate = transport.get_extra_info("peercert") or {}
        spoken = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        names = set(_names(certificate))
        if not names & self._clients or spoken not in self._spoken:
            if (more := self._log_rate.line()) is not None:
                log.warning("caller refused", names=sorted(names), protocol=spoken, **more)
            return None
        guest = self._spoken[spoken]()
        self._ends[cast("Guest", guest)] = ssl.cert_time_to_seconds(certificate["notAfter"])
        return guest

    def _greet(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._renewed.context


async def listen(
    server: Server, address: str, network: Network, besides: Mapping[str, Callable[[], asyncio.Protocol]]
) -> Coroutine[Any, Any, None]:
    """Has the server listen for named callers, who may also speak what is given `besides`; what has to go on with it.

    Raises TablesError when the files cannot be used.
    """
    try:
        entrance = Entrance(network.files, network.clients, {"h2": server.peer, **besides})
    except OSError as error:
        raise TablesError(f"{error.filename}: {error.strerror}") from None
    except CertificateError as error:
        raise TablesError(str(error)) from None
    await server.listen(address, entrance.context, entrance.arrival)
    return entrance.watch()


class _Arrival(asyncio.Protocol):
    """Verified, and not yet let in."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        guest = self._entrance.admit(transport)
        if guest is None:
            cast("asyncio.Transport", transport).abort()
            return
        transport.set_protocol(guest)
        guest.connection_made(transport)


def _end(guest: Guest) -> None:
    guest.drain()
    loop = asyncio.get_running_loop()
    loop.call_later(REFUSES_AFTER_S, guest.refuse)
    loop.call_later(CUT_AFTER_S, guest.abort)


def _names(certificate: Mapping[str, Iterable[tuple[str, str]]]) -> list[str]:
    """In the form of `auth.clients`."""
    forms = {"URI": uri_name, "DNS": dns_name}
    return [forms[kind](name) for kind, name in certificate.get("subjectAltName", ()) if kind in forms]
