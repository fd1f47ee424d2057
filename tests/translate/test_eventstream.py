"""Frames of Amazon's event streams: what botocore reads of them, however they are cut, and what is none."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.translate.eventstream import (
    HEADERS_LIMIT_BYTES,
    PAYLOAD_LIMIT_BYTES,
    Frame,
    FrameError,
    FrameReader,
)
from tests.translate.bedrock_frames import error, event, exception, frame, read_by_botocore

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = TEXTS | st.sampled_from(
    [b"\x00", b"\x01", b"\x02x", b"\x03xx", b"\x04xxxx", b"\x05xxxxxxxx", b"\x06\x00\x03abc", b"\x08xxxxxxxx",
     b"\x09xxxxxxxxxxxxxxxx"]
)  # fmt: skip
HEADERS = st.dictionaries(st.from_regex(r"[a-z]{1,12}", fullmatch=True), VALUES, max_size=4)
FRAMES = st.builds(lambda payload, headers: frame(payload, **headers), st.binary(max_size=60), HEADERS)


def read(reader: FrameReader, *pieces: bytes) -> list[Frame]:
    return [found for piece in pieces for found in reader.feed(piece)]


@given(st.lists(FRAMES, max_size=4), st.data())
def test_any_frames_however_they_are_cut_are_what_botocore_reads(frames: list[bytes], drawn: st.DataObject) -> None:
    stream = b"".join(frames)
    at = sorted(drawn.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]
    reader = FrameReader()
    found = read(reader, *pieces)
    assert not reader.holds_part
    wanted = read_by_botocore(stream)
    assert [one.payload for one in found] == [one.payload for one in wanted]
    texts = [{name: value for name, value in one.headers.items() if isinstance(value, str)} for one in wanted]
    assert [one.texts for one in found] == texts


def test_what_a_frame_is_called() -> None:
    found = read(FrameReader(), event("metadata", a=1) + exception("x") + error("code", "m") + frame(b"x"))
    assert [(one.kind, one.name) for one in found] == [
        ("event", "metadata"),
        ("exception", "x"),
        ("error", "code"),
        ("", ""),
    ]


WHOLE = event("metadata", a=1)


@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_a_changed_byte_is_seen(at: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] ^= 4
    with pytest.raises(FrameError):
        next(FrameReader().feed(bytes(changed)))


def test_what_came_before_a_bad_frame_counts() -> None:
    reader = FrameReader()
    frames = reader.feed(WHOLE + b"data: {}\n\n" * 2)
    assert next(frames).name == "metadata"
    with pytest.raises(FrameError):
        next(frames)


@pytest.mark.parametrize(
    ("length", "headers"),
    [
        (0, 0),
        (15, 0),
        (16, 1),
        (2**32 - 1, 0),
        (17 + PAYLOAD_LIMIT_BYTES, 0),
        (2**20, HEADERS_LIMIT_BYTES + 1),
    ],
)
def test_an_impossible_size_is_refused_at_once(length: int, headers: int) -> None:
    prelude = struct.pack(">II", length, headers)
    with pytest.raises(FrameError):
        read(FrameReader(), prelude + struct.pack(">I", zlib.crc32(prelude)))


@pytest.mark.parametrize(
    "value",
    [b"\x0a", b"\x07", b"\x07\x00", b"\x07\x00\x09abc", b"\x05xx", b"", b"\x07\x00\x02\xff\xfe"],
)
def test_headers_that_cannot_be_read_are_refused(value: bytes) -> None:
    with pytest.raises(FrameError):
        read(FrameReader(), frame(b"x", a="b", c=value))


def test_a_part_is_held() -> None:
    reader = FrameReader()
    assert read(reader, WHOLE[:-1]) == []
    assert reader.holds_part
    assert len(read(reader, WHOLE[-1:])) == 1
    assert not reader.holds_part
