"""Streams through the meter: the client's bytes and the counts are the same however the provider's bytes arrive."""

import pytest
from stand_in import bytewise, counts_of, framed, halves, sse, sse_untouched
from stream_model import expected
from streams import DONE, FINAL, SMALL_USAGE, STREAMS, USAGE, chunk, event, stream, words

MODES = {
    "hide all": {"hide_chunk": True, "hide_member": True},
    "hide members": {"hide_chunk": False, "hide_member": True},
    "hide nothing": {"hide_chunk": False, "hide_member": False},
}

every_stream = pytest.mark.parametrize("name", STREAMS)
every_mode = pytest.mark.parametrize("mode", MODES)


@every_stream
@every_mode
def test_whole_and_byte_by_byte(name: str, mode: str) -> None:
    text, hide = STREAMS[name], MODES[mode]
    wanted = expected(text, **hide)
    assert sse([text], **hide) == wanted
    assert sse(bytewise(text), **hide) == wanted
    for size in (2, 7, 64):
        assert sse(framed(text, size), **hide) == wanted


@every_stream
@every_mode
def test_cut_at_every_index(name: str, mode: str) -> None:
    text, hide = STREAMS[name], MODES[mode]
    wanted = expected(text, **hide)
    for frames in halves(text):
        assert sse(frames, **hide) == wanted, frames


@every_stream
def test_a_frame_that_needs_no_change_is_not_touched(name: str) -> None:
    text = STREAMS[name]
    assert all(sse_untouched([text]))
    assert all(sse_untouched(bytewise(text)))


def test_frames_without_usage_are_not_touched_while_hiding() -> None:
    frames = [event(data) for data in words("a", "b", "c")]
    assert all(sse_untouched([*frames, DONE], hide=True))


def test_continuous_usage_is_hidden_and_counted() -> None:
    plain, metered = stream(*words("Hello", " you")), stream(*words("Hello", " you", usage=SMALL_USAGE), FINAL)
    seen = sse([metered], hide_chunk=True, hide_member=True)
    assert seen.out == plain
    assert seen.counts == (12, 7, 5, None, 3)
    assert (seen.content_events, seen.content_bytes) == (2, 9)


def test_the_final_usage_stays_for_a_client_that_asked_for_it() -> None:
    metered = stream(*words("Hello", usage=SMALL_USAGE), FINAL)
    assert sse([metered], hide_member=True).out == stream(*words("Hello"), FINAL)


def test_a_stream_that_ends_early_has_the_last_report() -> None:
    reports = [{"prompt_tokens": 12, "completion_tokens": done} for done in range(1, 5)]
    text = b"".join(event(chunk({"content": "w"}, usage=report)) for report in reports)
    for frames in (bytewise(text), [text]):
        assert sse(frames, hide_chunk=True, hide_member=True).counts == (12, 4, None, None, None)
    assert sse([text[:-1]], hide_chunk=True, hide_member=True).counts == (12, 3, None, None, None)


def test_several_choices_add_up_until_the_total_comes() -> None:
    parts = [(0, 1), (1, 1), (0, 2), (1, 2), (1, 3)]
    text = b"".join(
        event(chunk({"content": "w"}, index, usage={"prompt_tokens": 4, "completion_tokens": done}))
        for index, done in parts
    )
    total = event(chunk(usage={"prompt_tokens": 4, "completion_tokens": 6}))
    for hide in MODES.values():
        for frames in ([text], bytewise(text)):
            assert sse(frames, choices=2, **hide).counts == (4, 5, None, None, None)
        assert sse([text, total], choices=2, **hide).counts == (4, 6, None, None, None)
        assert sse([text[: text.index(b"data", 1)]], choices=2, **hide).counts == (4, 1, None, None, None)


def test_an_event_with_reasoning_and_text_counts_both() -> None:
    text = event(chunk({"reasoning_content": "hm", "content": "abc"}))
    assert sse([text])[2:] == (1, 5)


def test_braces_in_a_string_of_usage_hide_nothing_else() -> None:
    odd = chunk({"content": "a"}, usage={**SMALL_USAGE, "note": "{{"})
    text = stream(odd, {"delta": {"content": "}}"}}, *words("b"), FINAL)
    seen = sse([text], hide_chunk=True, hide_member=True)
    assert seen == expected(text, hide_chunk=True, hide_member=True)
    assert b'"}}"' in seen.out


def test_an_empty_list_of_choices_inside_something_else_is_not_the_end() -> None:
    text = stream({"x": {"choices": []}, **chunk({"content": "kept"}, usage=USAGE)})
    seen = sse([text], hide_chunk=True, hide_member=True)
    assert seen == expected(text, hide_chunk=True, hide_member=True)
    assert b"kept" in seen.out


def test_empty_frames_between_events_change_nothing() -> None:
    events = [event(data) for data in (*words("a", "b", usage=SMALL_USAGE), FINAL)] + [DONE]
    frames = [frame for data in events for frame in (b"", data, b"")]
    hide = MODES["hide all"]
    assert sse(frames, **hide) == sse([b"".join(events)], **hide)


def test_an_empty_frame_inside_an_event_loses_neither_bytes_nor_counts() -> None:
    text = stream(*words("a", usage=SMALL_USAGE), FINAL)
    hide = MODES["hide all"]
    wanted = expected(text, **hide)
    for left, right in halves(text):
        seen = sse([left, b"", right], **hide)  # HTTP/2 allows it; the end of a stream looks the same
        assert seen[1:] == wanted[1:], left
        assert expected(seen.out, **hide).out == wanted.out, left  # what was let go too early can only be usage


def test_an_event_larger_than_many_frames() -> None:
    text = stream(chunk({"content": "x" * 200_000 + '"\\'}, usage=SMALL_USAGE), FINAL)
    hide = MODES["hide all"]
    assert sse(framed(text, 16_384), **hide) == expected(text, **hide)
    assert sse(framed(text, 16_384), **hide).content_bytes == 200_002


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (b"{}", (None, None, None, None, None)),
        (b'{"prompt_tokens":0,"completion_tokens":0}', (0, 0, None, None, None)),
        (b'{"prompt_tokens" : 3 , "completion_tokens":\t4}', (3, 4, None, None, None)),
        (b'{"prompt_tokens":null,"completion_tokens":4}', (None, 4, None, None, None)),
        (b'{"completion_tokens_details":{"reasoning_tokens":9},"completion_tokens":10}', (None, 10, None, None, 9)),
        (b'{"prompt_tokens":9,"prompt_tokens_details":{"cache_write_tokens":8}}', (9, None, None, 8, None)),
        (b'{"prompt_tokens":9,"prompt_tokens_details":{"cache_creation_tokens":8}}', (9, None, None, 8, None)),
        (
            b'{"prompt_tokens":1,"prompt_tokens_details":{"audio_tokens":2,"cached_tokens":0}}',
            (1, None, 0, None, None),
        ),
    ],
)
def test_counts(usage: bytes, counts: tuple[int | None, ...]) -> None:
    assert counts_of(usage) == counts
