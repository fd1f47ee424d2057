"""Answers in Anthropic's API through the meter: what clients of the surface `messages` are counted for."""

import json
from typing import Any

import pytest
from messages_model import expected, expected_of_body
from messages_streams import (
    DELTA_USAGE,
    ITERATIONS,
    SAID,
    START_USAGE,
    STREAMS,
    arguments,
    delta,
    end,
    event,
    start,
    stream,
    text,
    thinking,
)
from stand_in import JSON, MESSAGES, SSE, answer, bytewise, framed, halves, message, messages
from streams import NASTY

every_stream = pytest.mark.parametrize("name", STREAMS)


@every_stream
def test_whole_and_byte_by_byte(name: str) -> None:
    whole = STREAMS[name]
    for frames in ([whole], bytewise(whole), framed(whole, 2), framed(whole, 7), framed(whole, 64)):
        assert messages(frames) == expected(whole)
    assert messages([bytewise(whole)]) == expected(whole)
    assert messages(framed(whole, 64), trailers=True) == expected(whole)


@every_stream
def test_cut_at_every_index(name: str) -> None:
    whole = STREAMS[name]
    for frames in halves(whole):
        assert messages(frames) == expected(whole), frames


@pytest.mark.parametrize(
    ("name", "counts", "events", "size"),
    [
        ("text", (1125, 89, 1000, 100, 30), 3, 6),
        ("tools", (1125, 89, 1000, 100, 30), 6, 56),
        ("thinking", (1125, 89, 1000, 100, 30), 3, 12),
        ("iterations", (1125, 89, 1000, 100, 30), 1, 1),
        ("an error in the middle", (1125, None, 1000, 100, None), 1, 3),
        ("an error at once", (None, None, None, None, None), 0, 0),
        ("cut off after the start", (1125, None, 1000, 100, None), 0, 0),
        ("cut off in front of the usage", (1125, None, 1000, 100, None), 3, 6),
        ("output alone at the end", (1125, 15, 1000, 100, None), 3, 6),
        ("zeros at the end", (1125, 15, 1000, 100, None), 3, 6),
        ("zeros at the start", (1125, 89, 1000, 100, 30), 1, 1),
        ("zeros all along", (None, 0, None, None, None), 1, 1),
        ("more at the end", (8100, 89, 1000, 100, 30), 3, 6),
        ("a cache that the start knew nothing of", (1125, 89, 1000, 100, 30), 1, 1),
        ("a cache alone", (None, 5, 12, None, None), 1, 1),
        ("OpenAI's", (None, None, None, None, None), 0, 0),
    ],
)
def test_counts(name: str, counts: tuple[int | None, ...], events: int, size: int) -> None:
    assert messages([STREAMS[name]])[1:] == (counts, events, size)


def test_the_log_has_the_counts_whenever_the_stream_ends() -> None:
    """Whenever a client leaves: the prompt from the first event, no claim about the output before there is one."""
    frames = [event(data) for data in (*SAID, end())]
    for at in range(len(frames)):
        seen = answer(SSE, MESSAGES, frames[: at + 1]).log
        wanted = expected(b"".join(frames[: at + 1]))
        assert (seen["prompt"], seen.get("completion")) == (1125, 89 if at == len(SAID) else None)
        assert (seen.get("events", 0), seen.get("bytes", 0)) == (wanted.content_events, wanted.content_bytes)


@pytest.mark.parametrize("hidden", ["hide_usage_chunk", "hide_usage_member"])
def test_nothing_is_hidden_whatever_the_request_says(hidden: str) -> None:
    passed = answer({**SSE, "content-length": "5000"}, {**MESSAGES, hidden: True}, [STREAMS["text"]])
    assert passed.out == STREAMS["text"]
    assert passed.headers["content-length"] == "5000"


def test_several_answers_are_no_matter_of_this_api() -> None:
    request = {**MESSAGES, "answers": 2, "prompts": 2}
    assert answer(SSE, request, [STREAMS["text"]]).metered == expected(STREAMS["text"])


def test_a_stream_takes_no_memory_however_large_its_events() -> None:
    for large in (text("x" * 2_000_000 + NASTY), thinking("é" * 1_000_000), arguments('"' * 1_000_000)):
        whole = stream(start(), *large, end(), ascii_only=True)
        passed = answer(SSE, MESSAGES, framed(whole, 16_384))
        assert passed.metered == expected(whole)
        assert (passed.peak_bytes < 2_000, passed.unhidden, passed.unmetered) == (True, 0, 0)


def test_where_there_is_no_memory_a_stream_passes_unmetered() -> None:
    passed = answer(SSE, MESSAGES, bytewise(STREAMS["text"]), fail_at=1)
    assert (passed.out, passed.log, passed.reset) == (STREAMS["text"], {}, False)


def test_a_name_in_escapes_or_one_that_only_begins_the_same_is_not_known() -> None:
    whole = event(delta(text="a")).replace(b'"text"', b'"te\\u0078t"') + event(
        end({"input_tokens": 3, "output_tokens_of_others": 4, "cache_creation_input_tokens_": 5, "input": 6})
    )
    for frames in ([whole], bytewise(whole)):
        assert messages(frames)[1:] == ((3, None, None, None, None), 0, 0)


BODY = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
CONTENT = [
    {"type": "thinking", "thinking": NASTY, "signature": "x"},
    {"type": "tool_use", "id": "t", "name": "n", "input": {"usage": {"input_tokens": 900, "output_tokens": 901}}},
]
BODIES: dict[str, dict[str, Any]] = {
    "usage last": {**BODY, "content": CONTENT, "usage": DELTA_USAGE},
    "usage first": {"usage": DELTA_USAGE, **BODY, "content": CONTENT},
    "with all that it has": {
        **BODY,
        "usage": {"iterations": ITERATIONS, **START_USAGE, **DELTA_USAGE},
        "content": [],
    },
    "no cache": {**BODY, "content": CONTENT, "usage": {"input_tokens": 12, "output_tokens": 7}},
    "null caches": {
        **BODY,
        "usage": {"cache_read_input_tokens": None, "input_tokens": 12, "output_tokens": 7},
        "content": CONTENT,
    },
    "no input": {**BODY, "usage": {"output_tokens": 7, "cache_read_input_tokens": 3}},
    "nothing": {**BODY, "content": CONTENT, "usage": {}},
    "no usage": {**BODY, "content": CONTENT},
    "null": {**BODY, "content": CONTENT, "usage": None},
    "OpenAI's": {"usage": {"prompt_tokens": 3, "completion_tokens": 4}},
}


@pytest.mark.parametrize("name", BODIES)
def test_whole_answers(name: str) -> None:
    for indent in (None, 1):
        body = json.dumps(BODIES[name], indent=indent).encode()
        counts = expected_of_body(BODIES[name])
        for frames in ([body], bytewise(body), framed(body, 3), *halves(body)):
            assert message(frames) == (body, counts, 1, len(body))


def test_a_whole_answer_that_was_cached_is_counted_once() -> None:
    body = json.dumps(BODIES["usage last"]).encode()
    assert message([body]).counts == (1125, 89, 1000, 100, 30)


def test_a_count_of_tokens_is_no_use_of_them() -> None:
    request = {"endpoint": "/messages/count_tokens", "surface": "count_tokens", "free": True}
    passed = answer(JSON, request, [b'{"input_tokens":14}'])
    assert (passed.log, passed.unmetered) == ({}, 0)
