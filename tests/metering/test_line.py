"""The members of the spool's `end` line that the module makes of metadata: JSON's own, or none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in import CHAT, JSON, SSE, answer
from streams import SMALL_USAGE, USAGE, chunk, event

ID = "0440494e-8972-42e6-a867-fc8752e23943"
BODY = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'
MOST = 2**53 - 1


def line_of(request: dict[str, Any], request_id: str | None = ID, **more: Any) -> dict[str, Any] | None:
    found = answer(JSON, {**CHAT, **request}, [BODY, b""], request_id=request_id, **more).line
    return dict(json.loads(b"{" + found + b"}")) if found else None


def test_it_has_what_is_known_and_null_for_the_rest() -> None:
    found = line_of({"user": "u", "model": "m", "estimated": 7, "streamed": True, "generation": 3})
    assert found
    known = {name: value for name, value in found.items() if value is not None}
    assert known == {
        "request_id": ID,
        "user": "u",
        "surface": "chat",
        "model": "m",
        "estimated_tokens": 7,
        "streamed": True,
        "price_generation": 3,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "content_events": 1,
        "content_bytes": len(BODY),
    }
    assert {"tenant", "key_id", "provider_left", "reserved", "first_token_ms"} <= found.keys() - known.keys()


def test_a_count_that_the_last_report_left_out_is_null() -> None:
    frames = [event(chunk(usage=report)) for report in (USAGE, SMALL_USAGE)]
    found = json.loads(b"{" + answer(SSE, CHAT, [*frames, b""], request_id=ID).line + b"}")
    assert (found["prompt_tokens"], found["completion_tokens"], found["cached_tokens"]) == (12, 1, None)


@given(st.text(st.characters(max_codepoint=0x7E), max_size=300))
def test_any_ascii_text_is_what_it_was(text: str) -> None:
    assert (line_of({"user": text}) or {})["user"] == text


@given(st.integers(-MOST, MOST))
def test_any_number_is_what_it_was(number: int) -> None:
    assert (line_of({"estimated": number}) or {})["estimated_tokens"] == number


@pytest.mark.parametrize(
    "request_",
    [{"user": "\u00fc"}, {"user": "\x7f"}, {"estimated": 0.5}, {"estimated": 2.0**53}, {"user": "x" * 4096}],
    ids=["no ASCII", "delete", "a fraction", "a number that is not exact", "no room"],
)
def test_what_it_can_not_say_exactly_is_left_to_envoy(request_: dict[str, Any]) -> None:
    assert line_of(request_) is None


@pytest.mark.parametrize("request_id", [None, "x" * 37, '"' * 36, "\\" * 36])
def test_an_id_that_is_not_ours_adds_no_member(request_id: str | None) -> None:
    found = line_of({}, request_id)
    assert found is None or found["request_id"] == request_id


def test_it_takes_no_memory() -> None:
    without, with_line = (answer(JSON, CHAT, [BODY, b""], request_id=one) for one in (None, ID))
    assert (without.line, without.allocations) == (b"", with_line.allocations)
