"""A plain-socket HTTP/1.1 client for tests that must see the bytes, and a running simulator."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0
ASK = {"model": "any", "messages": [{"role": "user", "content": "Why is water wet?"}]}


@dataclass
class Reply:
    """What came back: `frames` are the chunks of a chunked body, `reset` is how the connection ended."""

    status: int
    headers: dict[str, str]
    body: bytes
    frames: list[bytes] = field(default_factory=list)
    reset: bool = False
    ended: bool = True  # the last chunk or the whole content-length was there

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[str]:
        """The data of each SSE event."""
        newline = "\r\n" if b"\r\n\r\n" in self.body else "\n"
        return [event.removeprefix("data: ") for event in self.body.decode().split(newline * 2) if event]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(event) for event in self.events if event != "[DONE]"]

    @property
    def content(self) -> str:
        deltas = [c["choices"][0]["delta"] for c in self.chunks if c["choices"]]
        return "".join(delta.get("content") or "" for delta in deltas)


@dataclass
class Engine:
    """A simulator process."""

    process: subprocess.Popen[str]
    port: int
    record: Path

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        with self.connect() as peer:
            send_request(peer, path, body, **headers)
            return read_reply(peer)

    def get(self, path: str) -> Reply:
        with self.connect() as peer:
            peer.sendall(f"GET {path} HTTP/1.1\r\nhost: engine\r\nconnection: close\r\n\r\n".encode())
            return read_reply(peer)

    def chat(self, *, stream: bool = False, simulate: dict[str, Any] | None = None, **fields: Any) -> Reply:
        """Ask the usual question; `fields` go into the body beside it."""
        body = {**ASK, "stream": stream, **fields} | ({} if simulate is None else {"simulate": simulate})
        return self.post("/v1/chat/completions", body)

    def lines(self, answer_id: str, *, until: str) -> list[dict[str, Any]]:
        """Return the record of one answer once it has the event `until`."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            written = [json.loads(line) for line in self.record.read_text().splitlines()]
            found = [line for line in written if line["id"] == answer_id]
            if any(line["event"] == until for line in found):
                return found
            time.sleep(0.005)
        raise AssertionError(f"no {until!r} of {answer_id} in the record")


@contextmanager
def started(record: Path, *arguments: str) -> Iterator[Engine]:
    """Run a simulator process on a free port; end it with SIGTERM, which must be its end without an error."""
    command = [sys.executable, "-m", "engines.simulator", "--port", "0", "--record", str(record), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()  # "listening on http://127.0.0.1:40123/v1"
            yield Engine(process, int(line.rsplit(":", 1)[1].split("/")[0]), record)
            process.terminate()
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()


def send_request(peer: socket.socket, path: str, body: Any, **headers: str) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"host": "engine", "connection": "close", "content-length": str(len(raw))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    peer.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + raw)


def read_all(peer: socket.socket) -> tuple[bytes, bool]:
    """Return everything until the end of the connection, and whether it ended in a reset."""
    received = b""
    try:
        while part := peer.recv(65536):
            received += part
    except ConnectionResetError:
        return received, True
    return received, False


def read_until(peer: socket.socket, needle: bytes) -> bytes:
    received = b""
    while needle not in received:
        part = peer.recv(65536)
        assert part, received
        received += part
    return received


def read_reply(peer: socket.socket) -> Reply:
    raw, reset = read_all(peer)
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    reply = Reply(int(first.split(" ")[1]), headers, rest, reset=reset)
    if headers.get("transfer-encoding") == "chunked":
        reply.frames, reply.ended = dechunked(rest)
        reply.body = b"".join(reply.frames)
    else:
        reply.ended = len(rest) == int(headers.get("content-length", "0"))
    return reply


def dechunked(raw: bytes) -> tuple[list[bytes], bool]:
    frames = []
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        if size == b"0":
            return frames, True
        frames.append(raw[: int(size, 16)])
        raw = raw[int(size, 16) + 2 :]
    return frames, False
