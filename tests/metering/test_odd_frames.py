"""How bodies arrive beyond simple frames: several pieces, ends with and without data, trailers; and no memory."""

from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import CHAT, JSON, SSE, Answer, answer, bytewise, framed
from stand_in import settings as request_for
from stream_model import expected
from streams import DONE, FINAL, SMALL_USAGE, STREAMS, chunk, event, stream, words
from test_sse_any_stream import framings, streams

ALL = {"hide_chunk": True, "hide_member": True}
HIDE = request_for(**ALL)
TEXT = stream(*words("a", "b", usage=SMALL_USAGE), FINAL)

every_stream = pytest.mark.parametrize("name", STREAMS)


@every_stream
def test_a_frame_of_many_pieces(name: str) -> None:
    text = STREAMS[name]
    for pieces in (bytewise(text), framed(text, 7), [b"", *framed(text, 64), b""]):
        assert answer(SSE, HIDE, [pieces, b""]).metered == expected(text, **ALL)


@every_stream
def test_the_last_frame_has_data(name: str) -> None:
    text = STREAMS[name]
    for frames in ([text], bytewise(text) or [b""], framed(text, 64) or [b""]):
        assert answer(SSE, HIDE, frames).metered == expected(text, **ALL)


@every_stream
def test_trailers_end_the_stream(name: str) -> None:
    text = STREAMS[name]
    for frames in ([text], bytewise(text), framed(text, 64)):
        assert answer(SSE, HIDE, frames, trailers=True).metered == expected(text, **ALL)


@given(framings(streams()), st.booleans(), st.booleans(), st.data())
@settings(deadline=None)
def test_any_stream_in_pieces_of_frames(
    pieces: list[bytes], hide_chunk: bool, hide_member: bool, data: st.DataObject
) -> None:
    """Pieces put together to frames, empty ones among them, with each way to end."""
    hide, frames = {"hide_chunk": hide_chunk, "hide_member": hide_member}, [[]]
    for piece in pieces:
        frames[-1].append(piece)
        frames.extend([] for _ in range(data.draw(st.integers(0, 2))))
    ends = {"trailers": True} if data.draw(st.booleans()) else {}
    assert answer(SSE, request_for(**hide), frames, **ends).metered == expected(b"".join(pieces), **hide)


def test_empty_frames_are_left_alone() -> None:
    passed = answer(SSE, HIDE, [event(chunk({"content": "a"})), b"", [], DONE, b""])
    assert not any(passed.touched)


def test_an_event_over_several_lines_of_data() -> None:
    text = (
        b'event: message\ndata: {"choices":[{"delta":\ndata: {"content":"ab"}}],\ndata:"usage": {"prompt_tokens":\n'
        b'data:  7, "completion_tokens": 3} ,\ndata: "z":1}\n\n'
    )
    for frames in ([text], bytewise(text)):
        passed = answer(SSE, HIDE, frames)
        assert passed.log == {"prompt": 7, "completion": 3, "events": 1, "bytes": 2}
        assert b"usage" not in passed.out
        assert passed.out.endswith(b'"ab"}}] ,\ndata: "z":1}\n\n')


def test_an_event_goes_out_as_soon_as_nothing_in_it_can_be_hidden() -> None:
    first = event(chunk({"content": "a"}))
    passed = answer(SSE, HIDE, [first[:-2], b"\n", b"\n", first[:20], first[20:-1], b"\n"])
    assert passed.frames == [first[:-2], b"\n", b"\n", b"", first[:-1], b"\n"]


def test_an_event_too_large_to_hold_goes_out_unhidden_and_counted() -> None:
    text = event(chunk({"content": "x" * 1_500_000}, usage=SMALL_USAGE)) + event(FINAL) + DONE
    passed = answer(SSE, HIDE, framed(text, 16_384))
    assert passed.out == text.replace(event(FINAL), b"")
    assert passed.metered[1:] == ((12, 7, 5, None, 3), 1, 1_500_000)
    assert (passed.unhidden, passed.unmetered) == (1, 0)
    assert passed.peak_bytes < 4_000_000


