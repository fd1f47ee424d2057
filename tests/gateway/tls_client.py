"""TLS and HTTP/3 from a client's side: contexts that trust a test's authority, one request over QUIC."""

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent

from tests.certificates import Authority, Issued

TIMEOUT_S = 60.0


def trusting(authority: Authority, client: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """A context that trusts this authority alone, and shows `client` (certificate, key) when asked."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    if client:
        context.load_cert_chain(*client)
    return context


def served_serial(address: str) -> int:
    """The serial number of the certificate that a server shows now."""
    from cryptography import x509

    host, port = address.split(":")
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode()).serial_number


@dataclass
class Http3Reply:
    """An answer over HTTP/3; `whole` when its end was seen."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False

    @property
    def status(self) -> int:
        return int(self.headers[":status"])


class _Client(QuicConnectionProtocol):
    """Sends one request and collects its answer."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.http = H3Connection(self._quic)
        self.reply = Http3Reply()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask(self, headers: dict[str, str], body: bytes) -> Http3Reply:
        stream = self._quic.get_next_available_stream_id()
        self.http.send_headers(stream, [(n.encode(), v.encode()) for n, v in headers.items()], end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)
        self.transmit()
        async with asyncio.timeout(TIMEOUT_S):
            await self.done
        return self.reply

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated) and not self.done.done():
            self.done.set_exception(ConnectionError(event.reason_phrase))
        for http_event in self.http.handle_event(event):
            self._on(http_event)

    def _on(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            self.reply.headers |= {name.decode(): value.decode() for name, value in event.headers}
        elif isinstance(event, DataReceived):
            self.reply.body += event.data
        if getattr(event, "stream_ended", False) and not self.done.done():
            self.reply.whole = True
            self.done.set_result(None)


async def http3(
    address: str,
    authority: Authority,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes = b"",
    client: Issued | None = None,
) -> Http3Reply:
    """One request on a QUIC connection of its own. Raises ConnectionError when there is none."""
    host, port = address.split(":")
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=H3_ALPN, server_name=host, idle_timeout=TIMEOUT_S
    )
    configuration.load_verify_locations(cadata=authority.pem)
    if client:
        _show(configuration, client)
    pseudo = {":method": method, ":scheme": "https", ":authority": address, ":path": path}
    async with connect(host, int(port), configuration=configuration, create_protocol=_Client) as protocol:
        return await cast("_Client", protocol).ask({**pseudo, **headers}, body)


def _show(configuration: QuicConfiguration, client: Issued) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    configuration.certificate = x509.load_pem_x509_certificate(client.cert)
    configuration.private_key = cast("Any", serialization.load_pem_private_key(client.key, None))
