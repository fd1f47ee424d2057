"""The bytes of messages and their streams, and failures on demand, on the paths of Anthropic's API."""

import gzip
import json
import time
from typing import Any

import pytest
from raw_http import ASK, Engine, Reply, read_until, send_request

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
BODY = {**ASK, "max_tokens": 100}


def ask(engine: Engine, simulate: dict[str, Any] | None = None, **fields: Any) -> Reply:
    return engine.post(MESSAGES, {**BODY, **fields} | ({"simulate": simulate} if simulate else {}))


def events_of(reply: Reply) -> list[tuple[str, dict[str, Any]]]:
    """Name and data of each event."""
    found = []
    for event in reply.body.decode().replace("\r\n", "\n").split("\n\n")[:-1]:
        name, data = event.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def text_of(reply: Reply) -> str:
    """The text in what came of a stream, whole events only."""
    deltas = [event for event in reply.body.split(b"\n\n")[:-1] if b'"text_delta"' in event]
    return "".join(json.loads(event.partition(b"data: ")[2])["delta"]["text"] for event in deltas)


def test_every_byte_of_a_short_stream(engine: Engine) -> None:
    reply = engine.post(MESSAGES, {**BODY, "stream": True, "max_tokens": 2}, x_request_id="abc")
    usage = '"usage":{"input_tokens":4,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":'
    delta = 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    assert reply.body.decode() == (
        'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_abc","type":"message",'
        '"role":"assistant","model":"headgate-simulator","content":[],"stop_reason":null,"stop_sequence":null,'
        + usage + "0}}}\n\n"
        'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        '"content_block":{"type":"text","text":""}}\n\n'
        'event: ping\ndata: {"type":"ping"}\n\n'
        + delta + '{"type":"text_delta","text":"This"}}\n\n'
        + delta + '{"type":"text_delta","text":" is"}}\n\n'
        'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        'event: message_delta\ndata: {"type":"message_delta",'
        '"delta":{"stop_reason":"max_tokens","stop_sequence":null},' + usage + "2}}\n\n"
        'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )  # fmt: skip
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_blocks_of_thinking_and_calls_come_one_after_the_other(engine: Engine) -> None:
    tools = [{"name": name, "input_schema": {"properties": {"a": {"const": "b"}}}} for name in ("one", "two")]
    choice = {"type": "any", "disable_parallel_tool_use": False}
    reply = ask(engine, {"reasoning": 2}, stream=True, tools=tools, tool_choice=choice)
    order = [
        (data["index"], name, data.get("content_block", data.get("delta", {})).get("type", ""))
        for name, data in events_of(reply)
        if "index" in data
    ]
    call = ["input_json_delta"] * 3  # {"a" :"b" }
    assert order == [
        (0, "content_block_start", "thinking"),
        *[(0, "content_block_delta", kind) for kind in ["thinking_delta"] * 2 + ["signature_delta"]],
        (0, "content_block_stop", ""),
        (1, "content_block_start", "tool_use"),
        *[(1, "content_block_delta", kind) for kind in call],
        (1, "content_block_stop", ""),
        (2, "content_block_start", "tool_use"),
        *[(2, "content_block_delta", kind) for kind in call],
        (2, "content_block_stop", ""),
    ]
    assert events_of(reply)[-2][1]["usage"]["output_tokens"] == 8


def test_usage_as_wished(engine: Engine) -> None:
    assert "usage" not in ask(engine, {"no_usage": True}).json
    assert ask(engine, {"null_usage": True}).json["usage"] is None
    first = list(ask(engine, {"usage_first": True, "nested_usage": True}).json)
    assert first[4:] == ["x_vendor", "usage", "content", "stop_reason", "stop_sequence"]
    assert b'"usage"' not in ask(engine, {"no_usage": True}, stream=True).body
    events = dict(events_of(ask(engine, {"nested_usage": True, "tokens": 2}, stream=True)))
    assert list(events["message_delta"]) == ["type", "x_vendor", "delta", "usage"]
    assert list(events["message_start"]["message"])[-1] == "usage"
    counted = engine.post(COUNT, {**ASK, "simulate": {"spaces": True}})
    assert (counted.status, counted.body) == (200, b'{"input_tokens": 4}')


def test_shapes_of_bodies_are_the_same_wishes(engine: Engine) -> None:
    crlf = ask(engine, {"crlf": True, "spaces": True, "tokens": 2}, stream=True).body
    assert crlf.endswith(b'event: message_stop\r\ndata: {"type": "message_stop"}\r\n\r\n')
    packed = ask(engine, {"content_encoding": "gzip", "tokens": 2}, stream=True)
    assert gzip.decompress(packed.body).startswith(b"event: message_start\n")
    assert ask(engine, {"plain_json": True}, stream=True).json["type"] == "message"
    assert ask(engine, {"content_type": "text/html"}, stream=True).body.startswith(b"<!doctype html>")
    together = ask(engine, {"tokens": 3, "coalesce": 3}, stream=True)
    assert [frame.count(b"event: ") for frame in together.frames] == [3, 3, 3]
    assert len(ask(engine, {"body_bytes": 5000, "tokens": 5}).json["content"][0]["text"]) == 5000
    broken = ask(engine, {"malformed_after": 1, "tokens": 2}, stream=True).body.split(b"\n\n")
    assert [part for part in broken if part.endswith(b'"text":"')] == [broken[4]]


@pytest.mark.parametrize(("wish", "content"), [("after_headers", ""), (0, ""), (3, "This is a")])
def test_a_cut_stream_ends_in_a_reset(engine: Engine, wish: str | int, content: str) -> None:
    body = {**BODY, "stream": True, "simulate": {"cut_after": wish}}
    reply = engine.post(MESSAGES, body, x_request_id=f"message-cut-{wish}")
    assert (reply.status, reply.reset, reply.ended, text_of(reply)) == (200, True, False, content)
    end = engine.lines(f"msg_message-cut-{wish}", until="end")[-1]
    assert (end["completed"], end["chunks_sent"]) == (False, len(content.split()))


def test_silence_begins_before_the_first_token(engine: Engine) -> None:
    with engine.connect() as peer:
        body = {**BODY, "stream": True, "simulate": {"silence": 0}}
        send_request(peer, MESSAGES, body, x_request_id="message-silent")
        read_until(peer, b'"ping"}\n\n\r\n')
        peer.settimeout(0.2)
        with pytest.raises(TimeoutError):
            peer.recv(1)
    assert engine.lines("msg_message-silent", until="disconnect")[-1]["chunks_sent"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_the_pace_is_chats(engine: Engine, stream: bool) -> None:
    started = time.monotonic()
    ask(engine, {"delay_s": 0.1, "ttft_s": 0.1, "tokens": 10, "token_s": 0.02}, stream=stream)
    assert time.monotonic() - started >= 0.4


ERRORS = [
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (503, "api_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
]


@pytest.mark.parametrize(("status", "kind"), ERRORS)
@pytest.mark.parametrize("path", [MESSAGES, COUNT])
def test_an_error_on_demand(engine: Engine, path: str, status: int, kind: str) -> None:
    reply = engine.post(path, {**BODY, "simulate": {"status": status, "retry_after": 2}}, x_request_id="failed")
    error = {"type": kind, "message": f"A simulated error with status {status}."}
    request_id = "msg_failed" if path == MESSAGES else "req-failed"
    assert reply.json == {"type": "error", "error": error, "request_id": request_id}
    assert (reply.status, reply.headers["retry-after"]) == (status, "2")


def test_an_error_of_the_tests_own(engine: Engine) -> None:
    own = {"type": "invalid_request_error", "message": "prompt is too long: 208310 tokens > 200000 maximum"}
    reply = ask(engine, {"status": 400, "error": own}, stream=True)
    assert (reply.status, reply.json["type"], reply.json["error"]) == (400, "error", own)


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages: "),
    ({"messages": [{"role": "system", "content": "a"}]}, "messages[0].role: "),
    ({"messages": [{"role": "user"}]}, "messages[0].content: "),
    ({"max_tokens": None}, "max_tokens: "),
    ({"max_tokens": 0}, "max_tokens: "),
    ({"model": None}, "model: "),
    ({"temperature": 1.5}, "temperature: "),
    ({"tools": [{"input_schema": {}}]}, "tools[0].name: "),
    ({"tool_choice": {"type": "any"}}, "tool_choice: `tool_choice` is only allowed with `tools`"),
    (
        {"tool_choice": {"type": "tool", "name": "f"}, "tools": [{"name": "g"}]},
        "tool_choice: `tool_choice` names 'f'",
    ),
    ({"messages": [{"role": "user", "content": [{"type": "tool_result", "content": 5}]}]}, "messages: "),
    ({"simulate": {"tokns": 3}}, "simulate.tokns: "),
]


@pytest.mark.parametrize(("change", "says"), CHANGES)
def test_wrong_fields_are_named(engine: Engine, change: dict[str, Any], says: str) -> None:
    reply = ask(engine, **change)
    assert (reply.status, reply.json["type"], reply.json["error"]["type"]) == (400, "error", "invalid_request_error")
    assert reply.json["error"]["message"].startswith(says)


@pytest.mark.parametrize("missing", ["model", "messages", "max_tokens"])
def test_what_must_be_there_is_named(engine: Engine, missing: str) -> None:
    reply = engine.post(MESSAGES, {name: value for name, value in BODY.items() if name != missing})
    assert (reply.status, reply.json["error"]["message"].split(":")[0]) == (400, missing)


def test_what_is_no_request_for_a_message(engine: Engine) -> None:
    for raw in (b"", b"{", b"\xff", b"[]"):
        for path in (MESSAGES, COUNT):
            reply = engine.post(path, raw)
            assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")
    assert engine.post("/v1/messages/batches", {}).json["error"]["type"] == "not_found_error"
    wrong = engine.get(MESSAGES)
    assert (wrong.status, wrong.headers["allow"], wrong.json["type"]) == (405, "POST", "error")


def test_fields_that_it_does_not_know_are_ignored(engine: Engine) -> None:
    known = {"metadata": {"user_id": "u"}, "thinking": {"type": "disabled"}, "service_tier": "auto", "made_up": 1}
    cached = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    assert ask(engine, system=[cached], **known).json["usage"]["input_tokens"] == 6
