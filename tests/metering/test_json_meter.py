"""JSON answers through the meter: counted whatever their size, never changed, never kept in memory."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import CHAT, JSON, Counts, answer, bytewise, framed, halves, json_body
from streams import NASTY, USAGE, VENDOR

COUNTED: Counts = (12, 7, 5, None, 3)
NOTHING: Counts = (None, None, None, None, None)
CHOICES = [{"index": 0, "message": {"content": NASTY, "tool_calls": [{"function": {"arguments": '{"a":"}"}'}}]}}]


def spelled(value: Any) -> list[bytes]:
    texts = [json.dumps(value), json.dumps(value, separators=(",", ":")), json.dumps(value, indent=2)]
    return [text.encode() for text in texts] + [f"\n {texts[1]} \n\n".encode()]


BODIES: dict[str, tuple[Any, Counts]] = {
    "usage last": ({"id": "a", "choices": CHOICES, "usage": USAGE}, COUNTED),
    "usage first": ({"usage": USAGE, "id": "a", "choices": CHOICES}, COUNTED),
    "usage between": ({"id": "a", "usage": USAGE, "choices": CHOICES, "z": None}, COUNTED),
    "usage alone": ({"usage": USAGE}, COUNTED),
    "nested before": ({**VENDOR, "choices": CHOICES, "usage": USAGE}, COUNTED),
    "nested after": ({"usage": USAGE, "choices": CHOICES, **VENDOR}, COUNTED),
    "nested in a list before": ({"data": [{"usage": {"prompt_tokens": 1}}, 2], "usage": USAGE}, COUNTED),
    "nested deeper, twice": (
        {"a": {"b": {"usage": {"prompt_tokens": 1}, "c": []}, "d": "}"}, "usage": USAGE},
        COUNTED,
    ),
    "nested only": ({"choices": CHOICES, **VENDOR}, NOTHING),
    "nested only, last": ({"x": {"y": {"usage": USAGE}}}, NOTHING),
    "in a list": ([{"usage": USAGE}], NOTHING),
    "null": ({"choices": CHOICES, "usage": None}, NOTHING),
    "null, nested before": ({**VENDOR, "usage": None}, NOTHING),
    "not an object": ({"usage": [1, {"prompt_tokens": 2}], "z": 1}, NOTHING),
    "a word": ({"object": "usage", "list": ["usage", {}], "usage": USAGE}, COUNTED),
    "none": ({"choices": CHOICES}, NOTHING),
    "braces in strings after": ({"usage": USAGE, "a": "}}}]", "b": '{"[\\', "c": ['"', "\\"]}, COUNTED),
    "text of a usage": ({"content": '"usage":{"prompt_tokens":1}', "usage": USAGE, "z": '"usage":{}'}, COUNTED),
    "braces in a string of usage": ({"choices": [], "usage": {"note": 'a } and "{"', **USAGE}, "z": {}}, COUNTED),
    "a name, not an object": ("usage", NOTHING),
}

every_body = pytest.mark.parametrize("name", BODIES)


@every_body
def test_whole_and_byte_by_byte(name: str) -> None:
    value, counts = BODIES[name]
    for text in spelled(value):
        for frames in ([text], bytewise(text), framed(text, 3), [b"", text, b""]):
            metered = json_body(frames)
            assert (metered.counts, metered.out) == (counts, text)
            assert (metered.content_events, metered.content_bytes) == (1, len(text))


@every_body
def test_cut_at_every_index(name: str) -> None:
    value, counts = BODIES[name]
    for text in spelled(value):
        for frames in halves(text):
            assert json_body(frames).counts == counts, frames


def embeddings(numbers: int) -> bytes:
    data = [{"index": index, "embedding": [0.0123456789] * 1536} for index in range(numbers)]
    return json.dumps({"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 8}}).encode()


def test_a_large_body_is_counted() -> None:
    text = embeddings(100)
    assert len(text) > 2_000_000
    assert json_body(framed(text, 16_384)).counts == (8, None, None, None, None)


@pytest.mark.parametrize(
    "body",
    [
        embeddings(100),
        b'{"usage":{"prompt_tokens":8},"text":"' + b"x" * 2_000_000 + b'"}',
        b'{"usage":{"text":"' + b"x" * 2_000_000 + b'"}}',
        b'{"usage":' * 20_000,
        b"x" * 2_000_000,
    ],
    ids=["usage last", "usage first", "usage that is large", "usage in usage", "not JSON"],
)
def test_a_large_body_is_not_kept(body: bytes) -> None:
    passed = answer(JSON, CHAT, framed(body, 16_384))
    assert passed.out == body
    assert not any(passed.touched)
    assert passed.peak_bytes < 2_000


def test_an_empty_body_has_no_content() -> None:
    assert json_body([]) == (b"", NOTHING, 0, 0)


PIECES = st.lists(
    st.binary(max_size=12)
    | st.sampled_from([b'"usage"', b":", b" ", b'{"prompt_tokens":1', b"}", b"{", b'"', b"\\", b"[", b"]", b"null"]),
    max_size=30,
).map(b"".join)


@given(PIECES, st.integers(1, 9))
@settings(max_examples=300, deadline=None)
def test_garbage_never_fails_and_is_never_changed(text: bytes, size: int) -> None:
    assert json_body([text]).out == text
    assert json_body(framed(text, size)).out == text


NAMES = st.sampled_from(["usage", "a", "b{"])
VALUES = st.recursive(
    st.none() | st.integers(0, 9) | st.text(max_size=6) | st.sampled_from([NASTY, "usage", "}", '"']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["usage", "a", "b{"]), inner, max_size=3)
    ),
    max_leaves=12,
)
USAGES = st.fixed_dictionaries({"prompt_tokens": st.integers(0, 10**9), "completion_tokens": st.integers(0, 10**9)})


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), VALUES), USAGES, st.randoms(), st.integers(1, 60))
@settings(max_examples=300, deadline=None)
def test_any_object_around_any_usage(members: dict[str, Any], usage: dict[str, int], order: Any, size: int) -> None:
    items = [*members.items(), ("usage", usage)]
    order.shuffle(items)
    for text in spelled(dict(items)):
        assert json_body(framed(text, size)).counts == (
            usage["prompt_tokens"],
            usage["completion_tokens"],
            None,
            None,
            None,
        )