def test_a_stream_keeps_little_memory() -> None:
    text = event(chunk({"content": "x" * 2_000_000})) * 3
    assert answer(SSE, CHAT, framed(text, 16_384)).peak_bytes < 2_000


@pytest.mark.parametrize("index", [2**15, 2**16, 2**20, 9_999_999_999_999])
def test_a_choice_far_out_takes_little_memory(index: int) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    frames = [event(chunk({"content": "a"}, at, usage=usage)) for at in (0, index)]
    passed = answer(SSE, request_for(choices=2), frames)
    assert passed.log["completion"] == (4 if index < 2**16 else 2)
    assert passed.peak_bytes < 1_500_000


@pytest.mark.parametrize(
    ("number", "counted"),
    [
        ("0", 0),
        ("12.0", 12),
        ("12.9", 12),
        ("9999999999999", 9_999_999_999_999),
        ("99999999999999", None),
        ("99999999999999999999999999", None),
        ("1e3", None),
        ("1.0E3", None),
        ("-1", None),
        ('"7"', None),
        ("null", None),
        ("true", None),
        ("[7]", None),
        ('{"prompt_tokens":7}', None),
    ],
)
def test_numbers(number: str, counted: int | None) -> None:
    body = f'{{"usage":{{"prompt_tokens":{number},"completion_tokens":1}}}}'.encode()
    for frames in ([body], bytewise(body)):
        log = answer(JSON, CHAT, frames).log
        assert (log.get("prompt"), log["completion"]) == (counted, 1)


# No memory ----------------------------------------------------------------------------------------------------------


def failing(frames: list[bytes], request: dict[str, Any] = HIDE, headers: dict[str, str] = SSE) -> list[Answer]:
    """The same answer with each allocation failing in turn, alone and with all that follow."""
    allocations = answer(headers, request, frames).allocations
    assert allocations > 0
    return [
        answer(headers, request, frames, fail_at=number, keeps_failing=keeps)
        for number in range(1, allocations + 1)
        for keeps in (False, True)
    ]


def test_a_stream_passes_whole_or_is_reset_where_memory_fails() -> None:
    longest = stream(*words("a" * 3000, "b", usage=SMALL_USAGE), FINAL)
    for frames in ([TEXT], bytewise(TEXT), framed(longest, 512), [bytewise(TEXT)]):
        whole, hidden = b"".join(chain.from_iterable([f] if isinstance(f, bytes) else f for f in frames)), set()
        for passed in failing(frames):
            if passed.reset:
                assert passed.unmetered == 1
                continue
            shown = expected(passed.out, **ALL)
            assert shown.out == expected(whole, **ALL).out, "lost or changed something beside usage"
            hidden.add(passed.out == shown.out)
            if passed.log:
                assert passed.metered[1:] == expected(whole)[1:] or passed.unmetered == 1
            assert passed.out == shown.out or passed.unmetered or passed.unhidden or not passed.log
        assert hidden


def test_a_stream_where_nothing_is_hidden_needs_no_memory_of_its_own() -> None:
    assert answer(SSE, CHAT, bytewise(TEXT)).allocations == 1
    for passed in failing(bytewise(TEXT), CHAT):
        assert (passed.out, passed.log, passed.reset) == (TEXT, {}, False)


def test_choices_that_cannot_be_told_apart_for_want_of_memory() -> None:
    frames = [event(chunk({"content": "w"}, at, usage=SMALL_USAGE)) for at in range(9)]
    for passed in failing(frames, request_for(choices=9)):
        assert passed.out == b"".join(frames)
        assert not passed.reset


@given(framings(streams()), st.integers(1, 12), st.booleans())
@settings(deadline=None)
def test_any_stream_without_memory(frames: list[bytes], fail_at: int, keeps_failing: bool) -> None:
    whole = b"".join(frames)
    passed = answer(SSE, HIDE, [*frames, b""], fail_at=fail_at, keeps_failing=keeps_failing)
    if not passed.reset:
        assert expected(passed.out, **ALL).out == expected(whole, **ALL).out
