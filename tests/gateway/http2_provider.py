"""A provider that speaks HTTP/2 behind TLS and answers by the model's name: with trailers, and without a body."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded
from provider_answers import Asked, encoded, error_body, events, whole

from tests.certificates import Authority

# `head` ends with its head; the others end with trailers: good and bad answers, those without a body, and `empty`, of
# which a frame of data has nothing.
WAYS = ("head", "trailers", "empty", "body", "error", "error_alone")
TRAILERS = [("x-checksum", "1")]


@contextmanager
def http2_provider(folder: Path, authority: Authority, api: str) -> Iterator[str]:
    """Run one on loopback; its address by the name in its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost").write(folder, f"http2-{api}"))
    context.set_alpn_protocols(["h2"])
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        server.settimeout(0.1)

        def accept() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    peer, _ = server.accept()
                    threading.Thread(target=_serve, args=(peer, context, api), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"localhost:{server.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


def _serve(raw: socket.socket, context: ssl.SSLContext, api: str) -> None:
    with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as peer:
        peer.settimeout(30)
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        bodies = dict[int, bytes]()
        while True:
            peer.sendall(connection.data_to_send())
            data = peer.recv(65536)
            if not data:
                return
            for event in connection.receive_data(data):
                if isinstance(event, DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    _answer(connection, event.stream_id, json.loads(bodies.pop(event.stream_id)), api)


def _answer(connection: H2Connection, stream: int, body: dict[str, object], api: str) -> None:
    way = str(body["model"])
    asked = Asked(api, "http2", way, bool(body.get("stream")), bool(body.get("stream_options")))
    is_error = way.startswith("error")
    kind = "text/event-stream" if asked.stream and not is_error else "application/json"
    fields = [(":status", "400" if is_error else "200"), ("content-type", kind)]
    connection.send_headers(stream, fields, end_stream=way == "head")
    said = _bodies(asked).get(way)
    if said is not None:
        connection.send_data(stream, said)
    if way != "head":
        connection.send_headers(stream, TRAILERS, end_stream=True)


def _bodies(asked: Asked) -> dict[str, bytes]:
    good = b"".join(events(asked)) if asked.stream else encoded(whole(asked))
    error = encoded(error_body(asked, 400, "Temperature is wrong.", "invalid_request_error"))
    return {"body": good, "error": error, "empty": b""}
