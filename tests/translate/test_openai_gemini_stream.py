"""Streams of Gemini's in all their ways, and those that are none: a failure each, and never an exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.gemini_errors import failure_in_stream
from extproc.translate.openai_gemini import OpenAIToGemini
from tests.translate.cutting import Outcome, fed, same_however_cut
from tests.translate.gemini_events import END, PLAIN, USAGE, WORD, call, data, event
from tests.translate.golden import KNOWN, cases

DIRECTION = OpenAIToGemini()
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
    "events without a candidate": data({"responseId": "x"}) + data({"candidates": []}) + data({"candidates": None}),
    "empty words": event({"text": ""}),
    "kinds of parts that are not known yet": event({"hologram": {"text": "x"}}, {"executableCode": {"code": "1"}}),
    "members that are not known yet": data({"candidates": [{"aroma": "lime", "content": {"scent": []}}], "x": [{}]}),
    "nulls": event({"text": None, "thought": None, "functionCall": None}, finishReason=None, logprobsResult=None),
    "an unspecified end": event(finishReason="FINISH_REASON_UNSPECIFIED"),
    "feedback without a reason": data({"promptFeedback": {"safetyRatings": []}}),
    "no error": data({"error": None}),
}


@pytest.mark.parametrize("stream", IGNORED.values(), ids=IGNORED)
def test_what_says_nothing_is_left_out(stream: bytes) -> None:
    assert outcome(WORD + stream + END) == outcome(PLAIN)


def test_nothing_leaves_before_the_first_word() -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(event({"text": "", "thoughtSignature": "x"}, usage=USAGE)) == b""
    assert not decoder.started
    assert decoder.feed(WORD).count(b"data: ") == 2  # the role, the word
    assert decoder.started


FIRST_WORDS = {
    "a thought": event({"text": "Hm", "thought": True}),
    "a call": event(call("f")),
    "an end": event(finishReason="STOP"),
    "a refusal": data({"promptFeedback": {"blockReason": "SAFETY"}}),
}


@pytest.mark.parametrize("stream", FIRST_WORDS.values(), ids=FIRST_WORDS)
def test_what_a_first_word_is(stream: bytes) -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(stream)
    assert decoder.started


def test_the_end_is_the_streams_own() -> None:
    """Words behind a reason to end are the answer's too, and so is usage."""
    more = event({"text": "!"}) + data({"usageMetadata": {**USAGE, "candidatesTokenCount": 2}})
    *_, word, finish, usage = chunks(outcome(PLAIN + more).output)
    assert word["choices"][0]["delta"] == {"content": "!"}
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_nothing_follows_the_end() -> None:
    decoder = DIRECTION.stream(KNOWN)
    decoder.feed(PLAIN)
    assert decoder.end().endswith(b"data: [DONE]\n\n")
    assert decoder.feed(PLAIN) == decoder.end() == b""
    assert decoder.failure is None


def test_usage_that_is_not_told_is_unknown() -> None:
    *_, usage = chunks(outcome(WORD + event(finishReason="STOP")).output)
    assert usage["usage"] is None


def test_every_answer_needs_an_end() -> None:
    one, other = event({"text": "a"}, finishReason="STOP"), event({"text": "b"}, index=1)
    assert outcome(one + other).failure is not None
    found = chunks(outcome(one + other + event(index=1, finishReason="MAX_TOKENS")).output)
    reasons = [chunk["choices"][0] for chunk in found[:-1] if chunk["choices"][0]["finish_reason"]]
    assert [(choice["index"], choice["finish_reason"]) for choice in reasons] == [(0, "stop"), (1, "length")]


def test_calls_get_ids_that_are_the_same_each_time_and_never_twice() -> None:
    stream = event(call("f"), call("f", {"a": 1}, id="own")) + event(call("f"), index=1) + END
    stream += event(index=1, finishReason="STOP")
    calls = [
        (chunk["choices"][0]["index"], made["index"], made["id"])
        for chunk in chunks(outcome(stream).output)
        for choice in chunk["choices"]
        for made in choice["delta"].get("tool_calls", [])
    ]
    assert [(index, number) for index, number, _ in calls] == [(0, 0), (0, 1), (1, 0)]
    assert calls[1][2] == "own"
    assert len({call_id for *_, call_id in calls}) == 3
    assert all(len(call_id) <= 40 for *_, call_id in calls)  # as long as OpenAI's may be
    other = DIRECTION.stream(Known("another", 1))
    assert calls[0][2].encode() not in other.feed(stream)


