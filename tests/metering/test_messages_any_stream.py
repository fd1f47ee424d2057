"""Properties of the meter for Anthropic's API: any stream, in any frames, against another model; and garbage."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from messages_model import expected, expected_of_body
from messages_streams import block, end, event, start
from stand_in import bytewise, message, messages
from test_json_meter import spelled
from test_sse_any_stream import TEXTS, TOKENS, framings

NUMBERS = st.none() | TOKENS | st.just(0)
ITERATIONS = st.lists(st.fixed_dictionaries({"input_tokens": TOKENS, "output_tokens": TOKENS}), max_size=2)
USAGES = st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": NUMBERS,
        "output_tokens": NUMBERS,
        "cache_read_input_tokens": NUMBERS,
        "cache_creation_input_tokens": NUMBERS,
        "cache_creation": st.none() | st.fixed_dictionaries({"ephemeral_5m_input_tokens": TOKENS}),
        "output_tokens_details": st.none() | st.fixed_dictionaries({"thinking_tokens": TOKENS}),
        "iterations": st.none() | ITERATIONS,
        "service_tier": TEXTS,
    },
)
KEYS = [
    "type",
    "text",
    "partial_json",
    "thinking",
    "content",
    "signature",
    "stop_reason",
    "usage",
    "message",
    "delta",
]
INNER = st.dictionaries(st.sampled_from(KEYS), TEXTS | TOKENS | st.none() | st.lists(TEXTS, max_size=2), max_size=4)
ODD = st.dictionaries(st.sampled_from(KEYS), INNER | TEXTS | st.none() | st.lists(INNER, max_size=2), max_size=4)


def shuffled(draw: Callable[..., Any], value: Any) -> Any:
    """The same with the members of its objects in another order, two levels deep."""
    if not isinstance(value, dict):
        return value
    return {key: shuffled(draw, value[key]) for key in draw(st.permutations(list(value)))}


@st.composite
def objects(draw: Callable[..., Any]) -> dict[str, Any]:
    kind = draw(st.sampled_from(["start", "delta", "end", "block", "odd"]))
    if kind == "start":
        value = start(draw(USAGES | st.none() | ODD))
    elif kind == "delta":
        value = {"type": "content_block_delta", "index": 0, "delta": draw(INNER)}
    elif kind == "end":
        value = end(draw(USAGES | st.none() | ODD))
    else:
        value = block(**draw(INNER)) if kind == "block" else draw(ODD)
    return dict(shuffled(draw, value))


@st.composite
def streams(draw: Callable[..., Any]) -> bytes:
    newline, spaced, ascii_only = draw(st.sampled_from(["\n", "\r\n"])), draw(st.booleans()), draw(st.booleans())
    spelling = {"newline": newline, "spaced": spaced, "ascii_only": ascii_only}
    events = [event(data, **spelling) for data in draw(st.lists(objects(), max_size=6))]
    last: bytes = draw(st.sampled_from([b"", b"data: [DONE]\n\n", event(end())[:-2], b"event: ping"]))
    return b"".join(events) + last


@given(framings(streams()))
@settings(max_examples=300, deadline=None)
def test_any_stream_in_any_frames(frames: list[bytes]) -> None:
    assert messages(frames) == expected(b"".join(frames))


@given(objects(), st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_any_whole_answer(value: dict[str, Any], size: int) -> None:
    value.pop("message", None)
    for text in spelled(value):
        frames = [text[at : at + size] for at in range(0, len(text), size)]
        assert message(frames).counts == expected_of_body(value)


FRAGMENTS = [
    *(b'"usage"', b':{"input_tokens":1', b"null", b"}", b"{", b'"message":{', b'"delta":{', b"\n\n", b"\r\n\r\n"),
    *(b'"text":"', b'"output_tokens":', b"\\u12", b"\\ud83d", b"data: {", b'"', b"\\", b"[", b"]", b",", b"9" * 14),
]
PIECES = st.lists(st.binary(max_size=20) | st.sampled_from(FRAGMENTS), max_size=30).map(b"".join)


@given(framings(PIECES))
@settings(max_examples=300, deadline=None)
def test_garbage_is_never_changed_and_counts_the_same_in_any_frames(frames: list[bytes]) -> None:
    text = b"".join(frames)
    assert messages(frames) == messages(bytewise(text))
    assert message(frames) == message(bytewise(text))
