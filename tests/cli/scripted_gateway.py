"""Something that answers as it was told, byte by byte, and keeps what it was asked: for what a client does then."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Scripted:
    """Answers each request with the next of `answers`; an empty one closes the connection without a word."""

    url: str
    answers: list[bytes]
    asked: list[Asked] = field(default_factory=list)


def answer(status: int, body: Any = None, **headers: str) -> bytes:
    """A whole answer; names of headers have `_` for `-`."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "application/problem+json" if status >= 400 else "application/json"
    fields = {"content-type": kind, "content-length": str(len(content))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} x\r\n{head}\r\n".encode() + content


def problem(status: int, code: str, detail: str, **more: Any) -> bytes:
    said = {
        "type": f"urn:headgate:problem:{code}",
        "title": "Title",
        "status": status,
        "detail": detail,
        "code": code,
    }
    return answer(status, said | {"request_id": "r-1"} | more)


@contextmanager
def scripted(*answers: bytes, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """A server for this many requests; those after them are answered with 418."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        scheme = "https" if tls else "http"
        running = Scripted(f"{scheme}://127.0.0.1:{server.getsockname()[1]}", list(answers))
        thread = threading.Thread(target=_serve, args=(server, running, tls))
        thread.start()
        try:
            yield running
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _serve(server: socket.socket, running: Scripted, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        client.settimeout(60)
        try:
            with tls.wrap_socket(client, server_side=True) if tls else client as connection:
                while _answered(connection, running):
                    pass
        except OSError:  # it went away, or it does not trust us
            client.close()


def _answered(connection: socket.socket, running: Scripted) -> bool:
    """Whether the connection goes on."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return False
        head += byte
    first, *lines = head.decode().split("\r\n")[:-2]
    headers: Mapping[str, str] = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = b""
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65_536)
    method, target, _ = first.split(" ")
    running.asked.append(Asked(method, target, dict(headers), body))
    said = running.answers.pop(0) if running.answers else answer(418)
    connection.sendall(said)
    return said.startswith(b"HTTP") and b"connection: close" not in said
