"""The bridge's process: takes the WebSockets that Envoy brings on a Unix socket, and lets them go at its end.

It starts with every gateway and is mostly idle: what it imports is what it costs.
"""

import http
import os
from pathlib import Path

import msgspec
import structlog
import uvloop
from websockets.asyncio.server import ServerConnection, unix_serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from headgate.bridge.asking import asking_of
from headgate.bridge.bounds import CONNECTIONS_OF_TENANT, MEMORY_BYTES, Bounds, FullError
from headgate.bridge.client import Client
from headgate.bridge.conversation import Memory
from headgate.bridge.events import problem
from headgate.bridge.socket import Socket
from headgate.contract import BRIDGE_SOCKET, ERROR_SOURCE
from headgate.lifeline import until_end

PING_S = 20.0  # so that nothing on the way takes a connection for idle

log = structlog.get_logger()


def run(*, lifeline: bool) -> None:
    """Serve below the working directory until SIGTERM, SIGINT or, with `lifeline`, the end of stdin."""
    BRIDGE_SOCKET.parent.mkdir(mode=0o700, exist_ok=True)
    uvloop.run(_serve(lifeline=lifeline))


class Bridge:
    """The connections of one process."""

    def __init__(self) -> None:
        self.bounds = Bounds()
        self._memory = Memory(MEMORY_BYTES)
        self._clients: set[Client] = set()
        self._ends = False

    async def serve(self, socket: ServerConnection) -> None:
        """One connection, until it ends."""
        asking = socket.asking if isinstance(socket, Socket) else None
        if asking is None or not isinstance(socket, Socket):
            return
        with self.bounds.connection(asking.tenant) as share:
            client = Client(socket, asking, self.bounds, share, self._memory)
            self._clients.add(client)
            if self._ends:
                client.end()
            try:
                await client.run()
            finally:
                self._clients.discard(client)

    def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """None where the connection may come, otherwise why not."""
        asking = asking_of(request.path, request.headers.raw_items())
        if asking is None:
            return _refused(400, "This is not for clients.", "bad_request")
        try:
            self.bounds.check(asking.tenant)
        except FullError as full:
            if full.own:
                text = f"There are {CONNECTIONS_OF_TENANT} WebSocket connections of yours already: close one."
                return _refused(429, text, "rate_limit_exceeded", "requests")
            text = "The gateway takes no more WebSocket connections right now. Retry after a short wait."
            return _refused(503, text, "gateway_overloaded", "server_error")
        if isinstance(socket, Socket):
            socket.admitted(self.bounds, asking)
        return None

    def end(self) -> None:
        """Every connection ends when what it runs has ended."""
        self._ends = True
        for client in self._clients:
            client.end()


def _as_json(_socket: ServerConnection, _request: Request, response: Response) -> Response | None:
    """What the library refuses, in the shape of the API."""
    if response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS or ERROR_SOURCE in response.headers:
        return None
    text = response.body.decode("utf-8", "replace").strip() or "The WebSocket handshake is not valid."
    return _refused(response.status_code, text, "bad_request")


def _refused(status: int, text: str, code: str, kind: str = "invalid_request_error") -> Response:
    body = msgspec.json.encode({"error": problem(text, code, kind=kind)})
    headers = Headers({"content-type": "application/json", "content-length": str(len(body)), ERROR_SOURCE: "gateway"})
    return Response(status, http.HTTPStatus(status).phrase, headers, body)


async def _serve(*, lifeline: bool) -> None:
    bridge = Bridge()
    # Renamed when it listens: a successor takes the name over, and somebody always listens there.
    draft = Path(f"{BRIDGE_SOCKET}.{os.getpid()}")
    server = await unix_serve(
        bridge.serve,
        str(draft),
        process_request=bridge.admit,
        process_response=_as_json,
        create_connection=Socket,
        server_header=None,
        compression=None,  # a message is as large as it is
        max_queue=2,
        ping_interval=PING_S,
        ping_timeout=None,  # a client that is slow to read is slow to answer
    )
    draft.replace(BRIDGE_SOCKET)  # noqa: ASYNC240 - one system call
    log.info("bridge started", pid=os.getpid())
    await until_end(lifeline=lifeline)
    server.close(close_connections=False)
    bridge.end()
    await server.wait_closed()
    log.info("bridge stopped")
