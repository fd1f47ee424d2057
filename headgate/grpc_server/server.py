"""The server: listens, moves bytes between sockets and connections, drains. All of it in one thread.

TLS is the listener's business: who listens with it says what becomes of a connection once it is verified.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

import structlog

from headgate.grpc_server.calls import Method, open_call
from headgate.grpc_server.connection import Connection
from headgate.grpc_server.outgoing import Limits

log = structlog.get_logger()

_PREFACE_WITHIN_S = 10.0
_HANDSHAKE_WITHIN_S = 10.0
_CLOSED_WITHIN_S = 5.0
_UNSENT_BYTES = 2**20  # what the transport may hold before we stop reading its peer


class Server:
    """Serves gRPC methods by HTTP/2 with prior knowledge on any number of addresses."""

    def __init__(self, methods: Iterable[Method], limits: Limits | None = None) -> None:
        self._methods = {method.path.encode(): method for method in methods}
        self._limits = limits or Limits()
        self._listeners: list[asyncio.Server] = []
        self._peers: set[_Peer] = set()
        self._empty = asyncio.Event()

    def offer(self, methods: Iterable[Method]) -> None:
        """Serves these from now on, and no others; calls that run go on."""
        self._methods.clear()
        self._methods.update({method.path.encode(): method for method in methods})

    async def listen(
        self, address: str, tls: ssl.SSLContext | None = None, arrival: Callable[[], asyncio.Protocol] | None = None
    ) -> str:
        """Starts to serve `unix:PATH` or `HOST:PORT` (IPv6 in brackets); returns the address with the real port.

        With `tls`, connections begin with `arrival`, which hands those that may go on over to a `peer`.
        """
        loop = asyncio.get_running_loop()
        scheme, _, path = address.partition(":")
        if scheme == "unix":
            self._listeners.append(await loop.create_unix_server(self.peer, path, backlog=1024))
            return address
        host, _, port = address.rpartition(":")
        server = await loop.create_server(
            arrival or self.peer,
            host.strip("[]"),
            int(port),
            backlog=1024,
            ssl=tls,
            ssl_handshake_timeout=_HANDSHAKE_WITHIN_S if tls else None,
            ssl_shutdown_timeout=_CLOSED_WITHIN_S if tls else None,
        )
        self._listeners.append(server)
        return f"{host}:{server.sockets[0].getsockname()[1]}"

    async def close(self, drain_s: float) -> None:
        """Takes no more connections and calls; waits for those that there are, `drain_s` at most."""
        for listener in self._listeners:
            listener.close()
        for peer in list(self._peers):
            peer.drain()
        if not await self._emptied(drain_s):
            log.warning("calls cut off", connections=len(self._peers))
            for peer in list(self._peers):
                peer.abort()
            await self._emptied(_CLOSED_WITHIN_S)

    async def _emptied(self, within_s: float) -> bool:
        self._empty.clear()
        if self._peers:
            try:
                await asyncio.wait_for(self._empty.wait(), within_s)
            except TimeoutError:
                return False
        return True

    def peer(self) -> "_Peer":
        """One more connection."""
        return _Peer(self._peers, self._empty, self._methods, self._limits)


class _Peer(asyncio.Protocol):
    """One connection's transport. What one read brought about is one write."""

    def __init__(
        self, peers: set["_Peer"], empty: asyncio.Event, methods: dict[bytes, Method], limits: Limits
    ) -> None:
        self._peers = peers
        self._empty = empty
        self._loop = asyncio.get_running_loop()
        self._connection = Connection(limits, partial(open_call, methods), self._flush_soon)
        self._flush_due = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_UNSENT_BYTES)
        self._peers.add(self)
        self._timer = self._loop.call_later(_PREFACE_WITHIN_S, self._expect_preface)
        self._flush()

    def data_received(self, data: bytes) -> None:
        connection = self._connection
        connection.receive(data)
        out = connection.take()
        if out:
            self._transport.write(out)
        if connection.closed:
            self._close()

    def pause_writing(self) -> None:
        self._connection.pause()
        if not self._transport.is_closing():
            self._transport.pause_reading()  # answers to what it sends must not pile up either

    def resume_writing(self) -> None:
        self._connection.resume()
        self._flush()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        self._connection.lost()
        if self._timer:
            self._timer.cancel()
        self._peers.discard(self)
        if not self._peers:
            self._empty.set()

    def drain(self) -> None:
        """Ends the connection once its calls have ended."""
        self._connection.drain()

    def refuse(self) -> None:
        """Takes no more calls, also of a peer that has not answered to `drain`."""
        self._connection.end_with_streams()

    def abort(self) -> None:
        """Ends the connection and its calls now."""
        self._connection.lost()
        self._transport.abort()

    def _expect_preface(self) -> None:
        if not self._connection.settled:
            self.abort()

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if self._transport.is_closing():
            return
        out = self._connection.take()
        if out:
            self._transport.write(out)
        if self._connection.closed:
            self._close()

    def _close(self) -> None:
        """Lets the transport send what it has; a peer that does not read is not waited for."""
        if not self._transport.is_closing():
            self._transport.close()
            if self._timer:
                self._timer.cancel()
            self._timer = self._loop.call_later(_CLOSED_WITHIN_S, self._transport.abort)