def test_a_client_with_functions_is_told_of_one_call_the_old_way() -> None:
    stream = event(call("f", {"a": 1.10}), call("g")) + event(finishReason="STOP")
    found = same_however_cut(lambda: DIRECTION.stream(KNOWN_FUNCTIONS), stream)
    first, said, finish, _ = chunks(found.output)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert said["choices"][0]["delta"] == {"function_call": {"name": "f", "arguments": '{"a":1.1}'}}
    assert finish["choices"][0]["finish_reason"] == "function_call"
    whole = json.loads(event(call("f"), call("g"), finishReason="STOP")[6:])
    made = DIRECTION.whole(json.dumps(whole).encode(), KNOWN_FUNCTIONS)
    assert isinstance(made, bytes)
    assert json.loads(made)["choices"][0]["message"]["function_call"] == {"name": "f", "arguments": "{}"}


NO_STREAMS = {
    "nothing": b"",
    "only comments": b": ping\n\n: ping\n\n",
    "html": b"<!doctype html>\n<html>\n\n<body>Sign in</body></html>\n",
    "a list, as it comes without alt=sse": b'[{"candidates": []}]',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\x03\n\n\x00\xff",
}


@pytest.mark.parametrize("stream", NO_STREAMS.values(), ids=NO_STREAMS)
def test_what_is_no_stream_leaves_room_for_another_attempt(stream: bytes) -> None:
    failure = Failure.of("malformed", "The provider answered with something else than an event stream.")
    assert outcome(stream) == Outcome(b"", started=False, failure=failure)


BROKEN = {
    "not json": b"data: {oops\n\n",
    "json cut short": b'data: {"candidates": [\n\n',
    "not an object": b"data: []\n\n",
    "OpenAI's end": b"data: [DONE]\n\n",
    "not utf-8": WORD.replace(b"Hi", b"\xff\xfe"),
    "half a surrogate pair": WORD.replace(b"Hi", b"\\ud83d"),
    "a text of numbers": event({"text": 5}),
    "an end of numbers": event(finishReason=5),
    "an index of words": event({"text": "x"}, index="zero"),  # type: ignore[arg-type]
    "an index below all": event({"text": "x"}, index=-1),
    "an index above all": event({"text": "x"}, index=128),
    "a call without a name": event(call("")),
    "a call with a list": event(call("f", [1])),
    "a call of text": event({"functionCall": "f"}),
    "nested deeply": b"data: " + b'{"candidates":' * 5000 + b"\n\n",
}


@pytest.mark.parametrize("stream", BROKEN.values(), ids=BROKEN)
def test_a_stream_that_starts_wrong_leaves_room_for_another_attempt(stream: bytes) -> None:
    found = outcome(stream) if len(stream) < 5000 else fed(DIRECTION.stream(KNOWN), [stream])
    assert found == Outcome(
        b"", started=False, failure=Failure.of("malformed", "An event of the provider's stream cannot be read.")
    )


AFTER_IT = {
    **{name: stream for name, stream in BROKEN.items() if len(stream) < 5000},
    "cut short": b"",
    "in the middle of an event": b'data: {"candidates": [{"con',
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
    b'{"candidates":5}',
    b'{"candidates":[]}',
    b'{"candidates":[{"content":{"parts":[{"text":"no end"}]}}]}',
    b'{"candidates":[{"finishReason":"STOP"},{"finishReason":"STOP"}]}',
    b'{"candidates":[{"finishReason":"STOP","content":{"parts":[{"functionCall":{"name":"f","args":[]}}]}}]}',
    b'{"modelVersion":"\xff"}',
    b"[" * 5000,
]


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_a_body_that_is_no_answer_is_a_failure(body: bytes) -> None:
    made = DIRECTION.whole(body, KNOWN)
    assert isinstance(made, Failure)
    assert (made.kind, made.status) == ("malformed", 502)


@pytest.mark.parametrize("error", [5, [], {}, {"status": 5}, {"code": [], "message": None}, None])
def test_an_error_without_words_is_the_servers(error: Any) -> None:
    assert failure_in_stream(error) == Failure.of("server", "The provider gave no reason.")


def test_an_error_of_nothing_but_text() -> None:
    assert failure_in_stream("out of memory") == Failure.of("server", "out of memory")


REAL = [case.read("stream.provider.sse") for case in cases("openai_gemini", "stream.provider.sse")]


@given(st.data())
def test_no_bytes_make_a_decoder_fall_over(drawn: st.DataObject) -> None:
    """Real streams with events swapped, bytes changed and anything put in, in any pieces."""
    events = [part + b"\r\n\r\n" for part in drawn.draw(st.sampled_from(REAL)).split(b"\r\n\r\n")]
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
