"""Answers in OpenAI's Responses API through the meter, and any stream of it, in any frames, against another model."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages_streams import event
from responses_model import expected, expected_of_body
from stand_in import JSON, RESPONSES, SSE, answer, bytewise, framed, halves, response, responses
from streams import NASTY
from test_json_meter import spelled
from test_messages_any_stream import shuffled
from test_sse_any_stream import TEXTS, TOKENS, framings

USAGE = {
    "input_tokens": 1125,
    "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 100},
    "output_tokens": 89,
    "output_tokens_details": {"reasoning_tokens": 30},
    "total_tokens": 1214,
}
COUNTS = (1125, 89, 1000, 100, 30)


def whole(usage: Any = USAGE, **members: Any) -> dict[str, Any]:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": NASTY}]}
    tool = {"type": "function", "parameters": {"properties": {"usage": {"input_tokens": 5}}}}
    said = {"id": "resp_1", "object": "response", "status": "completed", "output": [message], "tools": [tool]}
    return {**said, "instructions": '"usage":{"input_tokens":7}', "usage": usage, **members}


def about(kind: str, usage: Any = None, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "sequence_number": 0, "response": whole(usage, **members)}


def delta(kind: str, text: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "item_id": "i", "output_index": 0, "delta": text, "obfuscation": "xyz"}


def stream(*events: dict[str, Any], **spelling: Any) -> bytes:
    return b"".join(event(one, **spelling) for one in events)


BEGUN = (about("created"), about("in_progress"), *(delta("output_text", text) for text in ("Hel", "", NASTY)))
TEXT_DONE = {"type": "response.output_text.done", "text": f"Hel{NASTY}", "logprobs": [{"delta": "no"}]}
STREAMS = {
    "text": stream(*BEGUN, TEXT_DONE, about("completed", USAGE)),
    "crlf": stream(*BEGUN, about("completed", USAGE), newline="\r\n"),
    "ascii": stream(*BEGUN, about("completed", USAGE), ascii_only=True, spaced=False),
    "incomplete": stream(*BEGUN, about("incomplete", USAGE)),
    "failed": stream(about("created"), about("failed", {"input_tokens": 3, "output_tokens": 0})),
    "kinds": stream(
        *(delta(kind, "ab") for kind in ("reasoning_text", "reasoning_summary_text", "refusal")),
        *(delta(kind, "cd") for kind in ("function_call_arguments", "custom_tool_call_input", "mcp_call_arguments")),
        about("completed", USAGE),
    ),
    "cut off": stream(*BEGUN),
    "cut off in the last event": stream(*BEGUN, about("completed", USAGE))[:-30],
    "an error": stream(*BEGUN, {"type": "error", "code": "server_error", "message": '"usage":{"input_tokens":1}'}),
    "deltas elsewhere": stream(
        {"type": "x", "part": {"delta": "no"}, "response": {"delta": "no"}, "delta": {"a": "b"}}
    ),
    "usage elsewhere": stream(
        about("completed", None, output=[{"usage": USAGE}], x={"usage": USAGE}), {"item": {"usage": USAGE}}
    ),
    "usage first": stream({"response": {"usage": USAGE, "id": "resp_1"}, "type": "response.completed"}),
    "chat": stream({"choices": [{"delta": {"content": "a"}}], "usage": {"prompt_tokens": 3}}),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_however_they_are_cut(name: str) -> None:
    text = STREAMS[name]
    for frames in ([text], bytewise(text), framed(text, 7), framed(text, 64), *halves(text)):
        assert responses(frames) == expected(text)
    assert responses(framed(text, 64), trailers=True) == expected(text)


@pytest.mark.parametrize(
    ("name", "counts", "events"),
    [
        ("text", COUNTS, 2),
        ("incomplete", COUNTS, 2),
        ("failed", (3, 0, None, None, None), 0),
        ("kinds", COUNTS, 6),
        ("cut off", (None,) * 5, 2),
        ("usage elsewhere", (None,) * 5, 0),
    ],
)
def test_what_is_counted(name: str, counts: Any, events: int) -> None:
    found = responses([STREAMS[name]])
    assert (found.counts, found.content_events) == (counts, events)


@pytest.mark.parametrize(
    "body", [whole(), whole(None), {"usage": USAGE, "object": "response.compaction"}, whole([1])]
)
def test_whole_answers(body: dict[str, Any]) -> None:
    for text in spelled(body):
        for surface in ("responses", "responses.compact"):
            for frames in ([text], bytewise(text), framed(text, 5)):
                assert response(frames, surface) == (text, expected_of_body(body), 1, len(text))


def test_a_response_that_is_asked_for_again_is_not_metered() -> None:
    request = {"endpoint": "/responses/resp_1", "surface": "responses.get", "free": True}
    for head, body in ((JSON, json.dumps(whole()).encode()), (SSE, STREAMS["text"])):
        passed = answer(head, request, [body])
        assert (passed.log, passed.unmetered, passed.out) == ({}, 0, body)


def test_what_was_asked_of_chat_changes_nothing_here() -> None:
    asked = {**RESPONSES, "hide_usage_chunk": True, "hide_usage_member": True}
    assert answer(SSE, asked, [STREAMS["text"], b""]).out == STREAMS["text"]


USAGES = st.fixed_dictionaries(
    {}, optional={"input_tokens": TOKENS, "output_tokens": st.none() | TOKENS, "service_tier": TEXTS}
)
IN = st.fixed_dictionaries({}, optional={"cached_tokens": TOKENS, "cache_write_tokens": TOKENS})
OUT = st.fixed_dictionaries({}, optional={"reasoning_tokens": TOKENS})
KEYS = st.sampled_from(["type", "delta", "text", "usage", "response", "output", "input_tokens", "error"])
INNER = st.dictionaries(KEYS, TEXTS | TOKENS | st.none() | st.lists(TEXTS, max_size=2), max_size=4)
ODD = st.dictionaries(KEYS, INNER | TEXTS | st.none() | st.lists(INNER, max_size=2), max_size=4)


@st.composite
def usages(draw: Callable[..., Any]) -> dict[str, Any]:
    return {
        **draw(USAGES),
        "input_tokens_details": draw(st.none() | IN),
        "output_tokens_details": draw(st.none() | OUT),
    }


@st.composite
def objects(draw: Callable[..., Any]) -> dict[str, Any]:
    kind = draw(st.sampled_from(["about", "delta", "odd"]))
    if kind == "about":
        value = about(draw(TEXTS), draw(usages() | st.none()))
        value["response"] |= draw(INNER)
    else:
        value = delta(draw(TEXTS), draw(TEXTS | INNER | st.none())) if kind == "delta" else draw(ODD)
    return dict(shuffled(draw, value))


@st.composite
def streams(draw: Callable[..., Any]) -> bytes:
    newline, spaced, ascii_only = draw(st.sampled_from(["\n", "\r\n"])), draw(st.booleans()), draw(st.booleans())
    spelling = {"newline": newline, "spaced": spaced, "ascii_only": ascii_only}
    events = [event(data, **spelling) for data in draw(st.lists(objects(), max_size=6))]
    last: bytes = draw(st.sampled_from([b"", event(about("completed", USAGE))[:-2], b"event: x"]))
    return b"".join(events) + last


@given(framings(streams()))
@settings(max_examples=300, deadline=None)
def test_any_stream_in_any_frames(frames: list[bytes]) -> None:
    assert responses(frames) == expected(b"".join(frames))


@given(objects() | st.builds(whole, usages()), st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_any_whole_answer(value: dict[str, Any], size: int) -> None:
    value.pop("response", None)
    for text in spelled(value):
        frames = [text[at : at + size] for at in range(0, len(text), size)]
        assert response(frames).counts == expected_of_body(value)
