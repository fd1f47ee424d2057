"""Streams of Converse in all their ways, and those that are none: a failure each, and never an exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.translate.bedrock_errors import failure_in_stream, failure_of
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_bedrock import OpenAIToBedrock
from tests.translate.bedrock_frames import (
    ENDED,
    METADATA,
    PLAIN,
    START,
    WORD,
    delta,
    encoded,
    error,
    event,
    exception,
    frame,
    stop,
    tool,
)
from tests.translate.cutting import Outcome, fed, same_however_cut
from tests.translate.golden import KNOWN, cases

DIRECTION = OpenAIToBedrock()
KNOWN_FUNCTIONS = Known(KNOWN.request_id, KNOWN.created, functions=True)


def outcome(stream: bytes, known: Known = KNOWN) -> Outcome:
    return same_however_cut(lambda: DIRECTION.stream(known), stream)


def chunks(output: bytes) -> list[Any]:
    """The chunks of a complete stream."""
    *events, done, rest = output.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    return [json.loads(event.removeprefix(b"data: ")) for event in events]


IGNORED = {
    "events that are not known yet": event("hologram", delta={"text": "x"}) + frame(b"{", event_type="x"),
    "messages that are not known yet": frame(b"{", message_type="hologram"),
    "empty words": delta(text=""),
    "deltas that are not known yet": delta(hologram={"text": "x"}) + delta(),
    "nulls": event("contentBlockDelta", contentBlockIndex=0, delta=None) + delta(text=None, reasoningContent=None),
    "the start of a text": event("contentBlockStart", contentBlockIndex=0, start={}),
    "the end of nothing": stop(7),
    "usage before the end": METADATA,
}


@pytest.mark.parametrize("stream", IGNORED.values(), ids=IGNORED)
def test_what_says_nothing_is_left_out(stream: bytes) -> None:
    assert outcome(START + WORD + stream + stop() + ENDED + METADATA) == outcome(PLAIN)


def test_nothing_leaves_before_the_first_word() -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(START + delta(text="") + stop()) == b""
    assert not decoder.started
    assert decoder.feed(WORD).count(b"data: ") == 2  # the role, the word
    assert decoder.started


FIRST_WORDS = {
    "a thought": delta(reasoningContent={"text": "Hm"}),
    "a hidden thought": delta(reasoningContent={"redactedContent": "RXE="}),
    "a signature": delta(reasoningContent={"signature": "EqQ="}),
    "a call": tool("f"),
    "an end": ENDED,
}


@pytest.mark.parametrize("stream", FIRST_WORDS.values(), ids=FIRST_WORDS)
def test_what_a_first_word_is(stream: bytes) -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(START + stream)
    assert decoder.started


def test_usage_ends_it_and_nothing_follows() -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(PLAIN).endswith(b"data: [DONE]\n\n")
    assert decoder.feed(PLAIN) == decoder.end() == b""
    assert decoder.failure is None


def test_usage_that_is_not_told_is_unknown() -> None:
    *_, usage = chunks(outcome(START + WORD + stop() + ENDED).output)
    assert usage["usage"] is None


def test_a_block_that_nothing_ends_ends_with_the_message() -> None:
    found = chunks(outcome(START + tool("f") + ENDED + METADATA).output)
    assert found[2]["choices"][0]["delta"]["tool_calls"][0]["function"] == {"arguments": "{}"}


def test_a_client_with_functions_is_told_of_one_call_the_old_way() -> None:
    called = tool("f") + delta(toolUse={"input": '{"a":1}'}) + stop() + tool("g", 1) + stop(1)
    ended = event("messageStop", stopReason="tool_use") + METADATA
    first, begun, said, finish, _ = chunks(outcome(START + called + ended, KNOWN_FUNCTIONS).output)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert begun["choices"][0]["delta"] == {"function_call": {"name": "f", "arguments": ""}}
    assert said["choices"][0]["delta"] == {"function_call": {"arguments": '{"a":1}'}}
    assert finish["choices"][0]["finish_reason"] == "function_call"


def test_a_client_is_not_told_of_the_gateways_account() -> None:
    known = Known("r", 1, model="arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2")
    assert b"123456789012" not in outcome(PLAIN, known).output
    assert chunks(outcome(PLAIN, known).output)[0]["model"] == "a1b2"


NO_STREAMS = {"nothing": b"", "a part of a frame": START[:-1]}


@pytest.mark.parametrize("stream", NO_STREAMS.values(), ids=NO_STREAMS)
def test_what_is_no_stream_leaves_room_for_another_attempt(stream: bytes) -> None:
    failure = Failure.of("malformed", "The provider answered with something else than an event stream.")
    assert outcome(stream) == Outcome(b"", started=False, failure=failure)


BROKEN = {
    "html": b"<!doctype html>\n<html>\n\n<body>Sign in</body></html>\n",
    "events of text": b'data: {"choices": []}\n\n',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\x03\n\n\x00\xff",
    "not json": frame(b"{oops", message_type="event", event_type="contentBlockDelta"),
    "a list": frame(b"[]", message_type="event", event_type="contentBlockDelta"),
    "not utf-8": frame(b'{"delta":{"text":"\xff"}}', message_type="event", event_type="contentBlockDelta"),
    "a text of numbers": delta(text=5),
    "an index of words": event("contentBlockDelta", contentBlockIndex="zero", delta={"text": "x"}),
    "thinking that is no base64": delta(reasoningContent={"redactedContent": "?"}),
    "a call without a name": event("contentBlockStart", contentBlockIndex=3, start={"toolUse": {"toolUseId": "x"}}),
    "an end without a reason": event("messageStop"),
    "a second start": START,
    "input of no call": delta(5, toolUse={"input": "x"}),
    "nested deeply": frame(b'{"start":' * 5000, message_type="event", event_type="contentBlockStart"),
}


@pytest.mark.parametrize("stream", BROKEN.values(), ids=BROKEN)
def test_a_stream_that_starts_wrong_leaves_room_for_another_attempt(stream: bytes) -> None:
    found = outcome(START + stream) if len(stream) < 5000 else fed(DIRECTION.stream(KNOWN), [START + stream])
    assert (found.output, found.started) == (b"", False)
    assert found.failure
    assert found.failure.kind == "malformed"


OUT_OF_ORDER = {"a word": WORD, "an end": ENDED, "usage": METADATA}


@pytest.mark.parametrize("stream", OUT_OF_ORDER.values(), ids=OUT_OF_ORDER)
def test_nothing_comes_before_the_start(stream: bytes) -> None:
    found = outcome(stream)
    assert (found.output, found.failure and found.failure.kind) == (b"", "malformed")


AFTER_IT = {
    **{name: stream for name, stream in BROKEN.items() if len(stream) < 5000},
    "cut short": b"",
    "in the middle of a frame": WORD[:-3],
    "cut behind the end": ENDED + METADATA[:-3],
    "two ends": ENDED + ENDED,
}


@pytest.mark.parametrize("stream", AFTER_IT.values(), ids=AFTER_IT)
def test_a_stream_that_goes_wrong_ends_in_one_error(stream: bytes) -> None:
    found = outcome(START + WORD + stream)
    assert found.failure is not None
    assert found.failure.kind == "malformed"
    assert found.started
    *_, last, rest = found.output.split(b"\n\n")
    assert rest == b""
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "provider_malformed_answer"
    assert found.output.count(b'"error"') == 1
    assert b"[DONE]" not in found.output


NO_ANSWERS = [
    b"",
    b"<html>",
    b"[]",
    b"{}",
    b'{"message":"x"}',
    b'{"output":{"message":{"content":[]}}}',
    b'{"output":5,"stopReason":"end_turn"}',
    b'{"output":{"message":{"content":[{"toolUse":{"name":"f"}}]}},"stopReason":"tool_use"}',
    b'{"output":{"message":{"content":[{"text":"\xff"}]}},"stopReason":"end_turn"}',
    b"[" * 5000,
]


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_a_body_that_is_no_answer_is_a_failure(body: bytes) -> None:
    made = DIRECTION.whole(body, KNOWN)
    assert isinstance(made, Failure)
    assert (made.kind, made.status) == ("malformed", 502)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"message":5}', b"{}", b'{"originalStatusCode":"x"}'])
def test_an_exception_without_words_is_still_one(payload: bytes) -> None:
    assert failure_in_stream("hologramException", payload) == Failure.of("server", "The provider gave no reason.")
    assert failure_in_stream("throttlingException", payload).status == 429


def test_an_error_that_is_no_exception() -> None:
    assert outcome(START + error("x", "out of memory")).failure == Failure.of("server", "out of memory")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"message":"AKIA"}', b'{"__type":"ValidationException"}'])
def test_what_is_said_of_the_gateways_account_is_not_passed_on(status: int, body: bytes) -> None:
    said = failure_of(status, body, "aws").message
    assert said == "The provider 'aws' refused the gateway's credential or account."


REAL = [encoded(case.json("stream.provider.json")) for case in cases("openai_bedrock", "stream.provider.json")]
REAL += [START + exception("throttlingException", message="m")]


@given(st.data())
def test_no_bytes_make_a_decoder_fall_over(drawn: st.DataObject) -> None:
    """Real streams with bytes changed, taken out and put in, in any pieces."""
    stream = bytearray(b"".join(drawn.draw(st.lists(st.sampled_from(REAL), min_size=1, max_size=2))))
    for _ in range(drawn.draw(st.integers(0, 2))):
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
