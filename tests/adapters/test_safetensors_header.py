"""Files that say something else than they are: none is believed, and none costs more than it is worth."""

import io
import json
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.adapters.safetensors_header import MAX_HEADER_BYTES, BadHeader, read_header
from tests.adapters import made

GOOD = made.safetensors(made.lora_shapes())


def read(content: bytes) -> list[str]:
    return list(read_header(io.BytesIO(content), len(content)).tensors)


def with_header(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(begin: int = 0, end: int = 8, shape: Any = (2,), dtype: Any = "F32", **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


def test_tensors_come_in_the_order_of_their_bytes() -> None:
    header = {"b": tensor(8, 16), "__metadata__": {"format": "pt"}, "a": tensor(0, 8)}
    assert read(with_header(header, bytes(16))) == ["a", "b"]
    assert read(GOOD) == list(made.lora_shapes())


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "0 bytes are no safetensors file"),
        (b"1234567", "7 bytes are no safetensors file"),
        (struct.pack("<Q", 2**63), "it says that its header has 9223372036854775808 bytes"),
        (struct.pack("<Q", 100) + b"{}", "it says that its header has 100 bytes"),
        (struct.pack("<Q", MAX_HEADER_BYTES + 1) + b"{" * (MAX_HEADER_BYTES + 9), "allowed are 8388608"),
        (with_header(b" {}"), "its header is not a JSON object"),
        (with_header(b"[]"), "its header is not a JSON object"),
        (with_header(b"{}"), "it has no tensors"),
        (with_header({"__metadata__": {"a": "b"}}), "it has no tensors"),
        (with_header(b'{"a":'), "its header is not as the format says"),
        (with_header(b'{"\xff": 1}'), "its header is not as the format says"),
        (with_header(b'{"a":' + b"[" * 100_000), "its header is nested too deep"),
        (with_header(b'{"a":' + b"9" * 10_000 + b"}"), "its header is not as the format says"),
        (with_header(b'{"a": NaN}'), "NaN is no JSON"),
        (with_header(b'{"a": 1, "a": 1}'), "a name is there twice"),
        (with_header({"a": tensor(more=1)}, bytes(8)), "its header is not as the format says"),
        (with_header({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)), "its header is not as the format says"),
        (with_header({"a": tensor(shape=[2.0])}, bytes(8)), "its header is not as the format says"),
        (with_header({"a": tensor(shape=[-2])}, bytes(8)), "its header is not as the format says"),
        (with_header({"a": tensor(shape=[1] * 9)}, bytes(8)), "its header is not as the format says"),
        (with_header({"a": tensor(0, 2**63)}, bytes(8)), "its header is not as the format says"),
        (with_header({"a": tensor(dtype="F8_E4M3")}, bytes(8)), "its type is F8_E4M3, allowed are F16, BF16, F32"),
        (with_header({"a": tensor(dtype="I64")}, bytes(8)), "its type is I64"),
        (with_header({"a": tensor(8, 0)}, bytes(8)), "expected to begin at 0"),
        (with_header({"a": tensor(4, 12)}, bytes(12)), "at bytes 4 to 12, expected to begin at 0"),
        (with_header({"a": tensor(), "b": tensor()}, bytes(8)), "b: at bytes 0 to 8, expected to begin at 8"),
        (with_header({"a": tensor(), "b": tensor(4, 12)}, bytes(12)), "b: at bytes 4 to 12, expected to begin at 8"),
        (
            with_header({"a": tensor(), "b": tensor(12, 20)}, bytes(20)),
            "b: at bytes 12 to 20, expected to begin at 8",
        ),
        (with_header({"a": tensor(shape=[3])}, bytes(8)), "8 bytes are not [3] of F32"),
        (with_header({"a": tensor(shape=[2**48] * 8)}, bytes(8)), "8 bytes are not"),
        (with_header({"a": tensor()}, bytes(7)), "its tensors have 8 bytes, and 7 follow the header"),
        (with_header({"a": tensor()}, bytes(9)), "its tensors have 8 bytes, and 9 follow the header"),
    ],
)
def test_what_is_wrong_is_named(content: bytes, text: str) -> None:
    with pytest.raises(BadHeader) as caught:
        read(content)
    assert text in str(caught.value)


def test_a_file_cut_anywhere_is_refused() -> None:
    for length in range(len(GOOD)):
        with pytest.raises(BadHeader):
            read(GOOD[:length])


@settings(max_examples=300)
@given(st.data())
def test_bytes_that_were_changed_are_refused_or_harmless(data: st.DataObject) -> None:
    """Whatever passes lies end to end, and within the file."""
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    _whole_or_refused(bytes(content))


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_harmless(content: bytes) -> None:
    _whole_or_refused(content)
    _whole_or_refused(with_header(b"{" + content))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
TENSORS = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BF16", "I8", ""]) | ANYTHING,
        "shape": st.lists(st.integers(-1, 2**50), max_size=9) | ANYTHING,
        "data_offsets": st.lists(st.integers(-1, 2**50), max_size=3) | ANYTHING,
    }
)


@settings(max_examples=300)
@given(
    st.dictionaries(st.text(max_size=8) | st.just("__metadata__"), TENSORS | ANYTHING, max_size=5),
    st.binary(max_size=64),
)
def test_any_header_is_refused_or_harmless(header: dict[str, Any], data: bytes) -> None:
    _whole_or_refused(with_header(header, data))


def _whole_or_refused(content: bytes) -> None:
    try:
        header = read_header(io.BytesIO(content), len(content))
    except BadHeader:
        return
    at = 0
    for found in header.tensors.values():
        assert found.data_offsets[0] == at
        at = found.data_offsets[1]
    assert header.data_at + at == len(content)


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":' + b"[" * MAX_HEADER_BYTES,
        b'{"a":[' + b"1," * (MAX_HEADER_BYTES // 2 - 10) + b"1]}",
        b'{"a":"' + b"x" * (MAX_HEADER_BYTES - 10) + b'"}',
        b"{" + b",".join(b'"%d":{}' % number for number in range(600_000)) + b"}",
        b"{" + b" " * (MAX_HEADER_BYTES - 2) + b"}",
    ],
    ids=["deep", "long list", "long text", "many names", "spaces"],
)
def test_a_header_costs_no_more_than_a_multiple_of_its_length(header: bytes) -> None:
    header = header[:MAX_HEADER_BYTES]
    content = io.BytesIO(with_header(header))
    tracemalloc.start()
    try:
        with pytest.raises(BadHeader):
            read_header(content, len(header) + 8)
        assert tracemalloc.get_traced_memory()[1] < 40 * MAX_HEADER_BYTES
    finally:
        tracemalloc.stop()
