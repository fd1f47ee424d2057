"""Pictures, sound and rankings through the meter: tokens, pictures and seconds, whole and in events."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in import JSON, SSE, answer, bytewise, framed, halves

from tests.metering.test_json_meter import spelled

USED = {"total_tokens": 173, "input_tokens": 13, "output_tokens": 160, "input_tokens_details": {"image_tokens": 3}}
TOKENS = {"prompt": 13, "completion": 160}
PICTURE = {"b64_json": "iVBORw0KGgo=" * 50, "revised_prompt": '{"data":[{},{}]}', "x": [{"data": [{}]}, {}]}
UNITS = ("image", "second", "character", "search", "")
IMAGES, SECONDS, CHARACTERS, SEARCHES, NONE = ({"unit": unit} if unit else {} for unit in UNITS)

BODIES: dict[str, tuple[dict[str, Any], Any, dict[str, int]]] = {
    "pictures": (IMAGES, {"created": 1, "data": [PICTURE, PICTURE], "usage": USED}, TOKENS | {"units": 2}),
    "usage first": (IMAGES, {"usage": USED, "data": [PICTURE]}, TOKENS | {"units": 1}),
    "no usage": (IMAGES, {"data": [{"url": "u"}, {"url": "v"}, {"url": "w"}]}, {"units": 3}),
    "no pictures": (IMAGES, {"data": []}, {"units": 0}),
    "data that is no list": (IMAGES, {"data": {"a": {}}, "x": {"data": [{}]}}, {}),
    "numbers": (IMAGES, {"data": [1, "{", [{}], None]}, {"units": 0}),
    "seconds": (SECONDS, {"text": "hi", "usage": {"type": "duration", "seconds": 12}}, {"units": 12}),
    "a begun second": (SECONDS, {"usage": {"type": "duration", "seconds": 12.001}}, {"units": 13}),
    "no begun second": (SECONDS, {"usage": {"seconds": 12.000}}, {"units": 12}),
    "Mistral's": (SECONDS, {"usage": {"prompt_audio_seconds": 7, "prompt_tokens": 4, "completion_tokens": 5}},
                  {"prompt": 4, "completion": 5, "units": 7}),
    "a duration": (SECONDS, {"task": "transcribe", "duration": 8.47, "segments": [{"duration": 1}]}, {"units": 9}),
    "both": (SECONDS, {"duration": 8.47, "usage": {"seconds": 8}}, {"units": 8}),
    "heard in tokens": (SECONDS, {"text": "hi", "usage": {"type": "tokens", **USED}}, TOKENS),
    "a ranking of Jina's": (NONE, {"results": [{"index": 1}], "usage": {"total_tokens": 38}}, {"prompt": 38}),
    "a ranking of vLLM's": (NONE, {"usage": {"prompt_tokens": 37, "total_tokens": 38}}, {"prompt": 37}),
    "a ranking of Cohere's": (SEARCHES, {"results": [{"index": 1}], "meta": {"billed_units": {"search_units": 2}}},
                              {"units": 2}),
    "its v1's": (SEARCHES, {"meta": {"api_version": {"version": "1"}, "billed_units": {"search_units": 1.0},
                                     "tokens": {"input_tokens": 9}}}, {"units": 1}),
    "another's": (SEARCHES, {"usage": {"search_units": 3, "total_tokens": 7}}, {"prompt": 7, "units": 3}),
    "both ways": (SEARCHES, {"usage": {"total_tokens": 7}, "meta": {"billed_units": {"search_units": 2}}},
                  {"prompt": 7}),
    "searches that nobody asks for": (NONE, {"meta": {"billed_units": {"search_units": 2}}}, {}),
    "searches elsewhere": (SEARCHES, {"x": {"billed_units": {"search_units": 2}}, "search_units": 4}, {}),
    "a ranking that says nothing": (SEARCHES, {"results": [], "duration": 3}, {}),
    "nothing": (NONE, {"results": [{"flagged": False}], "data": [{}]}, {}),
    "characters": (CHARACTERS, {"data": [{}], "duration": 3}, {}),
}  # fmt: skip


def metered(asked: dict[str, Any], headers: dict[str, str], frames: list[bytes]) -> dict[str, int | None]:
    """What the access log is told, of what is known."""
    passed = answer(headers, {"endpoint": "/x", "surface": "x", "passes": True, **asked}, frames)
    assert passed.out == b"".join(frames)
    assert not passed.unmetered
    return {key: value for key, value in passed.log.items() if value is not None and key not in ("events", "bytes")}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_in_any_frames(name: str) -> None:
    asked, value, counts = BODIES[name]
    for text in spelled(value):
        for frames in ([text], bytewise(text), framed(text, 3), *halves(text)):
            assert metered(asked, JSON, [*frames, b""]) == counts, frames


@pytest.mark.parametrize("end", range(1, 40))
def test_a_list_that_breaks_off_is_no_count(end: int) -> None:
    text = json.dumps({"data": [{"url": "u"}, {"url": "v"}]}).encode()
    assert metered(IMAGES, JSON, [text[: min(end, len(text) - 3)], b""]) == {}


def events(*values: Any) -> bytes:
    return b"".join(b"event: x\ndata: " + json.dumps(value).encode() + b"\n\n" for value in values)


def test_each_picture_of_a_stream_counts() -> None:
    part = {"type": "image_generation.partial_image", "b64_json": "x" * 5000, "partial_image_index": 0}
    text = events(part, {**part, "usage": USED}, part, {"usage": USED, **part})
    for frames in ([text], framed(text, 7), framed(text, 4096)):
        assert metered(IMAGES, SSE, [*frames, b""]) == {"prompt": 26, "completion": 320, "units": 2}
    assert metered(IMAGES, SSE, [events(part), b""]) == {}


def test_the_last_report_of_a_transcript_counts() -> None:
    """vLLM's are cumulative."""
    text = events(
        {"type": "transcript.text.delta", "delta": "hi"},
        {"object": "transcription.chunk", "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}},
        {"type": "transcript.text.done", "text": "hi", "usage": {"type": "tokens", **USED}},
    )
    assert metered(SECONDS, SSE, [text, b""]) == {"prompt": 13, "completion": 160}


@given(st.binary(max_size=300), st.integers(1, 9))
def test_sound_passes_unread(sound: bytes, size: int) -> None:
    headers = {":status": "200", "content-type": "audio/mpeg"}
    assert metered(CHARACTERS, headers, [*framed(sound, size), b""]) == {}


VALUES = st.recursive(
    st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["data", "usage", "seconds", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_any_list_of_data(value: Any) -> None:
    items = value if isinstance(value, list) else [value]
    text = json.dumps({"x": value, "data": items}).encode()
    assert metered(IMAGES, JSON, [text, b""])["units"] == sum(isinstance(item, dict) for item in items)


@pytest.mark.parametrize("headers", [JSON, SSE])
def test_without_memory_it_passes(headers: dict[str, str]) -> None:
    text = json.dumps({"data": [PICTURE], "usage": USED}).encode()
    frames = [text if headers is JSON else events({"usage": USED, "b64_json": "x" * 9000}), b""]
    for fail_at in range(1, 4):
        passed = answer(headers, {"endpoint": "/x", "passes": True, **IMAGES}, frames, fail_at=fail_at)
        assert passed.out == b"".join(frames)
