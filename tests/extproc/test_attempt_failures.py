"""Answers of providers that speak another API, failed in every way: what the client, the metric and the log get."""

import json

import pytest
from attempt_client import STREAM, cut
from ext_proc_client import JSON
from foreign_answers import ANTHROPIC, BEFORE, BEGUN, ERROR, LAST, OPENAI, REST, WHOLE, attempt, error_of
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.attempt_answer import ERROR_LIMIT_BYTES, WHOLE_LIMIT_BYTES

Counted = list[tuple[str, str, bool]]
BOTH = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
STREAMED = pytest.mark.parametrize("stream", [True, False])


@BOTH
def test_an_error_before_the_start_is_a_status(client: str, counted: Counted) -> None:
    made = attempt(client, stream=True).head(kind=STREAM).pieces(BEFORE[client] + ERROR[client], last=False)
    assert (made.answered.status, made.closed) == (503, True)  # at once, though the provider has not ended
    error = error_of(client, made.answered)
    assert error["message"] == "Overloaded"
    assert error["type"] == ("server_error" if client == OPENAI else "overloaded_error")
    counted.append((f"for-{client}", "overloaded", False))


@BOTH
@pytest.mark.parametrize("how", ["error", "truncated", "garbage"])
def test_a_failure_after_the_start_is_the_last_piece(client: str, how: str, counted: Counted) -> None:
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
    client: str, stream: bool, kind: str, body: bytes, more: dict[str, str], counted: Counted
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
def test_an_answer_that_ends_with_its_head(client: str, stream: bool, status: int, counted: Counted) -> None:
    found = attempt(client, stream=stream).head(status, STREAM if stream else JSON, ends=True).answered
    error_of(client, found)
    assert found.status == 502
    counted.append((f"for-{client}", "malformed", False))


@BOTH
@STREAMED
def test_an_answer_of_a_head_and_trailers(client: str, stream: bool, counted: Counted) -> None:
    """Envoy takes no piece where there is no body: the head brings the error's."""
    made = attempt(client, stream=stream).head(kind=STREAM if stream else JSON).trailers()
    error_of(client, made.answered)
    assert (made.answered.status, made.answered.pieces, made.closed) == (502, [], True)
    counted.append((f"for-{client}", "malformed", False))


@BOTH
@STREAMED
def test_an_error_of_a_head_and_trailers(client: str, stream: bool, counted: Counted) -> None:
    made = attempt(client, stream=stream).head(400).trailers()
    assert (made.answered.status, made.answered.body, made.answered.pieces) == (400, b"", [])
    assert (made.answered.trailers, made.closed) == (True, True)


@BOTH
def test_an_answer_that_is_too_large_is_given_up(client: str, counted: Counted) -> None:
    made = attempt(client, stream=False).head()
    piece, sent = b" " * 2**20, 0
    while not made.closed:
        made.piece(piece, last=False)
        sent += len(piece)
    assert WHOLE_LIMIT_BYTES < sent <= WHOLE_LIMIT_BYTES + len(piece)
    assert made.answered.status == 502
    assert "too large" in error_of(client, made.answered)["message"]
    counted.append((f"for-{client}", "malformed", False))


SAID = {
    OPENAI: {"type": "error", "error": {"type": "invalid_request_error", "message": "Too é much"}},
    ANTHROPIC: {"error": {"message": "Too é much", "type": "invalid_request_error", "param": None, "code": "c"}},
}


@BOTH
@STREAMED
@pytest.mark.parametrize("size", [1, 10, 1000])
@pytest.mark.parametrize("ended_by", ["piece", "nothing", "trailers"])
def test_an_error_is_told_in_the_clients_shape(
    client: str, stream: bool, size: int, ended_by: str, counted: Counted
) -> None:
    made = attempt(client, stream=stream).head(400, "application/json; charset=utf-8")
    assert (made.answered.status, made.answered.ended) == (400, False)  # at once: the router decides by it
    data = json.dumps(SAID[client], ensure_ascii=False).encode()
    if ended_by == "piece":
        made.pieces(cut(data[:-1], size), last=False).piece(data[-1:], last=True)
    else:
        made.pieces(cut(data, size), last=ended_by == "nothing")
    if ended_by == "trailers":
        made.trailers()
    assert (made.answered.trailers, made.closed) == (ended_by == "trailers", True)
    error = error_of(client, made.answered)
    assert (error["type"], error["message"]) == ("invalid_request_error", "Too é much")


@BOTH
@STREAMED
@pytest.mark.parametrize(
    ("status", "shown"),
    [(302, 502), (401, 401), (404, 404), (429, 429), (500, 500), (503, 503), (529, None), (599, 599)],
)
@pytest.mark.parametrize("body", [b"{}", HTML, b"", b"\xff", b"[" * 100_000, b" " * (ERROR_LIMIT_BYTES + 9), None])
def test_statuses(
    client: str, stream: bool, status: int, shown: int | None, body: bytes | None, counted: Counted
) -> None:
    """With whatever body; None is an answer that ends with its head."""
    made = attempt(client, stream=stream).head(status, ends=body is None, location="http://elsewhere.test")
    if body is not None:
        made.pieces(cut(body, 30_000))
    error_of(client, made.answered)
    assert made.answered.status == (shown or (503 if client == OPENAI else 529))  # that one is Anthropic's own
    assert made.closed


@BOTH
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_has_the_code_that_it_has_untranslated(
    client: str, status: int, counted: Counted
) -> None:
    error = error_of(client, attempt(client, stream=False).head(status).pieces([b"{}"]).answered)
    assert error.get("details", {"error_code": error.get("code")})["error_code"] == "provider_refused_credential"


def test_openais_error_keeps_its_code(counted: Counted) -> None:
    found = attempt(ANTHROPIC, stream=False).head(400).pieces([json.dumps(SAID[ANTHROPIC]).encode()]).answered
    assert error_of(ANTHROPIC, found)["details"] == {"error_code": "c"}


@BOTH
def test_trailers_end_a_whole_answer_and_a_stream(client: str, counted: Counted) -> None:
    whole = attempt(client, stream=False).head().piece(json.dumps(WHOLE[client]).encode(), last=False).trailers()
    stream = attempt(client, stream=True).head(kind=STREAM)
    stream.pieces(BEFORE[client] + BEGUN[client] + REST[client], last=False)
    if not stream.closed:
        stream.trailers()
    for found in (whole.answered, stream.answered):
        assert (found.status, found.ended) == (200, True)
    assert json.loads(whole.answered.body)["model"] == "up"
    assert stream.answered.body.endswith(LAST[client])


@BOTH
@settings(deadline=None)
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
    if made.answered.status != 200 and (pieces or made.answered.body):
        error_of(client, made.answered)
