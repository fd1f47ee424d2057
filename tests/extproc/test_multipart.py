"""multipart/form-data: what is read, what is refused, as somebody else's parser has it, and in linear time."""

import pytest
from forms import BOUNDARY, TYPE, form, read_by_others
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.multipart import PARTS_LIMIT, Part, boundary_of, is_form, parts_of
from extproc.refusal import BadRequest

MARK = BOUNDARY.encode()
ODD = b"\r\n\r\n--\r\n-" + bytes(range(256)) + b"\r\n"
FIELD = b'Content-Disposition: form-data; name="a"'


def one(head: bytes = FIELD, content: bytes = b"x") -> bytes:
    return b"--" + MARK + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n--" + MARK + b"--\r\n"


def contents(body: bytes) -> list[tuple[str, bytes]]:
    return [(part.name, body[part.start : part.end]) for part in parts_of(body, MARK)]


@pytest.mark.parametrize(
    ("text", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data ; charset=utf-8; BOUNDARY="a b=c"', b"a b=c"),
        (
            "multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
        (f"multipart/form-data; boundary={'x' * 70}", b"x" * 70),
    ],
)
def test_boundaries(text: str, boundary: bytes) -> None:
    assert is_form(text)
    assert boundary_of(text) == boundary


@pytest.mark.parametrize(
    "text",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary="ends with a space "',
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a b",
        f"multipart/form-data; boundary={'x' * 71}",
        'multipart/form-data; boundary="a\\"b"',
        'multipart/form-data; boundary="a\u00e9"',
        "multipart/mixed; boundary=a",
    ],
)
def test_boundaries_that_are_none(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        boundary_of(text)
    assert (caught.value.param, caught.value.code) == ("content-type", "invalid_content_type")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (one(), [("a", b"x")]),
        (one(content=b""), [("a", b"")]),
        (one(content=ODD), [("a", ODD)]),
        (one(b"content-disposition:form-data;NAME=a"), [("a", b"x")]),
        (one(b'X-Y: 1\r\nContent-Disposition: form-data; name="a"; filename="C:\\\\x.wav"'), [("a", b"x")]),
        (one(FIELD + b"; filename*=utf-8''%e2%82%ac.wav"), [("a", b"x")]),
        (one(FIELD + '; filename="\u20ac.wav"'.encode()), [("a", b"x")]),
        (one(FIELD + b'; filename="\xff.wav"'), [("a", b"x")]),
        (one(FIELD + b"\r\nContent-Transfer-Encoding: binary"), [("a", b"x")]),
        (b"preamble\r\n" + one() + b"epilogue", [("a", b"x")]),
        (b"--" + MARK + b" \t\r\n" + FIELD + b"\r\n\r\nx\r\n--" + MARK + b"--", [("a", b"x")]),
        (form(("file", b"RIFF", "a.wav"), ("model", b"whisper")), [("file", b"RIFF"), ("model", b"whisper")]),
        (b"--" + MARK + b"--", []),
    ],
)  # fmt: skip
def test_what_is_read(body: bytes, found: list[tuple[str, bytes]]) -> None:
    assert contents(body) == found


