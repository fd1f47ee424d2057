"""The spool: what each request leaves for the ledger, however it ends."""

import asyncio
import json
import re
import time
from collections import Counter
from typing import Any

import pytest
from json_lines import Line
from running_gateway import RunningGateway
from tenants import ASK, CHAT, COMPLETIONS, EMBEDDINGS, UPSTREAM_MODEL, Keys, chat
from upstreams import Engine
from wire import ask, connection, post, read_chunk, read_head

FIELDS = {
    "v": int,
    "type": str,
    "time": str,
    "request_id": str,
    "trace_id": str,
    "tenant": str,
    "key_id": str,
    "user": str,
    "project": str,
    "surface": str,
    "model": str,
    "base_model": str,
    "engine": str,
    "target": str,
    "provider_key": str,
    "upstream_model": str,
    "attempts": int,
    "status": int,
    "flags": str,
    "prompt_tokens": int,
    "completion_tokens": int,
    "cached_tokens": int,
    "cache_write_tokens": int,
    "reasoning_tokens": int,
    "estimated_tokens": int,
    "estimated_completion_tokens": int,
    "counted_tokens": int,
    "unit": str,
    "units": int,
    "estimated_units": int,
    "content_events": int,
    "content_bytes": int,
    "bytes_in": int,
    "bytes_out": int,
    "request_ms": int,
    "first_byte_ms": int,
    "first_token_ms": int,
    "duration_ms": int,
    "streamed": bool,
    "variant": str,
    "provider_left": str,
    "budgets": str,
    "reserved": bool,
    "config_generation": int,
    "price_generation": int,
    "price_factor": str,
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NO_USAGE: dict[str, Any] = dict.fromkeys(
    (
        "prompt_tokens",
        "completion_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "content_events",
        "content_bytes",
    )
)


def checked(line: Line) -> Line:
    """The line, after a look at the names and types of its fields; unknown is null."""
    assert set(line) == set(FIELDS)
    wrong = {n: v for n, v in line.items() if v is not None and (type(v) is not FIELDS[n])}
    assert not wrong
    assert TIME.fullmatch(line["time"])
    return line


def end_of(gateway: RunningGateway, request_id: str, **expected: Any) -> Line:
    line = checked(gateway.end_line(request_id))
    assert {name: line[name] for name in expected} == expected
    return line


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["chat", "final", "plain", "keyed", "vendor/chat-1"])
def test_the_end_of_a_chat(gateway: RunningGateway, keys: Keys, model: str, stream: bool) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    text, cache = 'wörter "quoted" 😀\n', {"cached_tokens": 2, "cache_write_tokens": 1}
    wish = {"text": text, "tokens": 5, "reasoning_tokens": 2, **cache}
    body = chat(model, stream=stream, simulate=wish, user='user "7"\né')
    reply = gateway.post(CHAT, body, keys.acme, traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    provider = {"chat": "local", "vendor/chat-1": "local"}.get(model, model)
    metered = not (stream and model == "plain")  # an engine that cannot report usage in streams
    line = end_of(
        gateway,
        reply.headers["x-request-id"],
        v=1,
        trace_id=trace,
        tenant="acme",
        key_id="ci",
        user='user "7"\né',
        project=None,
        surface="chat",
        model=model,
        target=provider,
        upstream_model=UPSTREAM_MODEL,
        attempts=1,
        status=200,
        flags="-",  # Envoy's word for none
        prompt_tokens=4 if metered else None,
        completion_tokens=5 if metered else None,
        cached_tokens=2 if metered else None,
        cache_write_tokens=1 if metered else None,
        reasoning_tokens=2 if metered else None,
        estimated_tokens=None,
        estimated_completion_tokens=None,
        counted_tokens=None,
        content_events=5 if stream else 1,
        content_bytes=len(text.encode()) if stream else len(reply.content),
        config_generation=1,
        price_generation=1,
        price_factor=None,
    )
    assert 0 <= line["request_ms"] <= line["first_byte_ms"] <= line["duration_ms"]
    assert line["bytes_out"] >= len(reply.content)


def test_the_end_of_other_surfaces(gateway: RunningGateway, keys: Keys) -> None:
    reply = gateway.post(COMPLETIONS, {"model": "chat", "prompt": "one two", "max_tokens": 6}, keys.acme)
    end_of(gateway, reply.headers["x-request-id"], surface="completions", prompt_tokens=2, completion_tokens=6)
    body = {"model": "chat", "prompt": "one two", "max_tokens": 6, "stream": True}
    reply = gateway.post(COMPLETIONS, body, keys.acme)
    end_of(gateway, reply.headers["x-request-id"], surface="completions", completion_tokens=6, content_events=6)
    reply = gateway.post(EMBEDDINGS, {"model": "chat", "input": ["one two", "three"]}, keys.acme)
    end_of(gateway, reply.headers["x-request-id"], surface="embeddings", prompt_tokens=3, completion_tokens=None)
    reply = gateway.get("/v1/models", keys.acme)
    end_of(
        gateway, reply.headers["x-request-id"], surface="models", status=200, target=None, tenant="acme", **NO_USAGE
    )


def test_tool_calls_and_reasoning_are_content(gateway: RunningGateway, keys: Keys) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    for model in ("chat", "final", "plain"):
        body = chat(model, stream=True, tools=[tool], tool_choice="required")
        line = gateway.end_line(gateway.post(CHAT, body, keys.acme).headers["x-request-id"])
        assert line["content_events"] == line["content_bytes"] // 2 == 1  # {}
        body = chat(model, stream=True, simulate={"reasoning": 6, "tokens": 4})
        line = gateway.end_line(gateway.post(CHAT, body, keys.acme).headers["x-request-id"])
        assert line["content_events"] == 10
        assert line["completion_tokens"] == (None if model == "plain" else 10)


@pytest.mark.parametrize("model", ["chat", "final"])
@pytest.mark.parametrize(
    "wish",
    [
        {"frame_bytes": 7},
        {"frame_bytes": 1, "tokens": 3},
        {"coalesce": 5},
        {"frames_per_event": 3},
        {"crlf": True},
        {"nested_usage": True},
        {"null_usage": True},
        {"usage_first": True},
        {"spaces": True},
        {"malformed_after": 2},
        {"spaces": True, "nested_usage": True, "usage_first": True, "frame_bytes": 11},
        {"text": '"usage":{"prompt_tokens":1,"completion_tokens":99}}\n\n', "tokens": 6},
    ],
    ids=str,
)
def test_tokens_are_right_however_they_are_reported(
    gateway: RunningGateway, keys: Keys, model: str, wish: dict[str, Any]
) -> None:
    wish = {"tokens": 6, **wish, "token_s": 0}
    reply = gateway.post(CHAT, chat(model, stream=True, simulate=wish), keys.acme)
    end_of(gateway, reply.headers["x-request-id"], prompt_tokens=4, completion_tokens=wish["tokens"])


@pytest.mark.parametrize(
    "wish", [{}, {"nested_usage": True}, {"usage_first": True}, {"spaces": True, "frame_bytes": 9}]
)
def test_tokens_of_a_json_answer(gateway: RunningGateway, keys: Keys, wish: dict[str, Any]) -> None:
    reply = gateway.post(CHAT, chat(simulate={"tokens": 6, **wish}), keys.acme)
    end_of(gateway, reply.headers["x-request-id"], prompt_tokens=4, completion_tokens=6)


def test_usage_that_is_not_there_is_unknown_and_not_zero(gateway: RunningGateway, keys: Keys) -> None:
    for stream, wish in ((False, {"no_usage": True}), (False, {"null_usage": True}), (True, {"no_usage": True})):
        reply = gateway.post(CHAT, chat("final", stream=stream, simulate=wish), keys.acme)
        line = end_of(gateway, reply.headers["x-request-id"], prompt_tokens=None, completion_tokens=None)
        assert line["content_bytes"] > 0


def test_refused_requests_leave_an_end_too(gateway: RunningGateway, keys: Keys) -> None:
    reply = gateway.post(CHAT, chat(), keys.expired)
    end_of(gateway, reply.headers["x-request-id"], status=401, tenant=None, key_id=None, target=None, **NO_USAGE)
    reply = gateway.post(CHAT, chat("nothing"), keys.globex)
    end_of(gateway, reply.headers["x-request-id"], status=404, tenant="globex", key_id="laptop", surface="chat")
    reply = gateway.post(CHAT, b"{", keys.acme)
    end_of(gateway, reply.headers["x-request-id"], status=400, tenant="acme", surface="chat", target=None, attempts=0)


@pytest.mark.parametrize(
    ("model", "wish", "status", "flags"),
    [
        ("keyed", {"status": 400}, 400, "-"),
        ("keyed", {"status": 429}, 429, "URX"),
        ("keyed", {"status": 500}, 500, "URX"),
        ("dead", {}, 503, "UF"),
        ("closing", {}, 503, "UC"),
        ("brief", {"silence": "before_headers"}, 504, "UT"),
    ],
)
def test_failures_of_providers(
    gateway: RunningGateway, keys: Keys, model: str, wish: dict[str, Any], status: int, flags: str
) -> None:
    reply = gateway.post(CHAT, chat(model, simulate=wish), keys.acme)
    line = end_of(gateway, reply.headers["x-request-id"], status=status, model=model, attempts=1, **NO_USAGE)
    assert flags in line["flags"].split(",")
    assert line["target"]


def test_each_attempt_that_reached_a_provider_left_a_start(gateway: RunningGateway, keys: Keys) -> None:
    for model, wish, starts in (
        ("chat", {}, ["local"]),
        ("pair", {"status": 503}, ["pair", "pair"]),
        ("pair", {"status": 400}, ["pair"]),
        ("dead", {}, []),
        ("chat", {"status": 500}, ["local"]),
    ):
        request_id = gateway.post(CHAT, chat(model, simulate=wish), keys.acme).headers["x-request-id"]
        end_of(gateway, request_id, attempts=max(1, len(starts)))
        lines = [checked(line) for line in gateway.spool.of(request_id)]
        assert [line["target"] for line in lines if line["type"] == "start"] == starts
        assert [line["type"] for line in lines][-1] == "end"
    refused = gateway.post(CHAT, chat("nothing"), keys.acme).headers["x-request-id"]
    gateway.end_line(refused)
    assert [line["type"] for line in gateway.spool.of(refused)] == ["end"]


def test_a_long_request_leaves_its_progress(gateway: RunningGateway, keys: Keys) -> None:
    wish = {"tokens": 60, "token_s": 0.1, "ttft_s": 0.1}
    reply = gateway.post(CHAT, chat(stream=True, simulate=wish), keys.acme)
    request_id = reply.headers["x-request-id"]
    end_of(gateway, request_id, completion_tokens=60, content_events=60)
    lines = [checked(line) for line in gateway.spool.of(request_id)]
    assert [line["type"] for line in lines] == ["start", "progress", "end"]
    progress = lines[1]
    assert 0 < progress["completion_tokens"] < 60
    assert progress["content_events"] == progress["completion_tokens"]
    assert (progress["tenant"], progress["model"], progress["target"]) == ("acme", "chat", "local")


@pytest.mark.parametrize("model", ["chat", "plain"])
async def test_a_client_that_hangs_up_is_metered_up_to_there(
    gateway: RunningGateway, keys: Keys, engine: Engine, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps(chat(model, stream=True, simulate={"tokens": 500, "token_s": 0.02})).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {keys.acme}"}
    async with connection(gateway.http) as (reader, writer):
        writer.write(post(CHAT, body, headers))
        request_id = (await read_head(reader)).request_id
        received = b""
        while received.count(b"\n\n") < 25:
            received += await read_chunk(reader)
        writer.transport.abort()
        hung_up = time.time()
    disconnect = engine.disconnect(request_id)
    with capsys.disabled():
        print(f"\nhung up to disconnect: {(disconnect['time'] - hung_up) * 1000:.1f} ms")  # noqa: T201
    sent = disconnect["chunks_sent"]
    assert sent < 500
    line = end_of(gateway, request_id, flags="DC", status=200, tenant="acme")
    assert line["content_events"] in (sent, sent - 1)  # one may have been on its way
    assert line["completion_tokens"] == (line["content_events"] if model == "chat" else None)


async def test_a_client_that_hangs_up_before_the_answer(gateway: RunningGateway, keys: Keys, engine: Engine) -> None:
    body = json.dumps(chat(simulate={"delay_s": 20})).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {keys.acme}", "user-agent": "hangs-up/1"}
    async with connection(gateway.http) as (_, writer):
        writer.write(post(CHAT, body, headers))
        async with asyncio.timeout(60):
            while not (seen := [line for line in engine.lines.all() if "hangs-up/1" in str(line)]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    request_id = seen[0]["id"].removeprefix("chatcmpl-")
    engine.disconnect(request_id)
    end_of(gateway, request_id, flags="DC", target="local", **NO_USAGE)


def test_answers_of_megabytes_are_metered_and_pass(gateway: RunningGateway, keys: Keys) -> None:
    texts = [f"text {number}" for number in range(150)]
    body = {"model": "chat", "input": texts, "encoding_format": "float", "dimensions": 3072}
    reply = gateway.post(EMBEDDINGS, body, keys.acme)
    assert len(reply.content) > 4_000_000
    assert [item["index"] for item in reply.json()["data"]] == list(range(150))
    end_of(gateway, reply.headers["x-request-id"], prompt_tokens=300, content_bytes=len(reply.content))
    for extra in ({}, {"usage_first": True}, {"nested_usage": True}):
        body = chat("final", simulate={"body_bytes": 2_000_000, "tokens": 9, **extra})
        reply = gateway.post(CHAT, body, keys.acme)
        assert len(reply.json()["choices"][0]["message"]["content"].encode()) == 2_000_000
        end_of(gateway, reply.headers["x-request-id"], prompt_tokens=4, completion_tokens=9)


async def test_every_request_ends_exactly_once(gateway: RunningGateway, keys: Keys) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {keys.acme}"}
    models = ("chat", "final", "dead", "pair", "nothing", "keyed", "closing")
    bodies = [chat(models[n % 7], stream=n % 2 == 0, simulate={"tokens": n % 9}) for n in range(105)]
    requests = [post(CHAT, json.dumps(body).encode(), headers) for body in bodies]
    replies = await asyncio.gather(*(ask(gateway.http, request) for request in requests))
    for reply in replies:
        assert gateway.end_line(reply.request_id)["status"] == reply.status
    ends = Counter(line["request_id"] for line in gateway.spool.all() if line["type"] == "end")
    assert {ends[reply.request_id] for reply in replies} == {1}


def test_a_user_that_is_no_text_is_no_harm_to_the_spool(gateway: RunningGateway, keys: Keys) -> None:
    body = b'{"model": "chat", "user": "\\ud83d\\u0000\\u001b", "messages": %s}' % json.dumps(ASK).encode()
    reply = gateway.post(CHAT, body, keys.acme)
    end_of(gateway, reply.headers["x-request-id"], tenant="acme")
    reply = gateway.post(CHAT, chat(user="é" * 300), keys.acme)
    end_of(gateway, reply.headers["x-request-id"], user="é" * 256)
