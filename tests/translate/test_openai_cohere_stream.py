"""Streams of Cohere's in all their ways, and those that are none: a failure each, and never an exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.translate.cohere_errors import failure_in_stream
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_cohere import OpenAIToCohere
from tests.translate.cohere_events import (
    END,
    PLAIN,
    START,
    USAGE,
    WORD,
    added,
    arguments,
    called,
    data,
    ended,
    event,
    opened,
    said,
)
from tests.translate.cutting import Outcome, fed, same_however_cut
from tests.translate.golden import KNOWN, cases

DIRECTION = OpenAIToCohere()
KNOWN_FUNCTIONS = Known(KNOWN.request_id, KNOWN.created, functions=True)


def outcome(stream: bytes) -> Outcome:
    return same_however_cut(lambda: DIRECTION.stream(KNOWN), stream)


def chunks(output: bytes) -> list[Any]:
    """The chunks of a complete stream."""
    *events, done, rest = output.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    return [json.loads(event.removeprefix(b"data: ")) for event in events]


IGNORED = {
    "comments": b": keep-alive\n\n",
    "kinds of events that are not known yet": event("aroma-delta", delta={"message": {"content": {"text": "x"}}}),
    "a debug event": event("debug", prompt="x"),
    "empty words": said(""),
    "an end of a part": event("content-end", index=0),
    "a part of another kind": opened(5, "hologram"),
    "members that are not known yet": added("content-delta", 0, content={"scent": []}, aroma=[{}]),
    "nulls": event("content-delta", index=0, delta=None, logprobs=None),
    "no plan": added("tool-plan-delta", tool_plan=""),
    "a citation of nothing": added("citation-start", 0, citations={"start": 0, "end": 1, "sources": []}),
    "a citation of a plan": added(
        "citation-start", 0, citations={"start": 0, "end": 1, "type": "PLAN", "sources": [{}]}
    ),
    "the end of a citation": event("citation-end", index=0),
    "a list of nothing": added("content-delta", 0, content=[], citations=[]),
}


@pytest.mark.parametrize("stream", IGNORED.values(), ids=IGNORED)
def test_what_says_nothing_is_left_out(stream: bytes) -> None:
    assert outcome(WORD + stream + END) == outcome(PLAIN)


def test_nothing_leaves_before_the_first_word() -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(START + opened() + said("")) == b""
    assert not decoder.started
    assert decoder.feed(said("Hi")).count(b"data: ") == 2  # the role, the word
    assert decoder.started


FIRST_WORDS = {
    "a thought": opened(kind="thinking") + said("Hm", kind="thinking"),
    "a plan": added("tool-plan-delta", tool_plan="I will"),
    "a call": called(),
    "an end": ended(),
    "a word at the start of its part": added("content-start", 0, content={"type": "text", "text": "Hi"}),
    "a list of one": opened() + added("content-delta", 0, content=[{"text": "Hi"}]),
}


@pytest.mark.parametrize("stream", FIRST_WORDS.values(), ids=FIRST_WORDS)
def test_what_a_first_word_is(stream: bytes) -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(START + stream)
    assert decoder.started


def test_likeliness_waits_for_the_first_word() -> None:
    odds = {"text": "", "token_ids": [1], "logprobs": [-0.5]}
    first = event("content-delta", index=0, delta={"message": {"content": {"text": ""}}}, logprobs=odds)
    role, likely, word, *_ = chunks(outcome(START + opened() + first + said("Hi") + END).output)
    assert role["choices"][0]["delta"]["role"] == "assistant"
    assert likely["choices"][0]["logprobs"]["content"][0]["logprob"] == -0.5
    assert word["choices"][0]["delta"] == {"content": "Hi"}


def test_nothing_follows_the_end() -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(PLAIN).endswith(b"data: [DONE]\n\n")
    assert decoder.feed(PLAIN) == decoder.end() == b""
    assert decoder.failure is None


@pytest.mark.parametrize("usage", [None, {}, {"billed_units": {"input_tokens": 1}}, {"tokens": {"output_tokens": 1}}])
def test_usage_that_is_not_told_is_unknown(usage: Any) -> None:
    *_, last = chunks(outcome(WORD + ended(usage=usage)).output)
    assert last["usage"] is None


def test_what_is_charged_for_is_counted() -> None:
    *_, last = chunks(outcome(PLAIN).output)
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    tokens = {"tokens": USAGE["tokens"]}
    *_, last = chunks(outcome(WORD + ended(usage=tokens)).output)
    assert last["usage"] == {"prompt_tokens": 70, "completion_tokens": 3, "total_tokens": 73}


def test_calls_are_numbered_as_they_come_and_always_have_arguments() -> None:
    stream = START + called(4, "a") + arguments("{", 4) + arguments("}", 4) + event("tool-call-end", index=4)
    stream += called(7, "b", "g") + event("tool-call-end", index=7) + called(9, "c", "h") + ended("TOOL_CALL")
    calls: dict[int, dict[str, str]] = {}
    for chunk in chunks(outcome(stream).output):
        for choice in chunk["choices"]:
            for made in choice["delta"].get("tool_calls", []):
                call = calls.setdefault(made["index"], {"id": made.get("id"), "arguments": ""})
                call["arguments"] += made["function"]["arguments"]
    assert calls == {number: {"id": name, "arguments": "{}"} for number, name in enumerate("abc")}


def test_a_client_with_functions_is_told_of_one_call_the_old_way() -> None:
    stream = START + called(0, "a") + arguments('{"a":1.10}') + called(1, "b", "g") + arguments("{}", 1)
    stream += ended("TOOL_CALL")
    found = same_however_cut(lambda: DIRECTION.stream(KNOWN_FUNCTIONS), stream)
    first, name, words, finish, _ = chunks(found.output)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert name["choices"][0]["delta"] == {"function_call": {"name": "f", "arguments": ""}}
    assert words["choices"][0]["delta"] == {"function_call": {"arguments": '{"a":1.10}'}}
    assert finish["choices"][0]["finish_reason"] == "function_call"
    call = {"id": "a", "function": {"name": "f", "arguments": ""}}
    whole = {"finish_reason": "TOOL_CALL", "message": {"tool_calls": [call, {**call, "id": "b"}]}}
    made = DIRECTION.whole(json.dumps(whole).encode(), KNOWN_FUNCTIONS)
    assert isinstance(made, bytes)
    assert json.loads(made)["choices"][0]["message"]["function_call"] == {"name": "f", "arguments": "{}"}


NO_STREAMS = {
    "nothing": b"",
    "only comments": b": ping\n\n: ping\n\n",
    "html": b"<!doctype html>\n<html>\n\n<body>Sign in</body></html>\n",
    "events as lines, as they come without being asked for": b'{"event_type":"stream-start"}\n{"text":"Hi"}\n',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\x03\n\n\x00\xff",
}


@pytest.mark.parametrize("stream", NO_STREAMS.values(), ids=NO_STREAMS)
def test_what_is_no_stream_leaves_room_for_another_attempt(stream: bytes) -> None:
    failure = Failure.of("malformed", "The provider answered with something else than an event stream.")
    assert outcome(stream) == Outcome(b"", started=False, failure=failure)


ALWAYS = {
    "not json": b"data: {oops\n\n",
    "json cut short": b'data: {"type": "content-\n\n',
    "not an object": b"data: []\n\n",
    "OpenAI's end": b"data: [DONE]\n\n",
    "not utf-8": said("Hi").replace(b"Hi", b"\xff\xfe"),
    "half a surrogate pair": said("Hi").replace(b"Hi", b"\\ud83d"),
    "a text of numbers": said(5),
    "a part that has not started": said("x", 3),
    "a call without a name": called(name=""),
    "a call without an id": called(call_id=None),
    "a call of nothing": added("tool-call-start", 0),
    "two calls at once": added("tool-call-start", 0, tool_calls=[{"id": "a"}, {"id": "b"}]),
    "arguments of no call": arguments("{}", 3),
    "a call twice": called() + called(),
    "an end of numbers": ended(5),
    "an end without a reason": ended(None),
    "an end of nothing": event("message-end"),
    "a count below zero": ended(usage={"tokens": {"input_tokens": -1, "output_tokens": 1}}),
    "an endless count": ended().replace(b"3.0", b"1e400"),
    "an index of words": event("content-delta", index="zero"),
}
AT_ONCE = {
    **{name: START + stream for name, stream in ALWAYS.items() if name != "a call twice"},  # whose first is a word
    "a word before the message": opened() + said("Hi"),
    "an end before the message": ended(),
    "nested deeply": b"data: " + b'{"delta":' * 5000 + b"\n\n",
}


@pytest.mark.parametrize("stream", AT_ONCE.values(), ids=AT_ONCE)
def test_a_stream_that_starts_wrong_leaves_room_for_another_attempt(stream: bytes) -> None:
    found = outcome(stream) if len(stream) < 5000 else fed(DIRECTION.stream(KNOWN), [stream])
    assert found == Outcome(
        b"", started=False, failure=Failure.of("malformed", "An event of the provider's stream cannot be read.")
    )


AFTER_IT = {
    **ALWAYS,
    "a second message": START,
    "cut short": b"",
    "in the middle of an event": b'data: {"type": "content-del',
}


@pytest.mark.parametrize("stream", AFTER_IT.values(), ids=AFTER_IT)
def test_a_stream_that_goes_wrong_ends_in_one_error(stream: bytes) -> None:
    found = outcome(WORD + stream)
    assert found.failure is not None
    assert found.failure.kind == "malformed"
    assert found.started
    *_, last, rest = found.output.split(b"\n\n")
    assert rest == b""
    assert json.loads(last.removeprefix(b"data: "))["error"] == {
        "message": found.failure.message,
        "type": "server_error",
        "param": None,
        "code": "provider_malformed_answer",
    }
    assert found.output.count(b'"error"') == 1
    assert b"[DONE]" not in found.output


def test_an_event_without_an_end_is_given_up() -> None:
    decoder = DIRECTION.stream(KNOWN)
    decoder.feed(WORD + b"data: ")
    for _ in range(17):
        decoder.feed(b"x" * 2**20)
    assert decoder.failure == Failure.of("malformed", "An event of the provider's stream is too large.")


NO_ANSWERS = [
    b"",
    b"<html>",
    b"[]",
    b"{}",
    b'{"message":5}',
    b'{"message":{"content":[{"type":"text","text":"no end"}]}}',
    b'{"finish_reason":"COMPLETE"}',
    b'{"finish_reason":"TOOL_CALL","message":{"tool_calls":[{"id":"a","function":{"arguments":"{}"}}]}}',
    b'{"finish_reason":"COMPLETE","message":{},"usage":{"tokens":{"input_tokens":-1,"output_tokens":0}}}',
    b'{"message":"\xff"}',
    b"[" * 5000,
]


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_a_body_that_is_no_answer_is_a_failure(body: bytes) -> None:
    made = DIRECTION.whole(body, KNOWN)
    assert isinstance(made, Failure)
    assert (made.kind, made.status) == ("malformed", 502)


def test_errors_in_a_stream() -> None:
    assert outcome(START + data({"message": "x", "id": "y"})).failure == Failure.of("server", "x")
    assert outcome(START + ended("COMPLETE", error="x")).failure == Failure.of("server", "x")
    assert failure_in_stream("") == failure_in_stream(None) == Failure.of("server", "The provider gave no reason.")


def test_what_it_says_of_the_account_is_not_passed_on() -> None:
    failure = failure_in_stream("Your API key of acme has expired")
    assert failure == Failure("permission", "The provider refused the gateway's account.", 502)


REAL = [case.read("stream.provider.sse") for case in cases("openai_cohere", "stream.provider.sse")]


@given(st.data())
def test_no_bytes_make_a_decoder_fall_over(drawn: st.DataObject) -> None:
    """Real streams with events swapped, bytes changed and anything put in, in any pieces."""
    events = [part + b"\n\n" for part in drawn.draw(st.sampled_from(REAL)).split(b"\n\n")]
    for _ in range(drawn.draw(st.integers(0, 3))):
        at = drawn.draw(st.integers(0, len(events) - 1))
        events.insert(at, events.pop(drawn.draw(st.integers(0, len(events) - 1))))
    stream = bytearray(b"".join(events))
    for _ in range(drawn.draw(st.integers(0, 3))):
        at = drawn.draw(st.integers(0, len(stream)))
        stream[at : at + drawn.draw(st.integers(0, 3))] = drawn.draw(st.binary(max_size=4))
    at = sorted(drawn.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    pieces = [bytes(stream[a:b]) for a, b in zip([0, *at], [*at, len(stream)], strict=True)]
    found = fed(DIRECTION.stream(KNOWN), pieces)
    assert found == fed(DIRECTION.stream(KNOWN), [bytes(stream)])
    assert (found.failure is None) == found.output.endswith(b"data: [DONE]\n\n")
    assert (found.failure is not None and found.started) == (b'data: {"error":' in found.output)


@given(st.binary(max_size=300))
def test_no_body_makes_it_fall_over(body: bytes) -> None:
    assert isinstance(DIRECTION.whole(body, KNOWN), Failure)
    assert fed(DIRECTION.stream(KNOWN), [body]).failure is not None
