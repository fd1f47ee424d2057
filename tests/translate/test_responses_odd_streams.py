"""Streams of chat completions in all their ways as responses, and those that are none: never an exception."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.translate import direction_of
from extproc.translate.failure import Failure
from extproc.translate.responses_openai import ResponsesToOpenAI
from tests.translate import anthropic_events, gemini_events
from tests.translate.cutting import Outcome, fed, same_however_cut
from tests.translate.golden import KNOWN, cases
from tests.translate.openai_responses import checked_events, checked_response

DIRECTION = ResponsesToOpenAI()


def chunk(delta: dict[str, Any] | None = None, **members: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": None, **members}
    return b"data: " + json.dumps({"model": "m", "choices": [choice]}).encode() + b"\n\n"


def call(index: int | None = 0, **members: Any) -> dict[str, Any]:
    place = {} if index is None else {"index": index}
    given = {name: members.pop(name) for name in ("name", "arguments") if name in members}
    return {"tool_calls": [{**place, **members, "function": given}]}


WORD, STOP = chunk({"content": "Hi"}), chunk(finish_reason="stop")
DONE = b"data: [DONE]\n\n"


def outcome(stream: bytes) -> Outcome:
    return same_however_cut(lambda: DIRECTION.stream(KNOWN), stream)


def output(stream: bytes) -> list[dict[str, Any]]:
    """The items of a stream that is whole."""
    found = outcome(stream)
    assert found.failure is None
    items: list[dict[str, Any]] = checked_events(found.output)[-1]["response"]["output"]
    return items


IGNORED = {
    "comments": b": keep-alive\n\n",
    "no choices": b'data: {"choices": []}\n\ndata: {}\n\n',
    "empty pieces": chunk({"content": "", "reasoning_content": None, "tool_calls": []}),
    "another answer": b'data: {"choices": [{"index": 1, "delta": {"content": "other"}}]}\n\n',
    "members that are not known": chunk({"scent": {}, "extra_content": 5, "thinking_blocks": 5, "annotations": [5]}),
}


@pytest.mark.parametrize("stream", IGNORED.values(), ids=IGNORED)
def test_what_says_nothing_is_left_out(stream: bytes) -> None:
    assert outcome(WORD + stream + STOP + DONE) == outcome(WORD + STOP + DONE)


def test_nothing_leaves_before_the_first_word() -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(chunk({"role": "assistant", "content": ""}) + chunk(call(id="c"))) == b""
    assert not decoder.started
    assert decoder.feed(chunk(call(name="f", arguments="{"))).count(b"event: ") == 4
    assert decoder.started


def test_calls_whose_pieces_are_mixed() -> None:
    pieces = [call(0, id="a", name="f", arguments='{"x":'), call(1, id="b", name="g", arguments="{")]
    pieces += [call(0, arguments="1}"), call(1, arguments="}")]
    found = output(b"".join(map(chunk, pieces)) + STOP + DONE)
    assert [(item["call_id"], item["arguments"]) for item in found] == [("a", '{"x":1}'), ("b", "{}")]


def test_calls_that_all_have_one_index_or_none() -> None:
    for index in (0, None):
        pieces = [call(index, id="a", name="f", arguments="{}"), call(index, id="b", name="g", arguments="{}")]
        assert [item["call_id"] for item in output(b"".join(map(chunk, pieces)) + STOP + DONE)] == ["a", "b"]


def test_a_call_without_an_id_gets_one_and_without_a_name_waits_for_it() -> None:
    found = output(chunk(call(arguments="{")) + chunk(call(name="f")) + chunk(call(arguments="}")) + STOP + DONE)
    assert [(item["call_id"], item["name"], item["arguments"]) for item in found] == [("call_3f2a9c1e_0", "f", "{}")]


def test_words_behind_a_call_are_a_message_of_their_own() -> None:
    found = output(WORD + chunk(call(id="a", name="f", arguments="{}")) + WORD + STOP + DONE)
    assert [item["type"] for item in found] == ["message", "function_call", "message"]


def test_text_and_a_refusal_are_two_parts_of_one_message() -> None:
    (item,) = output(WORD + chunk({"refusal": "No"}) + chunk({"refusal": "."}) + STOP + DONE)
    assert [part.get("refusal", part.get("text")) for part in item["content"]] == ["Hi", "No."]


def test_the_last_item_ends_as_the_answer_does() -> None:
    begun = chunk({"reasoning_content": "Hm"}) + WORD + chunk(call(0, id="a", name="f", arguments="{}"))
    events = checked_events(outcome(begun + chunk(call(1, id="b", name="g")) + chunk(finish_reason="length")).output)
    last = events[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    ends = [event["item"]["status"] for event in events if event["type"] == "response.output_item.done"]
    assert [item["status"] for item in last["response"]["output"]] == ends == [*["completed"] * 3, "incomplete"]


def test_usage_and_the_end_may_come_in_any_usual_order() -> None:
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}\n\n'
    for stream in (WORD + STOP + usage + DONE, WORD + usage + STOP + DONE, WORD + STOP + usage):
        response = checked_events(outcome(stream).output)[-1]["response"]
        assert response["usage"]["total_tokens"] == 7
    assert "usage" not in checked_events(outcome(WORD + STOP + DONE).output)[-1]["response"]


NO_STREAMS = {
    "nothing": b"",
    "only comments": b": ping\n\n: ping\n\n",
    "html": b"<!doctype html>\n<html>\n\n<body>Sign in</body></html>\n",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\x03\n\n\x00\xff",
    "a role and no more": chunk({"role": "assistant"}),
    "an error": b'data: {"error": {"message": "Busy", "code": 429}}\n\n',
    "not json": b"data: {oops\n\n",
    "no end": DONE,
    "a call without a name": chunk(call(id="c", arguments="{}")) + STOP + DONE,
    "broken off": chunk(finish_reason="abort"),
}


@pytest.mark.parametrize("stream", NO_STREAMS.values(), ids=NO_STREAMS)
def test_what_is_no_stream_leaves_room_for_another_attempt(stream: bytes) -> None:
    found = outcome(stream)
    assert found.failure
    assert (found.output, found.started) == (b"", False)


BROKEN: dict[str, tuple[bytes, str]] = {
    "not json": (b"data: {oops\n\n", "server_error"),
    "cut short": (b"", "server_error"),
    "ended without a reason": (DONE, "server_error"),
    "an error": (b'data: {"error": {"message": "Busy", "code": 429}}\n\n', "rate_limit_exceeded"),
    "broken off": (chunk(finish_reason="error"), "server_error"),
    "a call without a name": (chunk(call(id="c", arguments="{}")) + STOP + DONE, "server_error"),
    "too large": (b"data: " + b"x" * (17 * 2**20), "server_error"),
    "a call that goes on": (
        chunk(call(0, id="a", name="f", arguments="{}"))
        + chunk(call(1, id="b", name="g", arguments="{}"))
        + chunk(call(0, arguments="{}")),
        "server_error",
    ),
}


@pytest.mark.parametrize(("rest", "code"), BROKEN.values(), ids=BROKEN)
def test_what_breaks_in_the_middle_is_a_response_that_has_failed(rest: bytes, code: str) -> None:
    found = fed(DIRECTION.stream(KNOWN), [WORD, rest]) if len(rest) > 10_000 else outcome(WORD + rest)
    last = checked_events(found.output)[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert found.failure
    assert last["response"]["error"] == {"code": code, "message": found.failure.message}
    said = last["response"]["output"][0]["content"][0]["text"]
    assert said == "Hi"


def test_a_failure_keeps_its_kind_through_two_directions() -> None:
    """The event between them says less: what the caller is told is the provider's own."""
    way = direction_of("responses", "anthropic")
    assert way
    overloaded = anthropic_events.event("error", error={"type": "overloaded_error", "message": "Busy"})
    begun = anthropic_events.start() + anthropic_events.opened(anthropic_events.TEXT) + anthropic_events.WORD
    found = same_however_cut(lambda: way.stream(KNOWN), begun + overloaded)
    assert found.failure == Failure.of("overloaded", "Busy")
    assert checked_events(found.output)[-1]["response"]["error"]["message"] == "Busy"
    early = same_however_cut(lambda: way.stream(KNOWN), overloaded)
    assert early == Outcome(b"", started=False, failure=Failure.of("overloaded", "Busy"))


