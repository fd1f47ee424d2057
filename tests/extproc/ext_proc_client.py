"""Asks the ext_proc service as Envoy does: its messages in and out, over tables made from a gateway.yaml."""

import asyncio
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from google.protobuf.json_format import MessageToDict

from extproc.kept import KeptResponses
from extproc.service import services
from extproc.tokens.counter import Counter
from headgate.compile import compile_snapshot
from headgate.config.check import check
from headgate.directory.following import Following
from headgate.feed.figures import Figures
from headgate.feed.replicas import Replicas
from headgate.feed.states import TargetStates
from headgate.grpc_server import Metadata
from headgate.limiting import UNLIMITED, Ask, Decision
from headgate.snapshot import Snapshot
from headgate.tables import Holder
from headgate.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse

GATEWAY = """\
listen: {http: "127.0.0.1:0", max_body: 2MiB}
providers:
  local: {api: openai, endpoints: ["http://127.0.0.1:1", "http://127.0.0.1:2"], usage: continuous, zone: internal}
  many: {api: openai, endpoints: ["http://127.0.0.1:3", "http://127.0.0.1:4", "http://127.0.0.1:5"], usage: none}
  final: {api: openai, base_url: "http://final.test/v1"}
  claude: {api: anthropic, base_url: "https://claude.test"}
models:
  chat: {targets: [{provider: local, model: up/stream-8b}, {provider: final, model: big}], max_attempts: 3}
  same: {targets: [{provider: final, model: same}], timeouts: {headers: 2500ms, idle: 7s, total: 9m}}
  silent: {targets: [{provider: many, model: quiet}], max_attempts: 2}
  split:
    targets:
      - {provider: local, model: a, priority: 0, weight: 1}
      - {provider: final, model: b, priority: 0, weight: 1}
      - {provider: many, model: c, priority: 1, weight: 1000000}
  lopsided:
    targets: [{provider: local, model: a, priority: 0, weight: 1000000}, {provider: final, model: b, priority: 0}]
  claude: {targets: [{provider: claude, model: c}]}
  org/model-1: {targets: [{provider: final, model: x}]}
  late: {targets: [{provider: final, model: second, priority: 5}, {provider: many, model: first, priority: 2}]}
plans: {inside: {zones: [internal]}, outside: {zones: [external]}}
tenants:
  acme: {models: [chat, same, silent, split, lopsided, claude, org/model-1, late]}
  inner: {plan: inside, models: [chat, split]}
  outer: {plan: outside, models: [chat]}
  bare: {models: []}
"""
JSON = "application/json"


def snapshot_of(text: str, **environ: str) -> Snapshot:
    """The workers' tables for a gateway.yaml, with these variables set."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.yaml"
        path.write_text(text)
        checked = check(path, environ)
    assert checked.gateway, checked.problems
    return compile_snapshot(checked.gateway, generation=1)


SNAPSHOT = snapshot_of(GATEWAY)
_COUNTER = Counter()


class Call:
    """The gRPC call as the handler sees it."""

    def header(self, _name: str) -> str | None:
        return None


class Limiter:
    """The worker's, which has no limits; what it was asked."""

    def __init__(self, decision: Decision = UNLIMITED) -> None:
        self.asked: list[Ask] = []
        self._decision = decision

    def reserve(self, ask: Ask, _call: Metadata) -> Decision:
        self.asked.append(ask)
        return self._decision


