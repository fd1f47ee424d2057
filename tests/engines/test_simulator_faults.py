"""Failures on demand, refusals, and what the record says of them."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from raw_http import ASK, Engine, read_reply, read_until, send_request, started

CHAT = "/v1/chat/completions"


def test_an_error_on_demand(engine: Engine) -> None:
    reply = engine.chat(stream=True, simulate={"status": 503, "retry_after": 2})
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    message = "A simulated error with status 503."
    assert reply.json == {"error": {"message": message, "type": "server_error", "param": None, "code": None}}
    own = {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}
    reply = engine.post("/v1/completions", {"prompt": "a", "simulate": {"status": 400, "error": own}})
    assert (reply.status, reply.json) == (400, {"error": own})


@pytest.mark.parametrize("stream", [False, True])
def test_delays_are_kept(engine: Engine, stream: bool) -> None:
    started = time.monotonic()
    engine.chat(stream=stream, simulate={"delay_s": 0.1, "ttft_s": 0.1, "tokens": 10, "token_s": 0.02})
    assert time.monotonic() - started >= 0.4


def test_headers_come_before_the_first_token(engine: Engine) -> None:
    with engine.connect() as peer:
        started = time.monotonic()
        send_request(peer, CHAT, {**ASK, "stream": True, "simulate": {"ttft_s": 0.5}})
        assert b"data:" not in read_until(peer, b"\r\n\r\n")
        read_until(peer, b"data: ")
        assert time.monotonic() - started >= 0.5


@pytest.mark.parametrize(
    ("wish", "awaited", "chunks_sent"),
    [("before_headers", None, 0), ("after_headers", b"\r\n\r\n", 0), (0, b'"role"', 0), (2, b'" is"', 2)],
)
def test_silence_lasts_until_the_client_goes(
    engine: Engine, wish: str | int, awaited: bytes | None, chunks_sent: int
) -> None:
    answer_id = f"silent-{wish}"
    with engine.connect() as peer:
        body = {**ASK, "stream": True, "simulate": {"silence": wish}}
        send_request(peer, CHAT, body, x_request_id=answer_id)
        if awaited:
            read_until(peer, awaited)
        peer.settimeout(0.2)
        with pytest.raises(TimeoutError):
            peer.recv(1)
        left = time.time()
    end = engine.lines(f"chatcmpl-{answer_id}", until="disconnect")[-1]
    assert (end["completed"], end["chunks_sent"]) == (False, chunks_sent)
    assert end["time"] - left < 0.5


@pytest.mark.parametrize(("wish", "content"), [("after_headers", ""), (0, ""), (3, "This is a")])
def test_a_cut_stream_ends_in_a_reset(engine: Engine, wish: str | int, content: str) -> None:
    body = {**ASK, "stream": True, "simulate": {"cut_after": wish}}
    reply = engine.post(CHAT, body, x_request_id=f"cut-{wish}")
    assert (reply.status, reply.reset, reply.ended) == (200, True, False)
    assert reply.content == content
    end = engine.lines(f"chatcmpl-cut-{wish}", until="end")[-1]
    assert (end["completed"], end["chunks_sent"]) == (False, len(content.split()))


def test_a_cut_json_answer_counts_bytes(engine: Engine) -> None:
    reply = engine.chat(simulate={"cut_after": 20})
    assert (reply.status, len(reply.body), reply.reset) == (200, 20, True)
    with engine.connect() as peer:
        send_request(peer, CHAT, {**ASK, "simulate": {"cut_after": "before_headers"}})
        with pytest.raises(ConnectionResetError):
            peer.recv(1)


def test_a_malformed_event_comes_once_and_the_stream_goes_on(engine: Engine) -> None:
    reply = engine.chat(stream=True, simulate={"malformed_after": 2, "tokens": 4})
    broken = []
    for at, event in enumerate(reply.events[:-1]):
        try:
            json.loads(event)
        except ValueError:
            broken.append(at)
    assert broken == [3]  # after the role and two tokens
    assert len(reply.events) == 1 + 4 + 1 + 1 + 1


def test_a_client_that_leaves_is_noticed_between_tokens(engine: Engine) -> None:
    with engine.connect() as peer:
        simulate = {"token_s": 5, "tokens": 10}
        send_request(peer, CHAT, {**ASK, "stream": True, "simulate": simulate}, x_request_id="left")
        read_until(peer, b'"This"')
        left = time.time()
    received, end = engine.lines("chatcmpl-left", until="disconnect")
    assert (end["chunks_sent"], end["completed"]) == (1, False)
    assert end["time"] - left < 0.5
    assert (received["event"], received["method"], received["path"]) == ("request", "POST", CHAT)


def test_the_record_has_what_was_received(engine: Engine) -> None:
    raw = b'{"messages": [{"role":"user","content":"a"}], "max_tokens" :1, "x_other": {"y": [1]}}'
    engine.post(CHAT, raw, X_Request_ID="seen", Authorization="Bearer abc")
    received, end = engine.lines("chatcmpl-seen", until="end")
    assert received["body"] == raw.decode()
    assert ["Authorization", "Bearer abc"] in received["headers"]
    assert (end["completed"], end["chunks_sent"], end["n"]) == (True, 0, received["n"])


CHANGES: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": []}, "messages", "length >= 1"),
    ({"messages": "hi"}, "messages", "Expected `array`"),
    ({"messages": [{"content": "hi"}]}, "messages[0].role", "required field `role`"),
    ({"max_tokens": "7"}, "max_tokens", "Expected `int"),
    ({"max_tokens": 0}, "max_tokens", ">= 1"),
    ({"stream": "yes"}, "stream", "Expected `bool"),
    ({"n": 0}, "n", ">= 1"),
    ({"temperature": 3}, "temperature", "<= 2"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "only allowed with `stream: true`"),
    ({"tool_choice": "required"}, "tool_choice", "only allowed with `tools`"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "is required"),
    ({"tools": [{"function": {"name": "f", "parameters": {"minimum": "a"}}}]}, "tools", "not a usable JSON schema"),
    ({"simulate": {"tokns": 3}}, "simulate.tokns", "unknown field `tokns`"),
    ({"simulate": {"status": 999}}, "simulate.status", "<= 599"),
    ({"simulate": {"silence": "always"}}, "simulate.silence", "'always'"),
]


@pytest.mark.parametrize(("change", "param", "says"), CHANGES)
def test_wrong_fields_are_named(engine: Engine, change: dict[str, Any], param: str, says: str) -> None:
    reply = engine.chat(**change)
    error = reply.json["error"]
    assert (reply.status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert says in error["message"]


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"messages":' + b"[" * 100_000, b"[]", b"null"])
def test_what_is_not_a_json_object_is_refused(engine: Engine, raw: bytes) -> None:
    for path in (CHAT, "/v1/completions", "/v1/embeddings"):
        reply = engine.post(path, raw)
        assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("mixed", [[], [1, "a"], [[1], "a"]])
def test_mixed_inputs_are_refused(engine: Engine, mixed: list[Any]) -> None:
    for path, field in (("/v1/completions", "prompt"), ("/v1/embeddings", "input")):
        reply = engine.post(path, {field: mixed})
        assert (reply.status, reply.json["error"]["param"]) == (400, field)


def test_unknown_paths_and_methods(engine: Engine) -> None:
    for reply in (engine.get("/v1/nope"), engine.post("/v1/audio/nope", {})):
        assert (reply.status, reply.json["error"]["code"]) == (404, "unknown_url")
    reply = engine.get("/v1/embeddings")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert reply.json["error"]["type"] == "invalid_request_error"


def test_bytes_that_are_no_utf8_harm_nothing(engine: Engine) -> None:
    with engine.connect() as peer:
        peer.sendall(b"GET /v1/n%FFpe HTTP/1.1\r\nhost: e\r\nx-request-id: \xfe\r\nconnection: close\r\n\r\n")
        assert read_reply(peer).status == 404


def test_health_and_unknown_fields(engine: Engine) -> None:
    assert engine.get("/health").status == 200
    assert engine.chat(min_p=0.1, made_up={"a": 1}).status == 200


def test_a_body_of_64_mib_is_taken(tmp_path: Path) -> None:
    size = 64 << 20
    messages = [{"role": "user", "content": "word " * (size // 5)}]
    with started(tmp_path / "record.jsonl", "--ttft", "0") as engine:
        reply = engine.post(CHAT, {"messages": messages, "max_tokens": 1})
    assert reply.json["usage"]["prompt_tokens"] == size // 5
