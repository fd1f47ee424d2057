"""Scripted providers of both APIs behind a gateway: each writes down all that reaches it, and answers by the model.

What a provider was sent is checked as it is looked at: the right path, host and length, its own credential and nobody
else's. The way to answer is in the name of the upstream model (`provider_ways`), so a server needs no script.
"""

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any

import h11
from provider_answers import Asked, encoded
from provider_ways import OTHER_WAYS, WAYS, Step
from recorder import Received, Recorder, recorder

PAUSE_S = 0.05
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close sends RST
_CREDENTIALS = ("authorization", "x-api-key", "api-key", "proxy-authorization", "cookie")


@dataclass
class Provider:
    """One of them. `root` is what stands before `/v1` in its paths; without a key it must be sent no credential."""

    name: str
    api: str
    found: Recorder
    root: str = ""
    key: str | None = None
    strangers: list[str] = field(default_factory=list)  # what must not reach it in any form

    @property
    def address(self) -> str:
        return self.found.address

    @property
    def paths(self) -> dict[str, str]:
        """Where its answers are, by surface."""
        if self.api == "openai":
            return {"chat": f"{self.root}/v1/chat/completions"}
        return {"messages": f"{self.root}/v1/messages", "count_tokens": f"{self.root}/v1/messages/count_tokens"}

    @property
    def secret(self) -> str:
        """The variable of the gateway's environment that has its key."""
        return f"HEADGATE_TEST_KEY_{self.name.upper()}"

    def entry(self, **more: Any) -> dict[str, Any]:
        """Its entry in gateway.yaml."""
        url = f"http://{self.address}{self.root}"
        if self.key is None:
            return {"api": self.api, "endpoints": [url], **more}
        base_url = f"{url}/v1" if self.api == "openai" else url
        return {"api": self.api, "base_url": base_url, "api_key": f"env:{self.secret}", **more}

    def requests(self, request_id: str) -> list[Received]:
        """What reached it of a request of the gateway's, each checked."""
        found = [one for one in list(self.found.requests) if header(one, "x-request-id") == request_id]
        for one in found:
            self.check(one)
        return found

    def check_all(self) -> int:
        """Check everything that ever reached it; how much that was."""
        asked = [one for one in list(self.found.requests) if one.method != "GET"]
        for one in list(self.found.requests):
            self._check_strangers(one)
        for one in asked:
            self.check(one)
        assert self.found.broken == []
        return len(asked)

    def check(self, one: Received) -> None:
        """Path, host, length and credential are this provider's own."""
        names = [name for name, _ in one.headers]
        assert len(names) == len(set(names)), one.headers
        assert (one.method, one.target in self.paths.values()) == ("POST", True), (self.name, one.target)
        assert header(one, "host") == self.address
        assert header(one, "content-type") == "application/json"
        assert header(one, "content-length") == str(len(one.body))
        assert "transfer-encoding" not in names
        sent = {name: value for name, value in one.headers if name in _CREDENTIALS}
        assert sent == self._credential(), (self.name, sorted(sent))
        assert ("anthropic-version" in names) == (self.api == "anthropic"), one.headers
        self._check_strangers(one)

    def was_told(self, secret: str) -> bool:
        """Whether this has ever reached it, in any form."""
        return any(secret in _text_of(one) for one in list(self.found.requests))

    def _credential(self) -> dict[str, str]:
        if self.key is None:
            return {}
        return {"authorization": f"Bearer {self.key}"} if self.api == "openai" else {"x-api-key": self.key}

    def _check_strangers(self, one: Received) -> None:
        text = _text_of(one)
        assert not [stranger[:12] for stranger in self.strangers if stranger in text], self.name


@dataclass(frozen=True)
class Providers:
    """Three of them: an engine without a key, an API below a path prefix, and one of Anthropic's kind."""

    engine: Provider
    prefixed: Provider
    claude: Provider

    @property
    def all(self) -> tuple[Provider, ...]:
        return (self.engine, self.prefixed, self.claude)

    @property
    def env(self) -> dict[str, str]:
        return {one.secret: one.key for one in self.all if one.key}

    def forbid(self, *secrets: str) -> None:
        """What the clients send must reach none of them."""
        for one in self.all:
            one.strangers += secrets

    def asked(self, request_id: str) -> dict[str, int]:
        """How often each was asked for a request, in no order; who was not is left out."""
        counts = {one.name: len(one.requests(request_id)) for one in self.all}
        return {name: count for name, count in counts.items() if count}


def header(one: Received, name: str) -> str | None:
    """A header's value; `Received` has the names in lower case."""
    return dict(one.headers).get(name)


def _text_of(one: Received) -> str:
    return f"{one.target} {one.headers} {one.body.decode('utf-8', 'replace')}"


@contextmanager
def providers() -> Iterator[Providers]:
    """Run the three on loopback; what ever reached them is checked at the end."""
    with ExitStack() as stack:
        made = Providers(
            stack.enter_context(provider("engine", "openai")),
            stack.enter_context(provider("prefixed", "openai", "/team/openai", f"sk-{token_urlsafe(24)}")),
            stack.enter_context(provider("claude", "anthropic", "/anthropic", f"sk-ant-{token_urlsafe(24)}")),
        )
        for one in made.all:
            one.strangers += [other.key for other in made.all if other is not one and other.key]
        yield made
        for one in made.all:
            one.check_all()


@contextmanager
def provider(name: str, api: str, root: str = "", key: str | None = None) -> Iterator[Provider]:
    """Run one on loopback."""

    def answer(
        peer: socket.socket, connection: h11.Connection, request: Received, _found: Recorder, ended: threading.Event
    ) -> None:
        for step in _steps(request, api, name):
            _play(peer, connection, step, ended)

    with recorder(answer) as found:
        yield Provider(name, api, found, root, key)


def _steps(request: Received, api: str, name: str) -> list[Step]:
    if request.method == "GET":  # a health check
        return _plain(503 if request.target.endswith("/sick") else 200, b"{}")
    if request.target.endswith("/count_tokens"):
        return _plain(200, encoded({"input_tokens": 11}))
    with contextlib.suppress(ValueError, KeyError, TypeError):
        body = json.loads(request.body)
        usage = bool((body.get("stream_options") or {}).get("include_usage"))
        asked = Asked(api, name, body["model"], bool(body.get("stream")), usage)
        return (WAYS | OTHER_WAYS)[asked.model.partition("#")[0]](asked)
    return _plain(418, request.body)


def _plain(status: int, body: bytes) -> list[Step]:
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    return [h11.Response(status_code=status, headers=headers), body, "end"]


def _play(peer: socket.socket, connection: h11.Connection, step: Step, ended: threading.Event) -> None:
    if isinstance(step, h11.Response):
        peer.sendall(connection.send(step) or b"")
    elif isinstance(step, bytes):
        peer.sendall(connection.send(h11.Data(step)) or b"")
    elif step == "end":
        peer.sendall(connection.send(h11.EndOfMessage()) or b"")
    elif step == "pause":
        ended.wait(PAUSE_S)
    elif step == "reset":
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    else:
        _be_silent(peer, ended)


def _be_silent(peer: socket.socket, ended: threading.Event) -> None:
    peer.settimeout(0.1)
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            if not peer.recv(65536):
                return
