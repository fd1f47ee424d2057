"""Answers of providers that speak another API, as they reach the client: whole, streamed, failed in every way."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from attempt_client import STREAM, Answered, Attempt, cut, planned
from ext_proc_client import JSON, chat, snapshot_of
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from extproc.attempt_answer import WHOLE_LIMIT_BYTES
from headgate import metrics

OPENAI, ANTHROPIC = "openai", "anthropic"  # whose client; the provider is of the other API
SNAPSHOT = snapshot_of("""\
providers:
  for-anthropic: {api: openai, base_url: "http://a.test"}
  for-openai: {api: anthropic, base_url: "http://b.test"}
models:
  for-anthropic: {targets: [{provider: for-anthropic, model: up}]}
  for-openai: {targets: [{provider: for-openai, model: up}]}
tenants: {acme: {models: [for-anthropic, for-openai]}}
""")


def attempt(client: str, *, stream: bool) -> Attempt:
    body = json.loads(chat(model=f"for-{client}", stream=stream)) | {"max_tokens": 50}
    url = {OPENAI: "/v1/chat/completions", ANTHROPIC: "/v1/messages"}[client]
    made, kept = planned(url, json.dumps(body).encode(), SNAPSHOT)
    made.request(kept)
    return made


def events(*found: dict[str, Any]) -> list[bytes]:
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in found]


def chunk(*choices: dict[str, Any], **more: Any) -> bytes:
    made = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": choices, **more}
    return b"data: " + json.dumps(made).encode() + b"\n\n"


def delta(reason: str | None = None, **members: Any) -> dict[str, Any]:
    return {"index": 0, "delta": members, "finish_reason": reason}


TEXT = "Grüße, 世界"
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "up", "content": [], "stop_reason": None,
           "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}  # fmt: skip
WHOLE = {
    OPENAI: {**MESSAGE, "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn"},
    ANTHROPIC: {
        "id": "c", "object": "chat.completion", "created": 1, "model": "up",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    },
}  # fmt: skip
BEFORE = {  # what says nothing of the answer yet
    OPENAI: events(
        {"type": "message_start", "message": MESSAGE},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ),
    ANTHROPIC: [b": waiting\n\n", chunk(delta(role="assistant", content=""))],
}
BEGUN = {
    OPENAI: events({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}}),
    ANTHROPIC: [chunk(delta(content=TEXT))],
}
REST = {
    OPENAI: events(
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ),
    ANTHROPIC: [
        chunk(delta("stop")),
        chunk(usage={"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}),
        b"data: [DONE]\n\n",
    ],
}
ERROR = {
    OPENAI: events({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ANTHROPIC: [b'data: {"error":{"message":"Overloaded","type":"overloaded_error","code":503}}\n\n'],
}
LAST = {OPENAI: b"data: [DONE]\n\n", ANTHROPIC: b'event: message_stop\ndata: {"type":"message_stop"}\n\n'}
BOTH = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
STREAMED = pytest.mark.parametrize("stream", [True, False])


def error_of(client: str, found: Answered) -> dict[str, Any]:
    """The error's object, from a whole body in the client's shape."""
    assert found.headers["content-type"] == JSON
    assert found.ended
    answer = json.loads(found.body)
    assert ("request_id" in answer) == (client == ANTHROPIC)
    error: dict[str, Any] = answer["error"]
    assert error["message"]
    return error


def text_of(client: str, body: bytes) -> str:
    lines = [line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: {")]
    found = [json.loads(line) for line in lines]
    if client == ANTHROPIC:
        return "".join(event["delta"].get("text", "") for event in found if event["type"] == "content_block_delta")
    return "".join(choice["delta"].get("content") or "" for event in found for choice in event.get("choices", ()))


@pytest.fixture
def counted() -> Iterator[list[tuple[str, str, bool]]]:
    """Provider, kind and whether it had begun, of failures in answers; the metric has to agree with the log."""
    found: list[tuple[str, str, bool]] = []
    with capture_logs() as logs:
        before = _metric()
        yield found
        failed = [entry for entry in logs if entry["event"] == "provider failed in its answer"]
        assert sorted((entry["provider"], entry["kind"], entry["begun"]) for entry in failed) == sorted(found)
        assert {entry["request_id"] for entry in failed} <= {"r-1"}
        for provider, kind, _ in found:
            before[provider, kind] = before.get((provider, kind), 0) + 1
        assert _metric() == before


def _metric() -> dict[tuple[str, str], float]:
    (family,) = metrics.FAILED_ANSWERS.collect()
    return {(one.labels["provider"], one.labels["kind"]): one.value
            for one in family.samples if one.name.endswith("_total")}  # fmt: skip


@BOTH
@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("kind", [JSON, "Application/JSON; charset=utf-8"])
def test_a_whole_answer(client: str, size: int, kind: str, counted: list[Any]) -> None:
    made = attempt(client, stream=False).head(kind=kind, content_length="9")
    assert made.answered.status is None
    found = made.pieces(cut(json.dumps(WHOLE[client]).encode(), size)).answered
    assert (found.status, found.ended, made.closed, found.headers) == (200, True, True, {"content-type": JSON})
    answer = json.loads(found.body)
    content = answer["choices"][0]["message"]["content"] if client == OPENAI else answer["content"][0]["text"]
    assert content == TEXT
    usage = answer["usage"]
    assert (usage["total_tokens"] == 4) if client == OPENAI else (usage["input_tokens"] == 3)


@BOTH
def test_a_stream_is_held_until_the_answer_begins(client: str, counted: list[Any]) -> None:
    made = attempt(client, stream=True).head(kind=f"{STREAM}; charset=utf-8").pieces(BEFORE[client], last=False)
    assert made.answered.status is None
    made.pieces(BEGUN[client], last=False)
    assert (made.answered.status, made.answered.ended) == (200, False)
    assert text_of(client, made.answered.body) == TEXT  # at once, not with the next piece
    found = made.pieces(REST[client]).answered
    assert (found.ended, made.closed) == (True, True)
    assert found.body.endswith(LAST[client])
    assert "content-type" not in found.headers  # it is an event stream already


@BOTH
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
def test_pieces_make_no_difference(client: str, size: int, counted: list[Any]) -> None:
    data = b"".join(BEFORE[client] + BEGUN[client] + REST[client])
    found = attempt(client, stream=True).head(kind=STREAM).pieces(cut(data, size)).answered
    whole = attempt(client, stream=True).head(kind=STREAM).piece(data, last=True).answered
    assert (found.status, text_of(client, found.body)) == (200, TEXT)
    assert _without_times(found.body) == _without_times(whole.body)


def _without_times(body: bytes) -> list[Any]:
    lines = [line.partition(b"data: ")[2] for line in body.splitlines()]
    return [json.loads(line) | {"created": 0} for line in lines if line.startswith(b"{")]


@BOTH
def test_an_error_before_the_start_is_a_status(client: str, counted: list[Any]) -> None:
    made = attempt(client, stream=True).head(kind=STREAM).pieces(BEFORE[client] + ERROR[client], last=False)
    assert (made.answered.status, made.closed) == (503, True)  # at once, though the provider has not ended
    error = error_of(client, made.answered)
    assert error["message"] == "Overloaded"
    assert error["type"] == ("server_error" if client == OPENAI else "overloaded_error")
    counted.append((f"for-{client}", "overloaded", False))


@BOTH
@pytest.mark.parametrize("how", ["error", "truncated", "garbage"])
def test_a_failure_after_the_start_is_the_last_piece(client: str, how: str, counted: list[Any]) -> None:
    made = attempt(client, stream=True).head(kind=STREAM).pieces(BEFORE[client] + BEGUN[client], last=False)
    known = len(made.answered.body)
    made.pieces({"error": ERROR[client], "truncated": [], "garbage": [b"data: {\n\n"]}[how], last=how == "truncated")
    found = made.answered
    assert (found.status, found.ended, made.closed) == (200, True, True)
    (line,) = [line for line in found.body[known:].splitlines() if line.startswith(b"data: ")]
    assert list(json.loads(line[6:])["error"])[:2] == (
        ["message", "type"] if client == OPENAI else ["type", "message"]
    )
    assert LAST[client] not in found.body
    counted.append((f"for-{client}", "overloaded" if how == "error" else "malformed", True))


HTML = b"<html>504 Gateway Time-out</html>"
MALFORMED: list[tuple[str, bool, str, bytes, dict[str, str]]] = [
    ("a page", True, "text/html", HTML, {}),
    ("a page", False, "text/html", HTML, {}),
    ("a page that says it is JSON", False, JSON, HTML, {}),
    ("a page that says it is a stream", True, STREAM, HTML, {}),
    ("compressed", False, JSON, b"\x1f\x8b\x08", {"content_encoding": "gzip"}),
    ("compressed", True, STREAM, b"\x1f\x8b\x08", {"content_encoding": "br"}),
    ("whole for a stream", True, JSON, b"{}", {}),
    ("a stream for whole", False, STREAM, b"data: {}\n\n", {}),
    ("no type", False, "", b"{}", {}),
    ("another success", False, JSON, b"{}", {":status": "202"}),
    ("JSON of something else", False, JSON, b"[]", {}),
    ("half an answer", False, JSON, b'{"type": "mess', {}),
    ("nothing", True, STREAM, b"", {}),
    ("nothing", False, JSON, b"", {}),
    ("half an event", True, STREAM, b"data: {", {}),
    ("bytes", False, JSON, b"\xff\x00\xfe", {}),
]


@BOTH
@pytest.mark.parametrize(("stream", "kind", "body", "more"), [case[1:] for case in MALFORMED],
                         ids=[f"{case[0]}-{case[1]}" for case in MALFORMED])  # fmt: skip
def test_an_answer_that_is_none_is_a_bad_gateway(
    client: str, stream: bool, kind: str, body: bytes, more: dict[str, str], counted: list[Any]
) -> None:
    found = attempt(client, stream=stream).head(kind=kind, **more).pieces([body]).answered
    error = error_of(client, found)
    assert found.status == 502
    if client == OPENAI:
        assert (error["type"], error["code"]) == ("server_error", "provider_malformed_answer")
    else:
        assert error["type"] == "api_error"
    assert "html" not in error["message"].lower().replace("text/html", "")
    counted.append((f"for-{client}", "malformed", False))


@BOTH
@STREAMED
@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_that_ends_with_its_head(client: str, stream: bool, status: int, counted: list[Any]) -> None:
    found = attempt(client, stream=stream).head(status, STREAM if stream else JSON, ends=True).answered
    error_of(client, found)
    assert found.status == 502
    counted.append((f"for-{client}", "malformed", False))


@BOTH
def test_an_answer_that_is_too_large_is_given_up(client: str, counted: list[Any]) -> None:
    made = attempt(client, stream=False).head()
    piece, sent = b" " * 2**20, 0
    while not made.closed:
        made.piece(piece, last=False)
        sent += len(piece)
    assert WHOLE_LIMIT_BYTES < sent <= WHOLE_LIMIT_BYTES + len(piece)
    assert made.answered.status == 502
    assert "too large" in error_of(client, made.answered)["message"]
    counted.append((f"for-{client}", "malformed", False))


@BOTH
@given(stream=st.booleans(), kind=st.sampled_from([JSON, STREAM, "text/html"]), data=st.data())
def test_no_bytes_make_it_stumble(client: str, stream: bool, kind: str, data: st.DataObject) -> None:
    """There is a status, an end, and not a word after it: the client sees to the last two."""
    known = [*BEFORE[client], *BEGUN[client], *REST[client], *ERROR[client], json.dumps(WHOLE[client]).encode()]
    part = st.binary(max_size=40) | st.sampled_from(known) | st.sampled_from([b"data: ", b"\n\n", b"event: error\n"])
    pieces = data.draw(st.lists(part, max_size=8))
    made = attempt(client, stream=stream).head(data.draw(st.sampled_from([200, 204, 301, 400, 529])), kind)
    made.pieces(pieces, last=data.draw(st.booleans()))
    if not made.closed:
        made.trailers()
    assert made.closed
    assert made.answered.ended
    assert made.answered.status is not None
    if made.answered.status != 200:
        error_of(client, made.answered)
