"""A stream's events, however it is cut; and errors as a WebSocket has them."""

import json

import pytest

from headgate.bridge.events import Events, error_event, error_of, nested, on_lane, response_of

EVENTS = [b'{"type":"response.created","response":{"id":"r"}}', '{"delta":"é\u2028"}'.encode(), b'{"a":\n1}']
STREAM = (
    b": a comment\n\nevent: response.created\ndata: " + EVENTS[0] + b"\n\ndata:" + EVENTS[1] + b"\r\n\r\nid: 3\n"
    b'data: {"a":\ndata: 1}\n\nevent: empty\n\ndata: [DONE]\n\ndata: {"never":"ended"}\n'
)


def test_a_stream_cut_at_every_index_has_the_same_events() -> None:
    for cut in range(len(STREAM) + 1):
        events = Events()
        assert events.feed(STREAM[:cut]) + events.feed(STREAM[cut:]) == EVENTS, cut


def test_a_stream_byte_by_byte_has_the_same_events() -> None:
    events = Events()
    assert [event for byte in STREAM for event in events.feed(bytes([byte]))] == EVENTS


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_gets_its_lane(event: bytes) -> None:
    assert json.loads(on_lane(event, "a-1")) == {"stream_id": "a-1", **json.loads(event)}
    assert on_lane(event, None) == event


def test_a_refusal_is_an_error_event() -> None:
    body = b'{"error":{"message":"Slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}'
    headers = {"retry-after": "7", "x-request-id": "i", "x-headgate-error-source": "gateway", "server": "s"}
    assert json.loads(error_event(429, error_of(body, 429), headers)) == {
        "type": "error",
        "status": 429,
        "error": {
            "message": "Slow down",
            "type": "requests",
            "param": None,
            "code": "rate_limit_exceeded",
            "headers": {name: value for name, value in headers.items() if name != "server"},
        },
    }


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"no"}', b'{"error":{"code":1}}', b"\xff"])
def test_a_refusal_without_words_has_some(body: bytes) -> None:
    assert error_of(body, 502)["type"] == "server_error"
    assert error_of(body, 404)["message"] == "The request was refused with status 404."


def test_a_streams_error_is_nested() -> None:
    flat = b'{"type":"error","sequence_number":3,"code":"c","message":"m","param":null}'
    error = {"type": "server_error", "code": "c", "message": "m", "param": None}
    assert json.loads(nested(flat)) == {"type": "error", "sequence_number": 3, "error": error}
    assert nested(b'{"type":"error","error":{"message":"m"}}') == b'{"type":"error","error":{"message":"m"}}'


def test_a_final_event_says_what_is_kept() -> None:
    event = b'{"type":"response.completed","response":{"id":"r","store":false,"output":[ {"x":1} ],"usage":{}}}'
    assert response_of(event) == {"id": "r", "store": False, "output": b'[ {"x":1} ]'}
    assert response_of(b'{"response":7}') is None
