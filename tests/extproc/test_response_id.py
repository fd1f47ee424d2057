"""The id of a response in its answer's first bytes: found with the piece that completes it, however they are cut."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.kept import is_id
from extproc.response_id import MOST_BYTES, ResponseId

ID = "resp_0a1B-2.c"
LURES = '{"id":"resp_no","response":{"id":"resp_no"}}'
WHOLE: list[dict[str, Any]] = [
    {"id": ID, "object": "response", "instructions": LURES},
    {"instructions": LURES, "metadata": {"id": "resp_no"}, "tools": [{"id": "resp_no"}, ["id", "x"]], "id": ID},
    {"a": '\\"id":"resp_no"', "b\\": 1, "c": [], "d": {}, "id": ID},
    {"id": ID},
]


def events(value: dict[str, Any], newline: str = "\n") -> bytes:
    lines = [": hello", "", "event: response.created", f"data: {json.dumps({'type': 'x', 'id': 'resp_no'})}", ""]
    about = json.dumps({"type": "x", "response": value, "id": "resp_no"})
    lines += ["data: [DONE]", "", "id: 7", f"data:{about}", "", ""]
    return newline.join(lines).encode()


def found_at(text: bytes, cuts: list[int], *, streams: bool) -> tuple[str | None, int]:
    """The id, and how many bytes had been given when it was said."""
    finder, at = ResponseId(streams=streams), 0
    for end in [*cuts, len(text)]:
        response_id = finder.feed(text[at:end])
        at = end
        if response_id is not None:
            return response_id, at
    return None, at


@pytest.mark.parametrize("value", WHOLE)
@pytest.mark.parametrize("form", ["whole", "spaced", "events", "crlf", "cr"])
def test_cut_at_every_index(value: dict[str, Any], form: str) -> None:
    streams = form not in ("whole", "spaced")
    if streams:
        text = events(value, {"events": "\n", "crlf": "\r\n", "cr": "\r"}[form])
    else:
        text = json.dumps(value, indent=2 if form == "spaced" else None).encode()
    end = text.rindex(f'"{ID}"'.encode()) + len(ID) + 2
    for cut in range(1, len(text)):
        assert found_at(text, [cut], streams=streams) == (ID, cut if cut >= end else len(text))
    assert found_at(text, list(range(1, len(text))), streams=streams) == (ID, end)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["id", "response", LURES]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "response", "a", 'b"']), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(VALUES, st.lists(st.integers(0, 400), max_size=6), st.booleans())
@settings(max_examples=500, deadline=None)
def test_as_a_parser_finds_it(value: Any, cuts: list[int], streams: bool) -> None:
    text = (b"data: " if streams else b"") + json.dumps(value).encode() + b"\n\n"
    held = value.get("response") if streams and isinstance(value, dict) else value
    wanted = held.get("id") if isinstance(held, dict) else None
    found, _ = found_at(text, sorted(cut for cut in cuts if cut < len(text)), streams=streams)
    escaped = json.dumps(wanted)[1:-1] if isinstance(wanted, str) else None
    assert found == (escaped or None)  # an empty one is none


@given(st.lists(st.binary(max_size=30), max_size=8), st.booleans())
def test_takes_anything(pieces: list[bytes], streams: bool) -> None:
    finder = ResponseId(streams=streams)
    for piece in pieces:
        finder.feed(piece)


def test_gives_up() -> None:
    finder = ResponseId(streams=False)
    assert finder.feed(b'{"a":"' + b"x" * MOST_BYTES) is None
    assert finder.gave_up


@pytest.mark.parametrize("text", ["", "..", "../x", "a/b", "a?b", "a b", "a%2f", "-a", "a" * 257, "é", 'a"', "a\n"])
def test_what_can_be_no_id(text: str) -> None:
    assert not is_id(text)
    assert is_id(ID)
