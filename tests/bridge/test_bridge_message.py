"""What a client's message asks for: the request's body is what it wrote, less what only a WebSocket has."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.bridge.message import MessageError, read_message

OWN = ("type", "stream_id", "generate", "background", "stream")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(st.text().filter(lambda name: name not in OWN), VALUES, max_size=6),
    st.booleans(),
    st.sampled_from([None, 0, 2, "\t"]),
    st.sampled_from([{}, {"background": False, "generate": None}, {"stream": False, "stream_id": "a.b-C_9"}]),
)
def test_the_body_has_what_was_written_and_nothing_else(
    body: dict[str, Any], plain: bool, indent: Any, more: dict[str, Any]
) -> None:
    text = json.dumps({"type": "response.create", **body, **more}, indent=indent, ensure_ascii=plain)
    create = read_message(f" {text}\n")
    assert json.loads(create.body()) == body | {"stream": True}
    assert create.lane == more.get("stream_id")
    assert create.generates


def test_values_keep_their_bytes() -> None:
    text = '{"type":"response.create", "a" : 1.50 , "b":{ "x":1e2,"x":"\\u00e9" }, "c":[1, 2] ,"stream_id":"s" }'
    assert read_message(text).body() == b'{"a":1.50,"b":{ "x":1e2,"x":"\\u00e9" },"c":[1, 2],"stream":true}'


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        (b"{}", "invalid_message", None),
        ("", "invalid_json", None),
        ("[]", "invalid_json", None),
        ('{"type":"response.create"', "invalid_json", None),
        ('{"type":"response.create"}{}', "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ('{"type":"response.create","a":1,"a":1}', "duplicate_key", None),
        ('{"type":"response.create","a":1,"b":2,"a":3}', "duplicate_key", None),
        ('{"type":"response.create","a":1,"\\u0061":3}', "duplicate_key", None),
        ('{"type":"response.create","type":"response.create"}', "duplicate_key", None),
        ("{}", "unsupported_event", "type"),
        ('{"type":"response.steer","input":"x"}', "unsupported_event", "type"),
        ('{"type":1}', "unsupported_event", "type"),
        ('{"type":"response.create","stream_id":""}', "invalid_stream_id", "stream_id"),
        ('{"type":"response.create","stream_id":"a b"}', "invalid_stream_id", "stream_id"),
        ('{"type":"response.create","stream_id":"' + "x" * 257 + '"}', "invalid_stream_id", "stream_id"),
        ('{"type":"response.create","stream_id":7}', "invalid_stream_id", "stream_id"),
        ('{"type":"response.create","background":true}', "unsupported_parameter", "background"),
        ('{"type":"response.create","generate":"no"}', "invalid_type", "generate"),
    ],
)
def test_what_is_no_event_is_refused(message: str | bytes, code: str, param: str | None) -> None:
    with pytest.raises(MessageError) as refused:
        read_message(message)
    assert (refused.value.code, refused.value.param) == (code, param)


def test_an_error_is_on_the_lane_that_it_is_about() -> None:
    with pytest.raises(MessageError) as refused:
        read_message('{"type":"response.create","background":true,"stream_id":"a"}')
    assert refused.value.lane == "a"


def test_a_warm_up_generates_nothing() -> None:
    assert not read_message('{"type":"response.create","generate":false}').generates
