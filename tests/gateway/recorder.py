"""A provider that writes down what reaches it, byte by byte, and reads it as strictly as h11 does."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import h11

ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ok"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()
CHUNK_BYTES = 65_536


@dataclass
class Received:
    """One request as the provider understood it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""


@dataclass
class Recorder:
    """What came, and how many bytes of a flood were taken."""

    address: str
    requests: list[Received] = field(default_factory=list)
    broken: list[bytes] = field(default_factory=list)  # what was no HTTP
    flooded_bytes: int = 0

    def forget(self) -> None:
        self.requests.clear()
        self.broken.clear()


# Sends the answer to one request; the connection goes on if h11 says that the answer is whole.
Answer = Callable[[socket.socket, h11.Connection, Received, Recorder, threading.Event], None]


@contextmanager
def recorder(answer: Answer | None = None) -> Iterator[Recorder]:
    """Run one on loopback. A body with `flood: n` gets a stream of n bytes, as fast as it is taken."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        server.settimeout(0.1)
        found = Recorder(f"127.0.0.1:{server.getsockname()[1]}")
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    peer, _ = server.accept()
                    threading.Thread(target=_serve, args=(peer, answer or _answer, found, ended), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()


def _serve(peer: socket.socket, answer: Answer, found: Recorder, ended: threading.Event) -> None:
    connection = h11.Connection(h11.SERVER)
    raw = b""
    with peer, contextlib.suppress(OSError):
        peer.settimeout(30)
        while not ended.is_set():
            request = Received("", "", [])
            while True:
                try:
                    event = connection.next_event()
                except h11.RemoteProtocolError:
                    found.broken.append(raw)
                    return
                if event is h11.NEED_DATA:
                    data = peer.recv(CHUNK_BYTES)
                    raw += data
                    connection.receive_data(data)
                    if not data and connection.their_state in (h11.IDLE, h11.CLOSED):
                        return
                elif isinstance(event, h11.Request):
                    request.method, request.target = event.method.decode(), event.target.decode()
                    request.headers = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
                elif isinstance(event, h11.Data):
                    request.body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    break
                else:
                    return
            found.requests.append(request)
            answer(peer, connection, request, found, ended)
            if connection.our_state is not h11.DONE:
                return
            connection.start_next_cycle()
            raw = b""


def _answer(
    peer: socket.socket, connection: h11.Connection, request: Received, found: Recorder, ended: threading.Event
) -> None:
    with contextlib.suppress(ValueError):
        body = json.loads(request.body)
        if isinstance(body, dict) and body.get("flood"):
            return _flood(peer, connection, body["flood"], found, ended)
    headers = [("content-type", "application/json"), ("content-length", str(len(ANSWER)))]
    peer.sendall(connection.send(h11.Response(status_code=200, headers=headers)) or b"")
    peer.sendall((connection.send(h11.Data(ANSWER)) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    return None


def _flood(
    peer: socket.socket, connection: h11.Connection, size: int, found: Recorder, ended: threading.Event
) -> None:
    peer.sendall(
        connection.send(h11.Response(status_code=200, headers=[("content-type", "text/event-stream")])) or b""
    )
    event = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 900 + b'"}}]}\n\n'
    piece = connection.send(h11.Data(event * 64)) or b""
    peer.settimeout(0.2)
    sent = 0
    while sent < size and not ended.is_set():
        view = memoryview(piece)
        while view and not ended.is_set():
            with contextlib.suppress(TimeoutError):
                taken = peer.send(view)
                view = view[taken:]
                found.flooded_bytes += taken
        sent += len(piece)
        time.sleep(0)
    peer.settimeout(30)
    peer.sendall(connection.send(h11.EndOfMessage()) or b"")