def test_two_directions_begin_with_what_the_client_can_see() -> None:
    way = direction_of("responses", "gemini")
    assert way
    decoder = way.stream(KNOWN)
    assert decoder.feed(gemini_events.event({"text": ""})) == b""
    assert not decoder.started
    assert decoder.feed(gemini_events.event(finishReason="STOP")) == b""  # begins a chat completion, with a role
    assert not decoder.started
    assert decoder.feed(gemini_events.WORD).count(b"event: ") == 5
    assert decoder.started
    assert b"response.completed" in decoder.feed(gemini_events.END) + decoder.end()
    assert decoder.feed(gemini_events.PLAIN) == decoder.end() == b""


def test_a_member_functions_of_the_clients_makes_no_old_functions_of_calls() -> None:
    way = direction_of("responses", "gemini")
    assert way
    stream = gemini_events.event(gemini_events.call("f", {"a": 1}), gemini_events.call("g")) + gemini_events.END
    found = fed(way.stream(replace(KNOWN, functions=True)), [stream])
    items = checked_events(found.output)[-1]["response"]["output"]
    assert [(item["type"], item["name"]) for item in items] == [("function_call", "f"), ("function_call", "g")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b"<html>Bad gateway</html>",
        b"\x1f\x8b\x08\x00",
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"id": "a"}]}}]}',
        b'{"choices": [{"message": {"content": "Hi"}, "finish_reason": "abort"}]}',
        b'{"error": {"message": "no"}}',
        b'{"choices": ' + b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("api", ["openai", "anthropic", "gemini"])
