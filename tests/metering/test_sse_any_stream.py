"""Properties of the stream meter: any stream, in any frames, against an independent model; and garbage."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import bytewise, sse, sse_untouched
from stream_model import expected
from streams import NASTY, VENDOR, chunk, event

ODD = ['"usage":{"prompt_tokens":1}', '{"usage":null}', '"', "\\", "}", "{", "\n\n", "data: [DONE]", NASTY]
TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(ODD))
TOKENS = st.integers(0, 10**7)
USAGES = st.fixed_dictionaries(
    {"prompt_tokens": TOKENS, "completion_tokens": TOKENS},
    optional={
        "total_tokens": TOKENS,
        "prompt_tokens_details": st.fixed_dictionaries(
            {"cached_tokens": TOKENS}, optional={"cache_write_tokens": TOKENS}
        ),
        "completion_tokens_details": st.fixed_dictionaries({"reasoning_tokens": TOKENS}),
        "cost": st.none() | st.floats(0, 1),
    },
)
REPORTS = st.none() | USAGES
OUTPUTS = st.sampled_from(["content", "text", "reasoning_content", "refusal"])


@st.composite
def chunks(draw: Callable[..., Any]) -> dict[str, Any]:
    key = draw(OUTPUTS)
    choices = [{"index": index, "delta": {key: text}} for index, text in enumerate(draw(st.lists(TEXTS, max_size=2)))]
    members: dict[str, Any] = {"id": "c", "choices": choices}
    if draw(st.booleans()):
        members["usage"] = draw(REPORTS if choices else USAGES)
    if draw(st.integers(0, 4)) == 0:
        members |= VENDOR
    order = draw(st.permutations(list(members)))
    return {name: members[name] for name in order}


@st.composite
def streams(draw: Callable[..., Any]) -> bytes:
    spelling = draw(
        st.fixed_dictionaries(
            {
                "end": st.sampled_from(["\n", "\r\n"]),
                "spaced": st.booleans(),
                "ascii_only": st.booleans(),
                "before": st.sampled_from(["", ": ping\n", "event: message\nid: 1\n"]),
            }
        )
    )
    if spelling["end"] == "\r\n":
        spelling["before"] = spelling["before"].replace("\n", "\r\n")
    events = [event(data, **spelling) for data in draw(st.lists(chunks(), max_size=5))]
    last = draw(st.sampled_from([b"data: [DONE]\n\n", b"data: [DONE]", b"", b": bye\n", event(chunk({}))[:-2]]))
    return b"".join(events) + last


@st.composite
def framings(draw: Callable[..., Any], texts: st.SearchStrategy[bytes]) -> list[bytes]:
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8, unique=True)))
    return [text[at:to] for at, to in zip([0, *cuts], [*cuts, len(text)], strict=True) if to > at]


@given(framings(streams()), st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_stream_in_any_frames(frames: list[bytes], hide_chunk: bool, hide_member: bool) -> None:
    hide = {"hide_chunk": hide_chunk, "hide_member": hide_member}
    assert sse(frames, **hide) == expected(b"".join(frames), **hide)


FRAGMENTS = [
    *(b'"usage"', b':{"prompt_tokens":1}', b"null", b"}", b"{", b'"choices":[]', b"\n\n", b"\r\n\r\n"),
    *(b'"content":"', b"\\u12", b"\\ud83d", b"data: [DONE", b"data: {", b'"', b"\\"),
]
PIECES = st.lists(st.binary(max_size=20) | st.sampled_from(FRAGMENTS), max_size=30)


@given(framings(PIECES.map(b"".join)), st.booleans(), st.booleans(), st.sampled_from([None, 2]))
@settings(max_examples=300, deadline=None)
def test_garbage_never_fails_and_comes_out_the_same_in_any_frames(
    frames: list[bytes], hide_chunk: bool, hide_member: bool, choices: int | None
) -> None:
    text, hide = b"".join(frames), {"hide_chunk": hide_chunk, "hide_member": hide_member}
    if b"data: [DONE" in text:  # let go before its event is complete, whatever follows
        sse(frames, choices=choices, **hide)
    else:
        assert sse(frames, choices=choices, **hide).out == sse(bytewise(text), choices=choices, **hide).out


@given(framings(st.binary(max_size=200) | PIECES.map(b"".join)))
@settings(deadline=None)
def test_garbage_is_not_touched_while_nothing_is_hidden(frames: list[bytes]) -> None:
    assert all(sse_untouched(frames))


@given(framings(PIECES.map(lambda pieces: b"".join(pieces).replace(b"usage", b"usages"))))
@settings(deadline=None)
def test_garbage_without_usage_comes_out_as_it_went_in(frames: list[bytes]) -> None:
    assert sse(frames, hide_chunk=True, hide_member=True).out == b"".join(frames)
