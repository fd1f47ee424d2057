"""One service for a tenant whose limits count tokens, with a counter that tests can ask; and what its plans say."""

import asyncio
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from extproc.service import services
from extproc.tokens.counter import Counter
from headgate.feed.factors import Factors
from headgate.feed.states import TargetStates
from headgate.snapshot import Snapshot
from headgate.tables import Holder
from headgate.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse
from tests.extproc.ext_proc_client import JSON, Call, Limiter, Reply, awaited, reply_of, snapshot_of

SNAPSHOT = snapshot_of("""\
providers:
  gpt: {api: openai, base_url: "http://gpt.test"}
  engine: {api: openai, endpoints: ["http://127.0.0.1:1", "http://127.0.0.1:2"], usage: continuous}
  claude: {api: anthropic, base_url: "http://claude.test"}
models:
  gpt: {targets: [{provider: gpt, model: gpt-4o}], default_max_tokens: 4096}
  engine: {targets: [{provider: engine, model: llama-3}], default_max_tokens: 300}
  claude: {targets: [{provider: claude, model: claude-opus-4-1}], default_max_tokens: 4096}
  mixed:
    targets: [{provider: engine, model: llama-3}, {provider: gpt, model: gpt-4o}]
    default_max_tokens: 500
  bounded:
    targets:
      - {provider: engine, model: llama-3, max_output_tokens: 100}
      - {provider: gpt, model: x, max_output_tokens: 200}
    default_max_tokens: 4096
  half:
    targets: [{provider: engine, model: llama-3, max_output_tokens: 100}, {provider: gpt, model: x}]
    default_max_tokens: 4096
  windowed:
    targets:
      - {provider: engine, model: llama-3, context_window: 2000}
      - {provider: gpt, model: gpt-4o, context_window: 5000}
    default_max_tokens: 1900
  narrow:
    targets: [{provider: engine, model: llama-3, context_window: 200}, {provider: claude, model: claude-opus-4-1}]
    default_max_tokens: 50
  twins:
    targets:
      - {provider: gpt, model: llama-3, context_window: 8192}
      - {provider: engine, model: llama-3, context_window: 131072}
  foreign:
    targets: [{provider: claude, model: claude-opus-4-1, max_output_tokens: 70}, {provider: gpt, model: gpt-4o}]
    default_max_tokens: 4096
plans:
  counted: {tpm: 100000}
  uncounted: {rpm: 10, concurrency: 2}
tenants:
  acme: {plan: counted, models: [gpt, engine, claude, mixed, bounded, half, windowed, narrow, twins, foreign]}
  other: {plan: counted, models: [gpt]}
  free: {plan: uncounted, models: [gpt, engine, claude, mixed, bounded, half, windowed, narrow, foreign]}
""")
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
EMBEDDINGS, MESSAGES = "/v1/embeddings", "/v1/messages"


class Service:
    """A worker's."""

    def __init__(self, counter: Counter, snapshot: Snapshot = SNAPSHOT) -> None:
        self.counter, self.factors = counter, Factors()
        self._holder = Holder(snapshot)
        (self.method,) = services(self._holder, TargetStates(), self.factors, counter)

    async def asked(self, path: str, body: bytes, tenant: str = "acme") -> Reply:
        """One request."""
        limiter = Limiter()
        self._holder.reserve = limiter.reserve
        handler, answers = self.method.handler(Call()), []
        start = ProcessingRequest()
        for name, value in ((":method", "POST"), (":path", path), ("content-type", JSON), ("x-request-id", "r-1")):
            start.request_headers.headers.headers.add(key=name, raw_value=value.encode())
        start.metadata_context.filter_metadata["envoy.filters.http.ext_authz"].update({"tenant": tenant})
        following = ProcessingRequest()
        following.request_body.body, following.request_body.end_of_stream = body, True
        for message in (start, following):
            reply = handler.on_message(self.method.decode(message.SerializeToString()))
            answer, last = reply if isinstance(reply, tuple) else await awaited(reply)
            answers.append(ProcessingResponse.FromString(answer))
            if last:
                break
        return reply_of(answers, asked=tuple(limiter.asked))


@cache
def service() -> Service:
    """One for all tests that do not ask what it has counted, or correct it."""
    return Service(Counter())


@dataclass(frozen=True)
class Planned:
    """What of a plan concerns the limits; checks that the field is where it is said to be."""

    reply: Reply

    @property
    def request(self) -> dict[str, Any]:
        assert self.reply.status is None, self.reply.body
        found: dict[str, Any] = self.reply.metadata["hg.request"]
        return found

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.reply.body)
        return found

    @property
    def use(self) -> tuple[int, int, int]:
        ask = self.reply.ask
        return ask.input, ask.output, ask.times

    @property
    def field(self) -> bytes | None:
        at = self.request.get("max_at")
        if at is None:
            return None
        assert at == int(at)
        found = self.reply.body[int(at) : int(at) + 10]
        assert found == str(self.use[1]).rjust(10).encode()
        return found

    @property
    def limits(self) -> dict[str, Any]:
        """The members that limit the answer; what overwrites the field changes one of them, and nothing else."""
        names = ("max_completion_tokens", "max_tokens")
        body = self.body
        if self.field is not None:
            at = int(self.request["max_at"])
            edited = json.loads(self.reply.body[:at] + b"         3" + self.reply.body[at + 10 :])
            changed = [name for name in edited if edited[name] != body[name]]
            assert changed in (["max_tokens"], ["max_completion_tokens"])
            assert edited[changed[0]] == 3
        return {name: body[name] for name in names if name in body}

    @property
    def shown(self) -> str | None:
        return self.reply.headers.get("x-headgate-max-tokens")


def planned(path: str, body: bytes | dict[str, Any], tenant: str = "acme", by: Service | None = None) -> Planned:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Planned(asyncio.run((by or service()).asked(path, text, tenant)))


def says(text: str, model: str = "gpt", **more: Any) -> dict[str, Any]:
    """A body for chat or messages."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}