def test_what_is_no_answer_is_a_failure(api: str, body: bytes) -> None:
    way = direction_of("responses", api)
    assert way
    failure = way.whole(body, KNOWN)
    assert not isinstance(failure, bytes)
    assert failure.status >= 400


PIECES = [
    *(chunk({name: "x"}) for name in ("content", "reasoning_content", "refusal")),
    *(chunk(call(index, id=f"c{index}", name="f", arguments="{")) for index in (0, 1)),
    *(chunk(call(index, arguments="}")) for index in (0, 1)),
    chunk({"thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "x", "signature": "s"}]}),
    chunk({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://example.com"}}]}),
    chunk({"content": "x"}, logprobs={"content": [{"token": "x", "logprob": -1}]}),
    chunk(call(0, id="c9", name="g", arguments="{}", extra_content={"google": {"thought_signature": "s"}})),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8), st.sampled_from(["stop", "length", "content_filter"]))
def test_any_order_of_pieces_is_a_valid_stream(pieces: list[bytes], reason: str) -> None:
    found = fed(DIRECTION.stream(KNOWN), [*pieces, chunk(finish_reason=reason), DONE])
    events = checked_events(found.output)
    if found.failure:
        assert not events or events[-1]["type"] == "response.failed"
        return
    checked_response(json.dumps(events[-1]["response"]).encode())
    opened = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    assert opened == list(range(len(events[-1]["response"]["output"])))


@settings(deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from(cases("responses_openai", "stream.provider.sse")), st.integers(0, 900)
)
def test_no_bytes_make_it_raise(noise: bytes, case: Any, at: int) -> None:
    stream = case.read("stream.provider.sse")
    fed(DIRECTION.stream(KNOWN), [stream[:at], noise, stream[at:]])
