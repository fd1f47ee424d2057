"""Chains of scripted providers as models of one gateway, how clients of both APIs ask, and what comes back."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Literal

from providers import Providers, providers
from running_gateway import RunningGateway, running_gateway
from upstreams import refused_address
from wire import Reply, ask, post

Surface = Literal["chat", "messages"]
Targets = list[
    tuple[str, str]
]  # provider and way, in order; what follows a `#` makes a way's model a model of its own

PATHS: dict[Surface, str] = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
OWN_API: dict[Surface, str] = {"chat": "openai", "messages": "anthropic"}
MESSAGES = [{"role": "user", "content": "Why is water wet?"}]
EVERY_CAUSE = ["connect", "reset", "5xx", "429", "timeout", "context_window"]


@dataclass
class Models:
    """gateway.yaml's `models` in the making."""

    entries: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, targets: Targets, **more: Any) -> str:
        """A model over these targets; the usual causes and times, unless `more` says otherwise."""
        assert name not in self.entries
        chain = [{"provider": provider, "model": way} for provider, way in targets]
        self.entries[name] = {"targets": chain, "retry_on": EVERY_CAUSE, **more}
        return name


@dataclass(frozen=True)
class Chains:
    """A gateway before scripted providers, and its tenants' keys."""

    gateway: RunningGateway
    providers: Providers
    keys: Mapping[str, str]

    async def ask(
        self, surface: Surface, model: str, *, stream: bool, tenant: str = "acme", **headers: str
    ) -> "Told":
        """One request as clients of the surface's API make it."""
        key = self.keys[tenant]
        body: dict[str, Any] = {"model": model, "messages": MESSAGES, "stream": stream}
        credential = {"authorization": f"Bearer {key}"}
        if surface == "messages":
            body["max_tokens"] = 100
            credential = {"x-api-key": key, "anthropic-version": "2023-06-01"}
        fields = {"content-type": "application/json", **credential}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        reply = await ask(self.gateway.http, post(PATHS[surface], json.dumps(body).encode(), fields))
        return Told(surface, stream, reply)


@dataclass(frozen=True)
class Told:
    """What a client was answered."""

    surface: Surface
    stream: bool
    reply: Reply

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def attempts(self) -> int:
        return int(self.reply.headers["x-headgate-attempts"])

    @property
    def target(self) -> str | None:
        return self.reply.headers.get("x-headgate-target")

    @property
    def source(self) -> str | None:
        return self.reply.headers.get("x-headgate-error-source")

    @property
    def events(self) -> list[Any]:
        """The JSON of a stream's events; the last may be `[DONE]`."""
        lines = [line for line in self.reply.body.decode().splitlines() if line.startswith("data:")]
        data = [line.removeprefix("data:").strip() for line in lines]
        return [one if one == "[DONE]" else json.loads(one) for one in data]

    @property
    def text(self) -> str:
        """The answer, put together; it must be one of the surface's from end to end."""
        assert (self.reply.status, self.reply.whole) == (200, True), self.reply
        if self.surface == "chat":
            return self._chat_stream() if self.stream else str(self.reply.json["choices"][0]["message"]["content"])
        return self._message_stream() if self.stream else str(self.reply.json["content"][0]["text"])

    @property
    def error(self) -> dict[str, Any]:
        """The error object; it must be in the surface's shape."""
        assert self.reply.status >= 400, self.reply
        return self.error_in(self.reply.json)

    def error_in(self, body: Any) -> dict[str, Any]:
        """The error object of a body or of an event in a stream."""
        if self.surface == "messages":
            assert body["type"] == "error", body
            assert {"type", "message"} <= set(body["error"]), body
        else:
            assert set(body) == {"error"}, body
            assert {"message", "type", "param", "code"} <= set(body["error"]), body
        error: dict[str, Any] = body["error"]
        return error

    def _chat_stream(self) -> str:
        *chunks, done = self.events
        assert done == "[DONE]"
        choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
        assert choices[0]["delta"]["role"] == "assistant"
        assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
        return "".join(choice["delta"].get("content") or "" for choice in choices)

    def _message_stream(self) -> str:
        events = self.events
        kinds = [event["type"] for event in events if event["type"] != "ping"]
        assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
        assert kinds.count("message_delta") == 1
        return "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")


MODELS = Models()
"""What the test modules add as they are imported: one gateway serves them all."""

TENANTS: dict[str, dict[str, Any]] = {"acme": {}, "operator": {"pin_targets": True}, "special": {}}
"""Entries of gateway.yaml, without models and keys; `special` has a chain of its own for some models."""


def configuration(providers: Providers, dead: str, keys: Mapping[str, str]) -> dict[str, Any]:
    """gateway.yaml. Behind the providers that are down in a way of their own stands `engine`: none may be asked."""
    engine = f"http://{providers.engine.address}"
    down = {
        "refused": {"endpoints": [f"http://{dead}"]},
        "nameless": {"base_url": "http://provider.invalid/v1"},  # never resolves (RFC 6761)
        "sick": {"endpoints": [engine], "health_check": "/sick"},
        # Two endpoints: a single one is never ejected.
        "ejectable": {"endpoints": [engine, f"http://{dead}"], "health_check": "/health"},
        "saturated": {"endpoints": [engine], "max_requests": 1},
    }
    entries = {one.name: one.entry() for one in providers.all}
    entries |= {name: {"api": "openai", **entry} for name, entry in down.items()}
    tenants = {
        name: {
            "models": sorted(MODELS.entries),
            "keys": [{"name": "only", "sha256": sha256(keys[name].encode()).hexdigest()}],
            **entry,
        }
        for name, entry in TENANTS.items()
    }
    return {"providers": entries, "models": MODELS.entries, "tenants": tenants}


@contextmanager
def running_chains(folder: Path) -> Iterator[Chains]:
    """A gateway with all the models, before three providers and some that are down."""
    keys = {name: f"hg-{token_urlsafe(32)}" for name in TENANTS}
    with providers() as three, refused_address() as dead:
        three.forbid(*keys.values())
        with running_gateway(folder, configuration(three, dead, keys), three.env) as gateway:
            yield Chains(gateway, three, keys)
