"""Header blocks: what another HPACK encoder writes is read, with a table and without; what is broken is refused."""

from contextlib import suppress
from typing import Any

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_peer import END_HEADERS, END_STREAM, HEADERS, METHODS, UNARY, Peer, frame, message, request, settings

from headgate.grpc_server.frames import ConnectionFault
from headgate.grpc_server.headers import HeaderReader, Headers, literal

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", max_size=40).map("x-{}".format)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300)
FIELDS = st.dictionaries(NAMES, VALUES, max_size=8)


def read_all(headers: Headers, fields: dict[str, str]) -> dict[str, str | None]:
    return {name: headers.get(name) for name in fields}


@given(blocks=st.lists(FIELDS, min_size=1, max_size=6), coded=st.booleans(), stateless_from=st.integers(0, 6))
def test_what_hpack_writes_is_read(blocks: list[dict[str, str]], coded: bool, stateless_from: int) -> None:
    encoder, reader = hpack.Encoder(), HeaderReader()
    for number, fields in enumerate(blocks):
        if number == stateless_from:
            encoder.header_table_size = 0
            reader.forget_table()
        block = encoder.encode([*request("/a/B"), *fields.items()], huffman=coded)
        headers = reader.read(block)
        assert read_all(headers, fields) == fields
        assert (headers.method, headers.path, headers.content_type) == (b"POST", b"/a/B", b"application/grpc")
        assert headers.malformed is None
        assert headers.get("not-there") is None


def test_blocks_are_stateless_from_the_acknowledgement_on() -> None:
    """As Envoy does it: requests before our settings are known use the table, later ones say that they do not."""
    peer = Peer(METHODS, settled=False)
    ack = frame(4, 1)
    first = peer.call(1, UNARY.path, b"header x-one", x_one="1") + peer.call(
        3, UNARY.path, b"header x-one", x_one="1"
    )
    assert b"\x82\x86" not in first.split(message(b"header x-one"))[1]
    peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settings(), first)
    peer.encoder.header_table_size = 0
    peer.send(ack, peer.call(5, UNARY.path, b"header x-one", x_one="5"))
    peer.send(peer.call(7, UNARY.path, b"header x-one", x_one="7"), peer.call(9, UNARY.path, b"header x-two"))
    texts = [peer.answers[number].messages[0] for number in (1, 3, 5, 7, 9)]
    assert texts == [b"1", b"1", b"5", b"7", b"none"]


@pytest.mark.parametrize("size", [1, 126, 127, 128, 254, 255, 256, 5000])
def test_what_we_write_is_what_hpack_reads(size: int) -> None:
    found = hpack.Decoder().decode(literal(b"grpc-message", b"x" * size))
    assert [tuple(field) for field in found] == [("grpc-message", "x" * size)]


def test_long_values_and_blocks() -> None:
    reader = HeaderReader()
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    reader.forget_table()
    for size in (100, 126, 127, 128, 1000, 2000, 12_000):
        for value in ("a" * size, "\x7f" * (size // 4)):
            block = encoder.encode([*request("/x"), ("long", value)])
            assert reader.read(block).get("long") == value
            assert reader.read(block).get("long") == value


@pytest.mark.parametrize("stateless", [False, True])
@given(block=st.binary(max_size=200))
def test_any_block_is_read_or_refused(stateless: bool, block: bytes) -> None:
    reader: Any = HeaderReader()
    if stateless:
        reader.forget_table()
    with suppress(ConnectionFault):
        headers = reader.read(block)
        assert headers.get("x") is None or isinstance(headers.get("x"), str)


@given(block=st.binary(max_size=200))
def test_a_broken_value_that_nobody_asks_for_costs_nothing(block: bytes) -> None:
    peer = Peer(METHODS)
    coded = b"\x00\x01x" + bytes([0x80 | min(len(block), 126)]) + block[:126]
    first = peer.encoder.encode(request(UNARY.path)) + coded
    peer.send(frame(HEADERS, END_HEADERS, 1, first), frame(0, END_STREAM, 1, message(b"header x")))
    assert peer.answers[1].status == 0