@dataclass(frozen=True)
class Reply:
    """What Envoy makes of the last message. `status` is None for a request that goes on, as the limiter lets it."""

    status: int | None
    body: bytes
    headers: dict[str, str]
    metadata: dict[str, Any]
    messages: list[ProcessingResponse]
    asked: tuple[Ask, ...] = ()

    @property
    def ask(self) -> Ask:
        """What the limiter was asked, once."""
        (asked,) = self.asked
        return asked

    @property
    def error(self) -> dict[str, Any]:
        assert self.status is not None
        assert self.headers["content-type"] == JSON
        assert self.headers["x-headgate-error-source"] == "gateway"
        answer = json.loads(self.body)
        error: dict[str, Any] = answer["error"]
        if "type" in answer:
            return _anthropics(answer, error)
        assert list(answer) == ["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error

    @property
    def hosts(self) -> list[str]:
        """The replicas of engines, in the attempts' order."""
        said: str = self.metadata["hg.plan"].get("hosts", "")
        return said.split(",") if said else []

    @property
    def clusters(self) -> list[str]:
        groups = self.metadata["hg.plan"]["priority_groups"]
        assert [group["name"] for group in groups] == [f"attempt-{number}" for number in range(1, len(groups) + 1)]
        assert all(len(group["clusters"]) == 1 for group in groups)
        # `@` and what follows says which version of the provider's entry it is.
        return [group["clusters"][0]["cluster_name"].partition("@")[0] for group in groups]


def _anthropics(answer: dict[str, Any], error: dict[str, Any]) -> dict[str, Any]:
    """The error object, with what its `details` say by OpenAI's names."""
    assert list(answer) == ["type", "error", "request_id"]
    assert (answer["type"], answer["request_id"]) == ("error", "r-1")
    assert set(error) - {"details"} == {"type", "message"}
    details = error.get("details", {})
    assert set(details) <= {"error_code", "param"}
    return {**error, "code": details.get("error_code"), "param": details.get("param")}


def ask(
    path: str,
    body: bytes | None = b"",
    *,
    method: str = "POST",
    tenant: str = "acme",
    snapshot: Snapshot = SNAPSHOT,
    states: TargetStates | None = None,
    figures: Figures | None = None,
    kept: KeptResponses | None = None,
    following: Following | None = None,
    replicas: Replicas | None = None,
    caller: Mapping[str, Any] | None = None,
    limiter: Limiter | None = None,
    **headers: str,
) -> Reply:
    """One request, all the way; `body` None is one that ends with its headers. `caller`: what else authz says."""
    given = {":method": method, ":path": path, "content-type": JSON, "x-request-id": "r-1"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    start = ProcessingRequest()
    for name, value in given.items():
        start.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    start.request_headers.end_of_stream = body is None
    start.metadata_context.filter_metadata["envoy.filters.http.ext_authz"].update(
        {"tenant": tenant, **(caller or {})}
    )
    sent = [start]
    if body is not None:
        rest = ProcessingRequest()
        rest.request_body.body, rest.request_body.end_of_stream = body, True
        sent.append(rest)
    holder, limiter = Holder(snapshot, following), limiter or Limiter()
    holder.reserve = limiter.reserve
    messages = _exchanged(sent, holder, states or TargetStates(), figures, kept, replicas)
    return reply_of(messages, body, tuple(limiter.asked))


def chat(**members: Any) -> bytes:
    """A chat body."""
    return json.dumps({"model": "chat", "messages": [{"role": "user", "content": "hi"}], **members}).encode()


def _exchanged(
    messages: list[ProcessingRequest],
    holder: Holder,
    states: TargetStates,
    figures: Figures | None,
    kept: KeptResponses | None,
    replicas: Replicas | None,
) -> list[ProcessingResponse]:
    # With a directory all that may be counted is loaded: once for all tests.
    counter = _COUNTER if holder.following.directory.version else None
    (method,) = services(holder, states, figures=figures, kept=kept, counter=counter, replicas=replicas)
    call, answers = method.handler(Call()), []
    for message in messages:
        reply = call.on_message(method.decode(message.SerializeToString()))
        answer, last = reply if isinstance(reply, tuple) else asyncio.run(awaited(reply))
        answers.append(ProcessingResponse.FromString(answer))
        if last:
            return answers
    raise AssertionError("the last message was not answered for good")


async def awaited(reply: Awaitable[tuple[bytes, bool]]) -> tuple[bytes, bool]:
    return await reply


def reply_of(messages: list[ProcessingResponse], kept: bytes | None = None, asked: tuple[Ask, ...] = ()) -> Reply:
    """The last message is what counts. Without a body in it, Envoy goes on with the one that it has kept."""
    last = messages[-1]
    metadata: dict[str, Any] = MessageToDict(last.dynamic_metadata)
    if last.HasField("immediate_response"):
        immediate = last.immediate_response
        return Reply(immediate.status.code, immediate.body, _headers(immediate.headers), metadata, messages, asked)
    if last.HasField("request_headers"):
        assert last.request_headers.response.clear_route_cache
        return Reply(None, b"", _headers(last.request_headers.response.header_mutation), metadata, messages, asked)
    assert last.HasField("request_body")
    common = last.request_body.response
    assert common.clear_route_cache
    headers = _headers(common.header_mutation)
    if not common.HasField("body_mutation"):
        assert "content-length" not in headers
        return Reply(None, kept or b"", headers, metadata, messages, asked)
    assert headers["content-length"] == str(len(common.body_mutation.body))
    return Reply(None, common.body_mutation.body, headers, metadata, messages, asked)


def _headers(mutation: Any) -> dict[str, str]:
    options = mutation.set_headers
    assert all(option.append_action == 2 for option in options)  # overwrite or add: a client's own never stays
    assert len({option.header.key for option in options}) == len(options)
    return {option.header.key: option.header.raw_value.decode() for option in options}