def test_what_a_head_says() -> None:
    (part,) = parts_of(one(FIELD + b'; filename="a \\"b\\".wav"\r\nContent-Type: text/plain; charset=UTF-16'), MARK)
    assert (part.filename, part.charset) == ('a \\"b\\".wav', "utf-16")
    assert parts_of(one(), MARK) == [Part("a", 64, 65, None, "utf-8")]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "nowhere"),
        (b"--wrong\r\n", "nowhere"),
        (one()[: -len(MARK) - 6], "ends before"),
        (one()[:-4], "followed by something else"),
        (b"x--" + MARK + b"--", "middle of a line"),
        (b"\n--" + MARK + b"--", "middle of a line"),
        (one(content=b"x\n--" + MARK + b"\nz"), "middle of a line"),
        (one(content=b"a --" + MARK), "middle of a line"),
        (one(content=b"a\r\n--" + MARK + b"z"), "something else than a line break"),
        (one(content=b"a\r\n--" + MARK + b"-"), "something else than a line break"),
        (one() + one(), "goes on behind"),
        (b"--" + MARK + b"\n" + FIELD + b"\n\nx\r\n--" + MARK + b"--", "line break"),
        (b"--" + MARK + b"\r\n" + FIELD + b"\r\n--" + MARK + b"--", "no head"),
        (b"--" + MARK + b"\r\n\r\nx\r\n--" + MARK + b"--", "no head"),
        (b"--" + MARK + b"\r\n--" + MARK + b"--", "middle|no head"),
        (one(FIELD + b"\r\nX: " + b"y" * 9000), "no head"),
        (one(b"X: y"), "needs the head"),
        (one(b'Content-Disposition: form-data; filename="a"'), "needs the head"),
        (one(b'Content-Disposition: attachment; name="a"'), "needs the head"),
        (one(FIELD + b'; name="b"'), "needs the head"),
        (one(FIELD + b"; name*=utf-8''b"), "needs the head"),
        (one(FIELD + b"x"), "needs the head"),
        (one(b'Content-Disposition: form-data; name="a'), "needs the head"),
        (one(FIELD + b"\r\n" + FIELD), "head that is none"),
        (one(FIELD + b"\r\n name=b"), "head that is none"),
        (one(FIELD + b"\rX: y"), "head that is none"),
        (one(FIELD + b"\nX: y"), "head that is none"),
        (one(FIELD + b"\0"), "head that is none"),
        (one(b"Content-Disposition : form-data; name=a"), "head that is none"),
        (one(b'Content-Disposition: form-data; name="mod\\el"'), "a name that no"),
        (one(b'Content-Disposition: form-data; name="model%22"'), "a name that no"),
        (one(b'Content-Disposition: form-data; name=""'), "a name that no"),
        (one('Content-Disposition: form-data; name="\u00fc"'.encode()), "a name that no"),
        (one(FIELD + b"\r\nContent-Transfer-Encoding: base64"), "Content-Transfer-Encoding"),
        (one(FIELD + b"\r\nContent-Type: multipart/mixed; boundary=b"), "parts of its own"),
    ],
)
def test_what_is_refused(body: bytes, what: str) -> None:
    with pytest.raises(BadRequest, match=what) as caught:
        parts_of(body, MARK)
    assert caught.value.code == "invalid_multipart"


def test_too_many_parts() -> None:
    assert len(parts_of(form(*[("a", b"")] * PARTS_LIMIT), MARK)) == PARTS_LIMIT
    with pytest.raises(BadRequest) as caught:
        parts_of(form(*[("a", b"")] * (PARTS_LIMIT + 1)), MARK)
    assert caught.value.code == "too_many_values"


NAMES = st.text("abcdefg[]_.-", min_size=1, max_size=12)
CONTENTS = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"\r\n", b"--", b"-", b"\n", b"\r", b": ", MARK[:-1], b"a", b"\xff"]), max_size=12
).map(b"".join)
PIECES = st.lists(
    st.tuples(NAMES, CONTENTS) | st.tuples(NAMES, CONTENTS, st.text("abc .\u20ac", min_size=1, max_size=9)),
    max_size=6,
)


@settings(max_examples=500)
@given(PIECES)
def test_as_another_parser_reads_it(pieces: list[tuple[str, bytes] | tuple[str, bytes, str]]) -> None:
    body = form(*pieces)
    assert contents(body) == [(name, content) for name, content, *_ in pieces]
    if pieces:
        assert [(name, content) for name, _, content in read_by_others(body, TYPE)] == contents(body)


SCRAPS = st.lists(
    st.sampled_from(
        [b"--", MARK, b"\r\n", b"\n", b"\r", b" ", FIELD, b'Content-Disposition: form-data; name="model"', b"x",
         b"--" + MARK, b"\r\n--" + MARK, b"\r\n\r\n", b"\r\n--" + MARK + b"--"]
    ),
    max_size=20,
).map(b"".join)  # fmt: skip


@settings(max_examples=2000)
@given(SCRAPS)
def test_what_is_accepted_is_no_other_form_to_others(body: bytes) -> None:
    """Whatever is accepted, another parser that takes line feeds for line ends finds the same parts in it."""
    try:
        found = contents(body)
    except BadRequest:
        return
    if found:
        assert [(name, content) for name, _, content in read_by_others(body, TYPE)] == found


@pytest.mark.parametrize("piece", [b"\r\n", b"\r\n--", b"-", b"\r\n--" + MARK[:-1], b"\0"])
def test_a_large_file_of_near_boundaries(piece: bytes) -> None:
    """A search that starts anew behind each of them would not end within the test's time."""
    content = piece * (25_000_000 // len(piece))
    assert len(parts_of(form(("file", content, "a")), MARK)) == 1
    dashes = "-" * 69 + "x"
    assert len(parts_of(form(("file", content, "a"), boundary=dashes), dashes.encode())) == 1
