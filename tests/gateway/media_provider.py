"""A scripted provider of pictures and sound with OpenAI's API.

The first part of the model's name decides how it answers: a status (`s503`), or one of the words below; any other one
is answered well.
"""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import h11
from recorder import Received, Recorder, recorder

PIECE = bytes(range(256)) * 256  # 64 KiB
PIECES = 256
USAGE = {"input_tokens": 13, "output_tokens": 4160, "total_tokens": 4173, "input_tokens_details": {"text_tokens": 13}}
PICTURE = "iVBORw0KGgo" * 300_000  # 3.3 MB, as base64


@contextmanager
def media_provider(gate: threading.Event) -> Iterator[Recorder]:
    """Run one on loopback. Sound stops after its first piece until the gate is open."""

    def answer(
        peer: socket.socket, connection: h11.Connection, request: Received, _: Recorder, ended: threading.Event
    ) -> None:
        how = re.search(rb"([\w]+)-by-wire", request.body)
        word = how[1].decode() if how else ""
        if word == "sound":
            return _sound(peer, connection, gate, ended)
        status, kind, body = _answer_of(word, request)
        length = [] if kind == "text/event-stream" else [("content-length", str(len(body)))]
        head = h11.Response(status_code=status, headers=[("content-type", kind), *length])
        for event in (head, h11.Data(body), h11.EndOfMessage()):
            peer.sendall(connection.send(event) or b"")
        return None

    with recorder(answer) as found:
        yield found


def _answer_of(word: str, request: Received) -> tuple[int, str, bytes]:
    picture = {"b64_json": PICTURE}
    answers: dict[str, tuple[int, str, bytes]] = {
        "page": (200, "text/html", b"<html>"),
        "text": (200, "text/plain; charset=utf-8", b"hello\n"),
        "reported": (200, "application/json", json.dumps({"data": [picture, {"url": "u"}], "usage": USAGE}).encode()),
        "unreported": (200, "application/json", json.dumps({"data": [picture]}).encode()),
        "events": (200, "text/event-stream", b"".join(_events())),
        "third": (200, "application/json", b'{"text":"hi","duration":2.01}'),
    }
    if word.startswith("s") and word[1:].isdecimal():
        return int(word[1:]), "application/json", b'{"error":{"message":"busy","type":"server_error","code":null}}'
    return answers.get(word, (200, "application/json", b'{"data":[{"url":"u"}],"text":"hi"}'))


def _events() -> Iterator[bytes]:
    for _ in range(2):
        for event in (
            {"type": "image_generation.partial_image"},
            {"type": "image_generation.completed", "usage": USAGE},
        ):
            yield b"data: " + json.dumps({**event, "b64_json": PICTURE}).encode() + b"\n\n"


def _sound(peer: socket.socket, connection: h11.Connection, gate: threading.Event, ended: threading.Event) -> None:
    with contextlib.suppress(OSError):
        head = h11.Response(
            status_code=200, headers=[("content-type", "audio/mpeg"), ("transfer-encoding", "chunked")]
        )
        peer.sendall((connection.send(head) or b"") + (connection.send(h11.Data(PIECE)) or b""))
        while not gate.wait(0.05):
            if ended.is_set():
                return
        for _ in range(PIECES - 1):
            peer.sendall(connection.send(h11.Data(PIECE)) or b"")
        peer.sendall(connection.send(h11.EndOfMessage()) or b"")
