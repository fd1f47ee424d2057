"""Replicas of one provider that answer by the order in which a request's attempts arrive, whichever they reach.

The upstream model says how: `silent+ok` is silent to the first attempt and answers the second one. A way that waits,
waits for what another attempt does, never for a time that decides.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import h11
from provider_answers import Asked, error_body, events
from providers import header
from recorder import Answer, Received, Recorder, recorder

WAIT_S = 60.0
EVENT = ("content-type", "text/event-stream")
JSON = ("content-type", "application/json")


@dataclass
class Attempts:
    """What became of one request: which replica each of its attempts reached, and which of them were cut off."""

    reached: list[str] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)


class Replicas:
    """All that the replicas were asked, by the gateway's request id."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._of: dict[str, Attempts] = {}
        self._changed = threading.Condition()

    def of(self, request_id: str) -> Attempts:
        with self._changed:
            return self._of.setdefault(request_id, Attempts())

    def wait_for(self, request_id: str, attempts: int) -> bool:
        """Whether so many attempts of the request have come, after waiting for them."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._of[request_id].reached) >= attempts, WAIT_S)

    def wait_for_cut(self, request_id: str, number: int) -> bool:
        """Whether the gateway has let go of this attempt, after waiting for it."""
        with self._changed:
            return self._changed.wait_for(lambda: number in self._of[request_id].cut, WAIT_S)

    def arrived(self, name: str, request: Received) -> int:
        with self._changed:
            attempts = self._of.setdefault(header(request, "x-request-id") or "", Attempts())
            attempts.reached.append(name)
            attempts.received.append(request)
            self._changed.notify_all()
            return len(attempts.reached)

    def was_cut(self, request_id: str, number: int) -> None:
        with self._changed:
            self._of[request_id].cut.append(number)
            self._changed.notify_all()


@contextmanager
def replicas(*names: str) -> Iterator[Replicas]:
    """Run them on loopback."""
    stage = Replicas()
    with ExitStack() as stack:
        for name in names:
            found = stack.enter_context(recorder(_answering(stage, name)))
            stage.addresses.append(found.address)
        yield stage


class _Attempt:
    """One attempt, being answered."""

    def __init__(
        self, stage: Replicas, name: str, peer: socket.socket, connection: h11.Connection, ended: threading.Event
    ) -> None:
        self.stage, self.name, self.peer, self.connection, self.ended = stage, name, peer, connection, ended
        self.request_id, self.number = "", 0

    def play(self, request: Received) -> None:
        self.number = self.stage.arrived(self.name, request)
        self.request_id = header(request, "x-request-id") or ""
        body = json.loads(request.body)
        asked = Asked("openai", self.name, body["model"], bool(body.get("stream")), usage=True)
        ways = asked.model.partition("#")[0].split("+")
        way = ways[min(self.number, len(ways)) - 1]
        if way.startswith("late_"):  # not before the next attempt is there
            self.stage.wait_for(self.request_id, self.number + 1)
            way = way.removeprefix("late_")
        getattr(self, f"_{way}")(asked)

    def _ok(self, asked: Asked) -> None:
        self._begin()
        self._send(*events(asked))
        self._end()

    def _begins(self, asked: Asked) -> None:
        """A head and a token, and the rest long after a hedge would have come."""
        first, second, *rest = events(asked)
        self._begin()
        self._send(first, second)
        self.ended.wait(1.5)
        self._send(*rest)
        self._end()

    def _head(self, _asked: Asked) -> None:
        """A head without a token."""
        self._begin()
        self._until_cut()

    def _token(self, asked: Asked) -> None:
        """A token, and nothing more."""
        self._begin()
        self._send(*events(asked)[:2])
        self._until_cut()

    def _silent(self, _asked: Asked) -> None:
        self._until_cut()

    def _reset(self, _asked: Asked) -> None:
        pass

    def _503(self, asked: Asked) -> None:
        self._error(asked, 503)

    def _429(self, asked: Asked) -> None:
        self._error(asked, 429)

    def _400(self, asked: Asked) -> None:
        self._error(asked, 400)

    def _error(self, asked: Asked, status: int) -> None:
        body = json.dumps(error_body(asked, status, f"No, says {self.number}.", "server_error")).encode()
        response = h11.Response(status_code=status, headers=[JSON, ("content-length", str(len(body)))])
        self.peer.sendall((self.connection.send(response) or b"") + (self.connection.send(h11.Data(body)) or b""))
        self._end()

    def _begin(self) -> None:
        self.peer.sendall(self.connection.send(h11.Response(status_code=200, headers=[EVENT])) or b"")

    def _send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.peer.sendall(self.connection.send(h11.Data(piece)) or b"")

    def _end(self) -> None:
        self.peer.sendall(self.connection.send(h11.EndOfMessage()) or b"")

    def _until_cut(self) -> None:
        self.peer.settimeout(0.1)
        while not self.ended.is_set():
            with contextlib.suppress(TimeoutError):
                if not self.peer.recv(65536):
                    break
        self.stage.was_cut(self.request_id, self.number)


def _answering(stage: Replicas, name: str) -> Answer:
    def answer(
        peer: socket.socket, connection: h11.Connection, request: Received, _found: Recorder, ended: threading.Event
    ) -> None:
        _Attempt(stage, name, peer, connection, ended).play(request)

    return answer
