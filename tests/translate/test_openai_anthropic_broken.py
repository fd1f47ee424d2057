"""Streams and answers of Anthropic's that are not as they should be: a failure each, and never an exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.translate.anthropic_errors import failure_in_stream
from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic import OpenAIToAnthropic
from tests.translate.anthropic_events import END, STOPPED, TEXT, TOOL, WORD, closed, delta, event, opened, start
from tests.translate.cutting import Outcome, fed, same_however_cut
from tests.translate.golden import KNOWN, cases

DIRECTION = OpenAIToAnthropic()


def outcome(data: bytes) -> Outcome:
    return same_however_cut(lambda: DIRECTION.stream(KNOWN), data)


NO_STREAMS = {
    "nothing": b"",
    "only comments": b": ping\n\n: ping\n\n",
    "only pings": event("ping") * 2,
    "html": b"<!doctype html>\n<html>\n\n<body>Sign in</body></html>\n",
    "a whole answer": b'{"type": "message", "content": []}',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\n\n\x00\xff",
}
BROKEN = {
    "no start": opened(TEXT) + WORD,
    "an end without a start": END,
    "a reason without a start": STOPPED,
    "a start without a message": event("message_start"),
    "two starts": start() + start(),
    "a word without a block": start() + WORD,
    "a word in another block": start() + opened(TEXT) + delta("text_delta", 1, text="x"),
    "a word in a closed block": start() + opened(TEXT) + closed() + WORD,
    "an end without a block": start() + closed(),
    "a block twice": start() + opened(TEXT) + opened(TEXT),
    "a block without content": start() + event("content_block_start", index=0),
    "a delta without a delta": start() + opened(TEXT) + event("content_block_delta", index=0),
    "an end inside a block": start() + opened(TEXT) + END,
    "not json": start() + b"data: {oops\n\n",
    "json cut short": start() + b'data: {"type": "ping"\n\n',
    "not an object": start() + b"data: []\n\n",
    "no type": start() + b"data: {}\n\n",
    "not utf-8": start() + opened(TEXT) + WORD.replace(b"Hi", b"\xff\xfe"),
    "half a surrogate pair": start() + opened(TEXT) + WORD.replace(b"Hi", b"\\ud83d"),
    "a call without an id": start() + opened({**TOOL, "id": ""}),
    "a call without a name": start() + opened({**TOOL, "name": ""}),
    "an index of words": start() + opened(TEXT).replace(b": 0", b': "zero"'),
    "a text of numbers": start() + opened(TEXT) + delta("text_delta", text=5),
    "nested deeply": start() + b"data: " + b'{"type":' * 5000 + b"\n\n",
}


@pytest.mark.parametrize("data", NO_STREAMS.values(), ids=NO_STREAMS)
def test_what_is_no_stream_leaves_room_for_another_attempt(data: bytes) -> None:
    failure = Failure.of("malformed", "The provider answered with something else than an event stream.")
    assert outcome(data) == Outcome(b"", started=False, failure=failure)


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_stream_that_starts_wrong_leaves_room_for_another_attempt(data: bytes) -> None:
    found = outcome(data) if len(data) < 5000 else fed(DIRECTION.stream(KNOWN), [data])
    assert found.failure is not None
    assert (found.failure.kind, found.failure.status) == ("malformed", 502)
    assert found.failure.message.startswith("An event of the provider's stream ")
    assert (found.started, found.output) == (False, b"")


AFTER_IT = {
    "cut short": b"",
    "in the middle of an event": b'event: content_block_delta\ndata: {"type": "content_blo',
    "no message_stop": closed() + STOPPED,
    "not json": b"data: {oops\n\n",
    "a tool's input in text, then the end": delta("input_json_delta", partial_json="{}") + END,
    "text in a tool": opened(TOOL, 1) + delta("text_delta", 1, text="x"),
    "text in thinking": opened({"type": "thinking", "thinking": ""}, 1) + delta("text_delta", 1, text="x"),
    "started again": start(),
}


@pytest.mark.parametrize("data", AFTER_IT.values(), ids=AFTER_IT)
def test_a_stream_that_goes_wrong_ends_in_one_error(data: bytes) -> None:
    found = outcome(start() + opened(TEXT) + WORD + data)
    assert found.failure is not None
    assert found.failure.kind == "malformed"
    assert found.started
    *_, last, rest = found.output.split(b"\n\n")
    assert rest == b""
    error = json.loads(last.removeprefix(b"data: "))["error"]
    assert error == {
        "message": found.failure.message,
        "type": "server_error",
        "param": None,
        "code": "provider_malformed_answer",
    }
    assert found.output.count(b'"error"') == 1
    assert b"[DONE]" not in found.output


def test_an_event_without_an_end_is_given_up() -> None:
    decoder = DIRECTION.stream(KNOWN)
    decoder.feed(start() + opened(TEXT) + WORD + b"data: ")
    for _ in range(17):
        decoder.feed(b"x" * 2**20)
    assert decoder.failure == Failure.of("malformed", "An event of the provider's stream is too large.")


NO_ANSWERS = [
    b"",
    b"<html>",
    b'{"type":"message","model":"m","content":[{"type":"tool_use","name":"f"}]}',
    b"[]",
    b"{}",
    b'{"type":"message","content":5}',
    b'{"type":"completion"}',
    b'{"type":"message","model":"\xff"}',
    b"[" * 5000,
]


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_a_body_that_is_no_answer_is_a_failure(body: bytes) -> None:
    made = DIRECTION.whole(body, KNOWN)
    assert isinstance(made, Failure)
    assert (made.kind, made.status) == ("malformed", 502)


@pytest.mark.parametrize("error", [None, 5, [], {}, {"type": 5}, {"type": "x", "message": None}])
def test_an_error_without_words_is_the_servers(error: Any) -> None:
    assert failure_in_stream(error) == Failure.of("server", "The provider gave no reason.")


REAL = [case.read("stream.provider.sse") for case in cases("openai_anthropic", "stream.provider.sse")]


@given(st.data())
def test_no_bytes_make_a_decoder_fall_over(data: st.DataObject) -> None:
    """Real streams with events swapped, bytes changed and anything put in, in any pieces."""
    events = [part + b"\n\n" for part in data.draw(st.sampled_from(REAL)).split(b"\n\n")]
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(events) - 1))
        events.insert(at, events.pop(data.draw(st.integers(0, len(events) - 1))))
    stream = bytearray(b"".join(events))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(stream)))
        stream[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    at = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    pieces = [bytes(stream[a:b]) for a, b in zip([0, *at], [*at, len(stream)], strict=True)]
    found = fed(DIRECTION.stream(KNOWN), pieces)
    assert found == fed(DIRECTION.stream(KNOWN), [bytes(stream)])
    assert (found.failure is None) == found.output.endswith(b"data: [DONE]\n\n")
    assert (found.failure is not None and found.started) == (b'data: {"error":' in found.output)


@given(st.binary(max_size=300))
def test_no_body_makes_it_fall_over(body: bytes) -> None:
    assert isinstance(DIRECTION.whole(body, KNOWN), Failure)
    assert fed(DIRECTION.stream(KNOWN), [body]).failure is not None
