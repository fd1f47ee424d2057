"""An engine behind TLS that may ask for a client certificate: who connected is on its record."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.certificates import Authority

EVENTS = 40  # of a stream, 50 ms each
ANSWER = {
    "id": "chatcmpl-tls",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "secured"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0}]}


class TlsEngine:
    """A server on loopback. `serials` of the clients' certificates, one per request; None without one."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.serials: list[int | None] = []
        self.names: list[str | None] = []  # that clients asked for


@contextmanager
def tls_engine(
    folder: Path, authority: Authority, *names: str, clients: Authority | None = None, **dates: Any
) -> Iterator[TlsEngine]:
    """Run one whose certificate has these names; with `clients`, it wants a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(*names, **dates).write(folder, f"engine-{names[0]}"))
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.pem.decode())
    server = _Server(context)
    engine = server.engine
    context.sni_callback = lambda _socket, name, _context: engine.names.append(name)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield engine
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.context = context
        self.engine = TlsEngine(f"127.0.0.1:{self.server_address[1]}")

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(60)
        with contextlib.suppress(OSError):  # a handshake that fails, a client that leaves
            secured = self.context.wrap_socket(request, server_side=True)
            try:
                super().finish_request(secured, client_address)
            finally:
                with contextlib.suppress(OSError):
                    secured.shutdown(socket.SHUT_RDWR)
                secured.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.engine.serials.append(_serial(self.request))
        if body.get("stream"):
            self._stream()
        else:
            self._reply("application/json", json.dumps(ANSWER).encode())

    def _reply(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")  # the next request shows what is trusted by then
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for text in [json.dumps(CHUNK)] * EVENTS + ["[DONE]"]:
            event = f"data: {text}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            time.sleep(0.05)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: tests look at the record."""


def _serial(connection: ssl.SSLSocket) -> int | None:
    shown = connection.getpeercert()
    return int(shown["serialNumber"], 16) if shown else None
