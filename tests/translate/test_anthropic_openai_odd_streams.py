"""What providers should not send, and do."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.translate.anthropic_openai import AnthropicToOpenAI
from tests.translate.cutting import Outcome, fed, same_however_cut
from tests.translate.golden import KNOWN, cases
from tests.translate.sdk_clients import anthropic_assembled

DIRECTION = AnthropicToOpenAI()
DONE = b"data: [DONE]\n\n"


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None = None, finish_reason: str | None = None, **members: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish_reason}], **members})


def call(arguments: str | None, index: int = 0, name: str | None = None, call_id: str | None = None) -> bytes:
    return chunk(
        {"tool_calls": [{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}]}
    )


TEXT, END = chunk({"content": "Hi"}), chunk({}, "stop")


def outcome_of(stream: bytes) -> Outcome:
    return same_however_cut(lambda: DIRECTION.stream(KNOWN), stream)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"", "The provider's answer is not an event stream."),
        (b"<html><body>502 Bad Gateway</body></html>", "The provider's answer is not an event stream."),
        (b'{"choices": [{"message": {"content": "Hi"}}]}', "The provider's answer is not an event stream."),
        (gzip.compress(TEXT + END + DONE, mtime=0), "The provider's answer is not an event stream."),
        (b": keep-alive\n\n", "The provider's answer is not an event stream."),
        (DONE, "The provider's answer ended without a finish_reason."),
        (chunk({"role": "assistant"}), "The provider's answer stopped half-way."),
        (b"data: {\n\n", "The provider's answer has a chunk that is not a chat completion's."),
        (b"data: []\n\n", "The provider's answer has a chunk that is not a chat completion's."),
        (
            b'data: {"choices": [{"delta": 1}]}\n\n',
            "The provider's answer has a chunk that is not a chat completion's.",
        ),
        (b"data: \xff\n\n", "The provider's answer has a chunk that is not a chat completion's."),
        (b"event: error\ndata: out of memory\n\n", "The provider reported an error without a message."),
        (event({"error": "out of memory"}), "out of memory"),
        (event({"object": "error", "message": "out of memory", "code": 500}), "out of memory"),
        (chunk({}, "error"), "The provider broke its answer off with an error."),
        (
            chunk({"tool_calls": [{"index": 0, "id": "a"}]}) + END,
            "The provider's answer calls a tool without a name.",
        ),
    ],
)
def test_a_failure_before_the_start_says_nothing_to_the_client(stream: bytes, message: str) -> None:
    outcome = outcome_of(stream + b": end\n\n")
    assert (outcome.output, outcome.started) == (b"", False)
    assert outcome.failure
    assert outcome.failure.message == message


@pytest.mark.parametrize(
    ("stream", "kind", "message"),
    [
        (b"", "malformed", "The provider's answer stopped half-way."),
        (DONE, "malformed", "The provider's answer ended without a finish_reason."),
        (b'data: {"choices": [{"del', "malformed", "The provider's answer stopped half-way."),
        (b"data: <html>\n\n", "malformed", "The provider's answer has a chunk that is not a chat completion's."),
        (chunk({}, "abort"), "server", "The provider broke its answer off."),
        (
            chunk({}, "insufficient_system_resource"),
            "overloaded",
            "The provider ran out of resources for its answer.",
        ),
        (event({"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}), "rate_limit", "Slow down."),
        (event({"error": {"message": "Bad key sk-abc", "code": 401}}), "authentication", None),
        (
            call("[1]", name="f") + END,
            "malformed",
            "The provider's arguments for the tool 'f' are not a JSON object.",
        ),
        (call("{", name="f") + END, "malformed", "The provider's arguments for the tool 'f' are not a JSON object."),
        (
            call("{}", name="f") + call("{}", 1, name="g") + call("{}"),
            "malformed",
            "The provider's arguments for the tool 'f' go on after their end.",
        ),
    ],
)
def test_a_failure_after_the_start_ends_the_stream_with_an_error(
    stream: bytes, kind: str, message: str | None
) -> None:
    outcome = outcome_of(TEXT + stream)
    assert outcome.started
    assert outcome.failure
    assert outcome.failure.kind == kind
    last = outcome.output.split(b"\n\n")[-2]
    assert last.startswith(b"event: error\n")
    error = json.loads(last.partition(b"data: ")[2])
    assert error["request_id"] == KNOWN.request_id
    assert error["error"]["message"] == (message or "The provider refused the gateway's credential.")
    assert b"sk-abc" not in outcome.output


@pytest.mark.parametrize(
    "stream",
    [
        TEXT + END,
        TEXT + END.rstrip(b"\n"),
        TEXT + END + DONE.rstrip(b"\n"),
        TEXT + END + b"data: {",
        TEXT + END + DONE + b"data: {\n\n",
        chunk({"content": "H"}) + chunk({"content": "i"}, "stop") + DONE,
        b": comment\n\n" + event({"choices": []}) + TEXT + event({"choices": None}) + END + DONE,
        chunk({"content": "Hi"}, "") + END + DONE,
        event({"choices": [{"index": 1, "delta": {"content": "other"}}]}) + TEXT + END + DONE,
        TEXT + chunk({}, "stop") + chunk({"content": ""}, None) + DONE,
        TEXT.replace(b"\n\n", b"\r\n\r\n") + END.replace(b"\n\n", b"\r\r") + DONE,
        b"id: 1\nevent: message\n" + TEXT + END + DONE,
    ],
)
def test_what_is_only_unusual_is_an_answer(stream: bytes) -> None:
    outcome = outcome_of(stream)
    assert outcome.failure is None
    message = anthropic_assembled(outcome.output)
    assert message["content"] == [{"type": "text", "text": "Hi"}]
    assert message["stop_reason"] == "end_turn"


def test_text_after_a_tool_call_is_a_block_of_its_own() -> None:
    pieces = (
        call("", name="f", call_id="a"),
        chunk({"content": "So "}),
        call('{"x":'),
        chunk({"content": "on"}),
        call("1}"),
    )
    outcome = outcome_of(b"".join(pieces) + END + DONE)
    blocks = anthropic_assembled(outcome.output)["content"]
    assert blocks == [
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "text", "text": "So on"},
    ]


ARGUMENTS = r'{"a": [1.50, "x, {\"y\\", {"b{": true}, []], "\u00e9": {"c": null}, "z": -3e2}'


@pytest.mark.parametrize("length", range(len(ARGUMENTS)))
def test_arguments_that_are_cut_off_are_what_the_sdk_makes_of_them(length: int) -> None:
    function = {"name": "f", "arguments": ARGUMENTS[:length]}
    message = {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": function}]}
    choices = [{"index": 0, "message": message, "finish_reason": "length"}]
    whole = DIRECTION.whole(json.dumps({"choices": choices}).encode(), KNOWN)
    assert isinstance(whole, bytes)
    stream = call(ARGUMENTS[:length], name="f", call_id="a") + chunk({}, "length")
    streamed = anthropic_assembled(fed(DIRECTION.stream(KNOWN), [stream]).output)
    assert json.loads(whole)["content"] == streamed["content"]


def test_numbers_in_arguments_keep_their_digits() -> None:
    function = {"name": "f", "arguments": '{"x": 0.10000000000000000001, "y": 1e999}'}
    choices = [{"message": {"tool_calls": [{"id": "a", "function": function}]}, "finish_reason": "tool_calls"}]
    whole = DIRECTION.whole(json.dumps({"choices": choices}).encode(), KNOWN)
    assert isinstance(whole, bytes)
    assert b'"input":{"x": 0.10000000000000000001, "y": 1e999}' in whole


def test_a_failed_decoder_stays_silent() -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(TEXT + b"data: {\n\n").endswith(b"\n\n")
    assert decoder.feed(TEXT + END) == decoder.end() == b""


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([TEXT, END, DONE, b"data: ", b"\n\n", b'{"choices":[{']), max_size=8
    )
)
def test_no_bytes_make_it_raise(pieces: list[bytes]) -> None:
    assert fed(DIRECTION.stream(KNOWN), pieces) == fed(DIRECTION.stream(KNOWN), [b"".join(pieces)])
    DIRECTION.whole(b"".join(pieces), KNOWN)


STREAMS = [case.read("stream.provider.sse") for case in cases("anthropic_openai", "stream.provider.sse")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(STREAMS), st.data())
def test_no_damage_to_a_stream_makes_it_raise(stream: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(stream)))
    length = data.draw(st.integers(0, 200))
    damaged = stream[:start] + data.draw(st.binary(max_size=4)) + stream[start + length :]
    outcome = fed(DIRECTION.stream(KNOWN), [damaged])
    if outcome.failure is None:
        assert outcome.output.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    else:
        assert outcome.started == (b"event: error\n" in outcome.output)


def test_azures_filter_may_speak_of_what_has_been_said_already() -> None:
    """Its asynchronous filter sends choices without a delta (https://aka.ms/streaming-content-filter)."""
    checked = event({"id": "", "choices": [{"index": 0, "content_filter_offsets": {"start_offset": 0}}]})
    outcome = outcome_of(checked + TEXT + checked + END + checked + DONE)
    assert outcome.failure is None
    assert anthropic_assembled(outcome.output)["content"][0]["text"] == "Hi"
