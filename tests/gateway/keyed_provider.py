"""A provider with several keys, each with its own quota and fate: it answers by the credential that it is sent.

Every error of its has the credential in it, as some providers' have. Paths begin with the name of the gateway's
provider, so that who was sent whose credential can be told afterwards.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import h11
from recorder import ANSWER, Received, Recorder, recorder

_PIECE = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
_MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "ok"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
}  # fmt: skip


@dataclass
class KeyedProvider:
    """`says`: the status for a key, or for a key and a model; all others answer well. Streams end when `goes_on`."""

    found: Recorder
    says: dict[Any, int] = field(default_factory=dict)
    retry_after_s: int = 60
    goes_on: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return self.found.address

    def asked(self, request_id: str) -> list[str]:
        """The credentials that came with a request, in the order of its attempts."""
        return [_credential(one) for one in list(self.found.requests) if _header(one, "x-request-id") == request_id]

    def credentials(self, provider: str) -> set[str]:
        """All that ever came for a provider of the gateway's."""
        return {_credential(one) for one in list(self.found.requests) if one.target.startswith(f"/{provider}/")}


@contextmanager
def keyed_provider() -> Iterator[KeyedProvider]:
    """Run one on loopback."""
    made: list[KeyedProvider] = []

    def answer(
        peer: socket.socket, connection: h11.Connection, request: Received, _: Recorder, ended: threading.Event
    ) -> None:
        provider, key = made[0], _credential(request)
        asked = json.loads(request.body) if request.body else {}
        status = provider.says.get((key, asked.get("model")), provider.says.get(key, 200))
        if asked.get("stream") and status == 200:
            return _stream(peer, connection, provider, ended)
        body = _whole(request, key) if status == 200 else _error(key)
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        headers += [("retry-after", str(provider.retry_after_s))] if status == 429 else []
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(body), h11.EndOfMessage()):
            peer.sendall(connection.send(event) or b"")
        return None

    with recorder(answer) as found:
        made.append(KeyedProvider(found))
        yield made[0]
        made[0].goes_on.set()


def _stream(peer: socket.socket, connection: h11.Connection, provider: KeyedProvider, ended: threading.Event) -> None:
    head = h11.Response(status_code=200, headers=[("content-type", "text/event-stream")])
    for event in (head, h11.Data(_event({"delta": {"content": "Hello"}, "finish_reason": None}))):
        peer.sendall(connection.send(event) or b"")
    while not (provider.goes_on.wait(0.1) or ended.is_set()):
        pass
    last = _event({"delta": {}, "finish_reason": "stop"}) + b"data: [DONE]\n\n"
    for event in (h11.Data(last), h11.EndOfMessage()):
        peer.sendall(connection.send(event) or b"")


def _event(choice: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps({**_PIECE, "choices": [{"index": 0, **choice}]}).encode()


def _whole(request: Received, key: str) -> bytes:
    if request.target.endswith("/messages"):
        return json.dumps(_MESSAGE).encode()
    if "/responses" in request.target:
        # The id says whose account it is in, as no real one does.
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        body = {"id": f"resp_{key[-8:]}", "object": "response", "status": "completed", "output": [], "usage": usage}
        return json.dumps(body).encode()
    return ANSWER


def _error(key: str) -> bytes:
    return json.dumps({"error": {"message": f"Not with {key}.", "type": "x", "param": None, "code": None}}).encode()


def _credential(request: Received) -> str:
    return (_header(request, "authorization") or _header(request, "x-api-key") or "").removeprefix("Bearer ")


def _header(request: Received, name: str) -> str | None:
    return dict(request.headers).get(name)
