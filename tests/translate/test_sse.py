"""Events out of any pieces of bytes, against the rules of WHATWG HTML, 9.2, written down the slow way."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.translate.sse import Event, EventReader, EventTooLargeError
from tests.translate.cutting import cuts

STREAMS = {
    "one": (b"data: a\n\n", [Event(b"", b"a")]),
    "named": (b"event: message_start\ndata: {}\n\n", [Event(b"message_start", b"{}")]),
    "several": (
        b"data: a\n\nevent: x\ndata: b\n\ndata: c\n\n",
        [Event(b"", b"a"), Event(b"x", b"b"), Event(b"", b"c")],
    ),
    "carriage returns": (b"event: x\rdata: a\r\rdata: b\r\r", [Event(b"x", b"a"), Event(b"", b"b")]),
    "both": (b"event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", [Event(b"x", b"a"), Event(b"", b"b")]),
    "mixed": (
        b"event: x\r\ndata: a\n\rdata: b\r\n\ndata: c\n\r\n",
        [Event(b"x", b"a"), Event(b"", b"b"), Event(b"", b"c")],
    ),
    "mark": (b"\xef\xbb\xbfdata: a\n\n", [Event(b"", b"a")]),
    "two marks": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [Event(b"", b"b")]),
    "a mark later": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Event(b"", b"a")]),
    "comments": (b": hi\n\n:\n\n: x\ndata: a\n: y\n\n", [Event(b"", b"a")]),
    "several lines": (b"data: a\ndata:\ndata: b\n\n", [Event(b"", b"a\n\nb")]),
    "no space": (b"event:x\ndata:a\n\n", [Event(b"x", b"a")]),
    "two spaces": (b"data:  a \n\n", [Event(b"", b" a ")]),
    "no colon": (b"data\n\nevent\ndata: a\n\n", [Event(b"", b""), Event(b"", b"a")]),
    "id and retry": (b"id: 7\nretry: 10\ndata: a\n\nid: 8\n\n", [Event(b"", b"a")]),
    "no data": (b"event: x\n\ndata: a\n\n", [Event(b"", b"a")]),
    "blank lines": (b"\n\n\n\ndata: a\n\n\n\n\ndata: b\n\n", [Event(b"", b"a"), Event(b"", b"b")]),
    "the last name counts": (b"event: x\nevent: y\ndata: a\n\n", [Event(b"y", b"a")]),
    "unknown fields": (b"datas: z\n data: z\ndata: a\n\n", [Event(b"", b"a")]),
    "colons": (b"event: a:b\ndata: c: d\n\n", [Event(b"a:b", b"c: d")]),
    "no end": (b"data: a\n\ndata: b\n", [Event(b"", b"a")]),
    "any bytes": (b"data: \x00\xff\xc3\n\n", [Event(b"", b"\x00\xff\xc3")]),
}


def read(pieces: list[bytes], limit_bytes: int = 1000) -> list[Event]:
    reader = EventReader(limit_bytes)
    return [event for piece in pieces for event in reader.feed(piece)]


def slowly(data: bytes) -> list[Event]:
    """Line by line, as the standard has it."""
    events, name, lines = list[Event](), b"", list[bytes]()
    for line in re.split(rb"\r\n|\r|\n", data.removeprefix(b"\xef\xbb\xbf"))[:-1]:
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if not line:
            events += [Event(name, b"\n".join(lines))] if lines else []
            name, lines = b"", []
        elif field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value
    return events


@pytest.mark.parametrize(("data", "events"), STREAMS.values(), ids=STREAMS)
def test_events_are_the_same_however_the_bytes_are_cut(data: bytes, events: list[Event]) -> None:
    assert slowly(data) == events
    for pieces in cuts(data):
        assert read(pieces) == events, pieces


WORDS = st.sampled_from([b"data", b"event", b"id", b":", b" ", b"x", b"\n", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf"])


@given(st.lists(WORDS), st.data())
def test_any_mix_of_line_ends_is_read_as_the_standard_says(words: list[bytes], draw: st.DataObject) -> None:
    data = b"".join(words)
    at = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    pieces = [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]
    assert read(pieces) == slowly(data)


@given(st.lists(st.binary(max_size=40)))
def test_no_bytes_are_too_odd(pieces: list[bytes]) -> None:
    assert read(pieces, 10_000) == slowly(b"".join(pieces))


@pytest.mark.parametrize("data", [b"data: " + b"x" * 60 + b"\n\n", b"data: " + b"x" * 60, b": " + b"x" * 60])
def test_an_event_over_the_limit_is_an_error_however_it_is_cut(data: bytes) -> None:
    for pieces in cuts(b"data: a\n\n" + data):
        with pytest.raises(EventTooLargeError, match="more than 50 bytes"):
            read(pieces, 50)


def test_many_events_together_may_be_over_the_limit() -> None:
    assert len(read([b"data: abc\n\n" * 100], 50)) == 100


def test_an_event_of_megabytes_in_small_pieces_is_read_in_linear_time() -> None:
    data = b"data: " + b"x" * (8 * 2**20) + b"\n\n"  # quadratic, this is 500 GB of copying
    (event,) = read([data[at : at + 64] for at in range(0, len(data), 64)], 9 * 2**20)
    assert len(event.data) == 8 * 2**20


def test_a_reader_knows_whether_it_holds_part_of_an_event() -> None:
    reader = EventReader()
    assert not reader.holds_part
    reader.feed(b"data: a\r")
    assert reader.holds_part
    reader.feed(b"\n\r\n\n")
    assert not reader.holds_part
