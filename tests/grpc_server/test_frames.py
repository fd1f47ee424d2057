"""Bytes in, bytes out: what the server's side of a connection answers to frames, right ones and wrong ones."""

import struct

import pytest
from raw_peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    METHODS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM,
    UNARY,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Peer,
    frame,
    message,
    request,
    settings,
    window_update,
)

from headgate.grpc_server import Limits

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 1, 3, 5, 6
REFUSED_STREAM, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 7, 9, 11
SMALL = Limits(message_bytes=100_000, streams=3, stream_window=65_535, connection_window=100_000, control_frames=100)


@pytest.fixture
def peer() -> Peer:
    return Peer(METHODS)


def test_what_is_announced() -> None:
    made = Peer(METHODS, settled=False)
    kind, _, stream, payload = made.frames[0]
    assert (kind, stream) == (SETTINGS, 0)
    announced = dict(struct.iter_unpack(">HI", payload))
    assert announced == {1: 0, 3: made.limits.streams, 4: made.limits.stream_window, 6: 16_384}
    increment = struct.pack(">I", made.limits.connection_window - 65_535)
    assert made.frames[1:] == [(WINDOW_UPDATE, 0, 0, increment)]


def test_a_unary_call(peer: Peer) -> None:
    peer.send(peer.call(1, UNARY.path, b"hello"))
    answer = peer.answers[1]
    assert answer.blocks == [{":status": "200", "content-type": "application/grpc"}, {"grpc-status": "0"}]
    assert (answer.messages, answer.ended, answer.reset) == ([b"hello"], True, None)
    assert not peer.connection.streams


def test_a_conversation_ends_with_its_last_reply(peer: Peer) -> None:
    peer.send(peer.open(1, STREAM.path), frame(DATA, 0, 1, message(b"one")))
    assert peer.answers[1].messages == [b"one"]
    assert not peer.answers[1].ended
    peer.send(frame(DATA, 0, 1, message(b"stop")))
    answer = peer.answers[1]
    assert (answer.messages, answer.status, answer.reset) == ([b"one", b"stop"], 0, 0)
    assert not peer.connection.streams
    peer.send(frame(DATA, END_STREAM, 1, message(b"late")), frame(RST_STREAM, 0, 1, bytes(4)))
    assert peer.error is None


def test_a_conversation_ends_with_its_client(peer: Peer) -> None:
    peer.send(peer.open(1, STREAM.path), frame(DATA, 0, 1, message(b"none")), frame(DATA, END_STREAM, 1))
    assert (peer.answers[1].messages, peer.answers[1].status, peer.answers[1].reset) == ([], 0, None)
    peer.send(peer.open(3, STREAM.path, end=True))
    assert (peer.answers[3].messages, peer.answers[3].status) == ([], 0)


def conversation(peer: Peer) -> bytes:
    """Every kind of frame that a peer may send, in one string."""
    block = peer.encoder.encode(request(STREAM.path, x_long="y" * 300))
    many = b"".join(message(text) for text in (b"a", b"", b"c" * 20_000))
    return b"".join(
        (
            settings(window=70_000, frame=20_000),
            frame(PRIORITY, 0, 5, bytes(5)),
            peer.call(1, UNARY.path, b"first"),
            frame(HEADERS, PADDED | WITH_PRIORITY, 3, b"\x07" + bytes(5) + block[:10] + bytes(7)),
            frame(CONTINUATION, 0, 3),
            frame(CONTINUATION, 0, 3, block[10:200]),
            frame(CONTINUATION, END_HEADERS, 3, block[200:]),
            frame(99, 255, 3, b"unknown"),
            *(frame(DATA, PADDED, 3, bytes([9]) + many[at : at + 5000] + bytes(9)) for at in range(0, 20_015, 5000)),
            frame(PING, 0, 0, b"12345678"),
            window_update(0, 1000),
            window_update(3, 1000),
            peer.call(5, UNARY.path, b"second"),
            frame(HEADERS, END_HEADERS | END_STREAM, 3, peer.encoder.encode([("x-trailer", "1")])),
        )
    )


def outcome(peer: Peer) -> tuple[object, ...]:
    assert peer.error is None
    assert not peer.connection.streams
    return peer.answers, [entry for entry in peer.frames if entry[0] in (PING, SETTINGS)]


def test_it_does_not_matter_where_the_bytes_are_cut(peer: Peer) -> None:
    data = conversation(peer)
    peer.send(data)
    expected = outcome(peer)
    assert peer.answers[3].messages == [b"a", b"", b"c" * 20_000]
    assert (PING, ACK, 0, b"12345678") in peer.frames
    single = Peer(METHODS)
    conversation(single)
    for octet in data:
        single.send(bytes([octet]))
    assert outcome(single) == expected
    cuts = [*range(1, 1200), *range(1200, len(data), 97)]
    for cut in cuts:
        halves = Peer(METHODS)
        conversation(halves)
        halves.send(data[:cut])
        halves.send(data[cut:])
        assert outcome(halves) == expected


def test_the_preface_may_come_in_pieces() -> None:
    peer = Peer(METHODS, settled=False)
    for octet in PREFACE + settings():
        peer.send(bytes([octet]))
    peer.send(peer.call(1, UNARY.path, b"x"))
    assert peer.answers[1].messages == [b"x"]


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n\r\n", b"P", PREFACE[:-1] + b"x", b"\x16\x03\x01"])
def test_what_is_not_http_2_is_refused(start: bytes) -> None:
    peer = Peer(METHODS, settled=False)
    peer.send(start)
    if start == b"P":
        assert not peer.connection.closed
        peer.send(b"OST / HTTP/1.1\r\n")
    assert (peer.error, peer.connection.closed) == (PROTOCOL_ERROR, True)


def block_of(*fields: tuple[str, str]) -> bytes:
    return Peer(METHODS).encoder.encode(list(fields))


GOOD = block_of(*request(UNARY.path))


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        (FRAME_SIZE_ERROR, frame(DATA, 0, 1, bytes(16_385))),
        (PROTOCOL_ERROR, frame(DATA, 0, 0, b"x")),
        (PROTOCOL_ERROR, frame(DATA, 0, 1, b"x")),
        (PROTOCOL_ERROR, frame(DATA, 0, 2, b"x")),
        (PROTOCOL_ERROR, frame(HEADERS, END_HEADERS, 0, GOOD)),
        (PROTOCOL_ERROR, frame(HEADERS, END_HEADERS, 2, GOOD)),
        (PROTOCOL_ERROR, frame(HEADERS, END_HEADERS | PADDED, 1, b"")),
        (PROTOCOL_ERROR, frame(HEADERS, END_HEADERS | PADDED, 1, b"\x05GOOD")),
        (FRAME_SIZE_ERROR, frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, b"1234")),
        (PROTOCOL_ERROR, frame(HEADERS, 0, 1, GOOD) + frame(DATA, 0, 1, b"x")),
        (PROTOCOL_ERROR, frame(HEADERS, 0, 1, GOOD) + frame(CONTINUATION, 0, 3, b"")),
        (PROTOCOL_ERROR, frame(HEADERS, 0, 1, GOOD) + frame(99)),
        (PROTOCOL_ERROR, frame(CONTINUATION, END_HEADERS, 1, GOOD)),
        (ENHANCE_YOUR_CALM, frame(HEADERS, 0, 1, bytes(16_384)) + frame(CONTINUATION, 0, 1, b"x")),
        (COMPRESSION_ERROR, frame(HEADERS, END_HEADERS, 1, b"\xbe")),  # an index into a table that has no room
        (COMPRESSION_ERROR, frame(HEADERS, END_HEADERS, 1, b"\x80")),
        (COMPRESSION_ERROR, frame(HEADERS, END_HEADERS, 1, b"\x3f\xe1\x1f")),  # a table of 4,096 bytes
        (COMPRESSION_ERROR, frame(HEADERS, END_HEADERS, 1, GOOD[:-1])),
        (COMPRESSION_ERROR, frame(HEADERS, END_HEADERS, 1, b"\x00\x7f" + b"\xff" * 12)),
        (COMPRESSION_ERROR, frame(HEADERS, END_HEADERS, 1, b"\x04\x81\x00")),  # `:path` in broken Huffman code
        (PROTOCOL_ERROR, frame(PRIORITY, 0, 0, bytes(5))),
        (FRAME_SIZE_ERROR, frame(PRIORITY, 0, 1, bytes(4))),
        (PROTOCOL_ERROR, frame(RST_STREAM, 0, 1, bytes(4))),
        (PROTOCOL_ERROR, frame(RST_STREAM, 0, 0, bytes(4))),
        (FRAME_SIZE_ERROR, frame(RST_STREAM, 0, 1, bytes(3))),
        (PROTOCOL_ERROR, frame(SETTINGS, 0, 1)),
        (FRAME_SIZE_ERROR, frame(SETTINGS, 0, 0, bytes(7))),
        (FRAME_SIZE_ERROR, frame(SETTINGS, ACK, 0, bytes(6))),
        (FLOW_CONTROL_ERROR, settings(window=2**31)),
        (PROTOCOL_ERROR, settings(frame=16_383)),
        (PROTOCOL_ERROR, settings(frame=2**24)),
        (PROTOCOL_ERROR, settings(push=2)),
        (PROTOCOL_ERROR, frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4))),
        (PROTOCOL_ERROR, frame(PING, 0, 1, bytes(8))),
        (FRAME_SIZE_ERROR, frame(PING, 0, 0, bytes(7))),
        (PROTOCOL_ERROR, frame(GOAWAY, 0, 1, bytes(8))),
        (FRAME_SIZE_ERROR, frame(GOAWAY, 0, 0, bytes(7))),
        (FRAME_SIZE_ERROR, frame(WINDOW_UPDATE, 0, 0, bytes(3))),
        (FLOW_CONTROL_ERROR, window_update(0, 0)),
        (FLOW_CONTROL_ERROR, window_update(0, 2**31 - 1)),
        (PROTOCOL_ERROR, window_update(1, 1)),
    ],
)
def test_what_costs_the_connection(peer: Peer, code: int, sent: bytes) -> None:
    peer.send(sent)
    assert (peer.error, peer.connection.closed) == (code, True)
    assert not peer.connection.streams
    count = len(peer.frames)
    peer.send(frame(PING, 0, 0, bytes(8)))
    assert len(peer.frames) == count


def test_settings_come_first() -> None:
    for first in (frame(PING, 0, 0, bytes(8)), frame(SETTINGS, ACK)):
        peer = Peer(METHODS, settled=False)
        peer.send(PREFACE, first)
        assert peer.connection.closed


WITHOUT_PATH = [field for field in request(UNARY.path) if field[0] != ":path"]


@pytest.mark.parametrize(
    "fields",
    [
        WITHOUT_PATH,
        [*request(UNARY.path), (":path", "/")],
        [(":path", "/"), *request(UNARY.path)],
        [(":status", "200"), *request(UNARY.path)],
        [*request(UNARY.path), ("X-Upper", "1")],
        [*request(UNARY.path), ("connection", "close")],
        [*request(UNARY.path), ("", "1")],
    ],
)
def test_malformed_requests_cost_their_stream(peer: Peer, fields: list[tuple[str, str]]) -> None:
    peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, peer.encoder.encode(fields)))
    assert peer.answers[1].reset == PROTOCOL_ERROR
    peer.send(peer.call(3, UNARY.path, b"next"))
    assert peer.answers[3].messages == [b"next"]


WAITS = settings(window=0) + Peer(METHODS).call(1, UNARY.path, b"waits for a window")
TALKS = Peer(METHODS).open(1, STREAM.path)


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        (STREAM_CLOSED, WAITS + frame(DATA, 0, 1, b"x")),
        (STREAM_CLOSED, WAITS + frame(HEADERS, END_HEADERS | END_STREAM, 1, GOOD)),
        (PROTOCOL_ERROR, TALKS + frame(HEADERS, END_HEADERS, 1, GOOD)),  # trailers that end nothing
        (FLOW_CONTROL_ERROR, TALKS + window_update(1, 2**31 - 1)),
        (FLOW_CONTROL_ERROR, TALKS + window_update(1, 0)),
    ],
)
def test_what_costs_a_stream(peer: Peer, code: int, sent: bytes) -> None:
    peer.send(sent)
    assert (peer.answers[1].reset, peer.error) == (code, None)
    assert not peer.connection.streams
    peer.send(settings(window=1000), peer.call(3, UNARY.path, b"next"))
    assert peer.answers[3].messages == [b"next"]


def test_the_peers_windows_are_kept(peer: Peer) -> None:
    text = bytes(range(256)) * 400
    framed = message(text)
    peer.send(settings(window=1000), peer.open(1, UNARY.path))
    for at in range(0, len(framed), 16_000):
        peer.send(frame(DATA, END_STREAM if at + 16_000 >= len(framed) else 0, 1, framed[at : at + 16_000]))
    answer = peer.answers[1]
    assert len(answer.data) == 1000
    peer.send(window_update(1, 500))
    assert len(answer.data) == 1500
    peer.send(settings(window=200))  # 800 less than the stream had: below zero
    peer.send(window_update(1, 700))
    assert len(answer.data) == 1500
    peer.send(window_update(1, 101))
    assert len(answer.data) == 1501
    peer.send(window_update(1, 2**20))
    assert len(answer.data) == 65_535  # the connection's
    peer.send(peer.call(3, UNARY.path, b"queued"))
    assert peer.answers[3].data == b""
    assert peer.answers[3].blocks
    peer.send(window_update(0, 2**20))
    assert (answer.messages, answer.status) == ([text], 0)
    assert (peer.answers[3].messages, peer.answers[3].status) == ([b"queued"], 0)
    assert not peer.connection.streams


def test_the_peers_frame_size_is_kept(peer: Peer) -> None:
    text = bytes(50_000)
    framed = message(text)
    pieces = [framed[at : at + 16_384] for at in range(0, len(framed), 16_384)]
    for stream, size in ((1, 16_384), (3, 20_000), (5, 2**24 - 1)):
        peer.send(settings(frame=size), window_update(0, 2**20))
        peer.send(peer.open(stream, STREAM.path), *(frame(DATA, 0, stream, piece) for piece in pieces))
        sizes = [len(payload) for kind, _, number, payload in peer.frames if (kind, number) == (DATA, stream)]
        assert sizes == [min(size, len(framed) - at) for at in range(0, len(framed), size)]
        assert peer.answers[stream].messages == [text]


def test_our_windows_are_opened_again() -> None:
    peer = Peer(METHODS, SMALL)
    peer.send(window_update(0, 2**24), settings(window=2**24), peer.open(1, STREAM.path))
    for _ in range(20):
        peer.send(frame(DATA, 0, 1, message(bytes(16_000))))
    assert len(peer.answers[1].messages) == 20
    opened = {0: 0, 1: 0}
    for kind, _, stream, payload in peer.frames:
        if kind == WINDOW_UPDATE:
            opened[stream] += int.from_bytes(payload, "big")
    sent = 20 * 16_005
    assert sent - SMALL.connection_window // 2 <= opened[0] <= sent
    assert sent - SMALL.stream_window // 2 <= opened[1] <= sent


@pytest.mark.parametrize(("stream", "count"), [(True, 5), (False, 7)])
def test_our_windows_are_limits(stream: bool, count: int) -> None:
    peer = Peer(METHODS, SMALL)
    peer.send(settings(window=0))  # nothing can be answered, so nothing more is taken
    peer.send(*(peer.open(number, STREAM.path) for number in (1, 3)))
    blocks = frame(DATA, 0, 1, message(bytes(16_000))) * count
    peer.send(blocks)
    assert peer.answers[1].reset == FLOW_CONTROL_ERROR
    assert peer.error is None


def test_data_for_streams_that_are_over_counts_for_the_connection() -> None:
    peer = Peer(METHODS, SMALL)
    peer.send(peer.open(1, STREAM.path), frame(DATA, 0, 1, message(b"stop")))
    for _ in range(50):
        peer.send(frame(DATA, 0, 1, bytes(10_000)))
    assert peer.error is None
    opened = sum(int.from_bytes(payload, "big") for kind, _, number, payload in peer.frames
                 if (kind, number) == (WINDOW_UPDATE, 0))  # fmt: skip
    assert opened >= 450_000


def test_too_many_streams_are_refused() -> None:
    peer = Peer(METHODS, SMALL)
    peer.send(*(peer.open(number, STREAM.path) for number in (1, 3, 5, 7)))
    assert peer.answers[7].reset == REFUSED_STREAM
    peer.send(frame(RST_STREAM, 0, 3, bytes(4)), peer.call(9, UNARY.path, b"x"))
    assert peer.answers[9].messages == [b"x"]


@pytest.mark.parametrize(
    "sent",
    [
        frame(PING, 0, 0, bytes(8)),
        settings(),
        frame(PRIORITY, 0, 1, bytes(5)),
        frame(77, 0, 0, b"unknown"),
        frame(DATA, 0, 1),
        window_update(1, 1),
    ],
)
def test_floods_end_the_connection(sent: bytes) -> None:
    peer = Peer(METHODS, SMALL)
    peer.send(peer.open(1, STREAM.path), sent * 50)
    assert peer.error is None
    peer.send(sent * 400)
    assert peer.error == ENHANCE_YOUR_CALM
    assert not peer.connection.streams


def test_opening_and_leaving_at_once_ends_the_connection() -> None:
    peer = Peer(METHODS, SMALL)
    for number in range(1, 400, 2):
        peer.send(peer.open(number, STREAM.path), frame(RST_STREAM, 0, number, bytes(4)))
        if peer.error is not None:
            break
    assert peer.error == ENHANCE_YOUR_CALM
    assert 30 < number < 200


def test_many_calls_are_no_flood() -> None:
    peer = Peer(METHODS, SMALL)
    for number in range(1, 4000, 2):
        peer.send(peer.call(number, UNARY.path, b"x"), window_update(0, 7) if number % 40 == 1 else b"")
    assert peer.error is None
    assert all(answer.messages == [b"x"] for answer in peer.answers.values())


def test_a_paused_transport_gets_no_data() -> None:
    peer = Peer(METHODS)
    peer.connection.pause()
    peer.send(peer.call(1, UNARY.path, b"x"), frame(PING, 0, 0, bytes(8)))
    assert peer.answers[1].data == b""
    assert (PING, ACK, 0, bytes(8)) in peer.frames
    peer.connection.resume()
    peer.read()
    assert (peer.answers[1].messages, peer.answers[1].status) == ([b"x"], 0)


def test_a_drained_connection_ends_with_its_streams(peer: Peer) -> None:
    peer.send(peer.open(1, STREAM.path))
    peer.connection.drain()
    peer.read()
    first, ping = peer.frames
    assert (first[0], first[3][:4]) == (GOAWAY, struct.pack(">I", 2**31 - 1))
    peer.send(peer.call(3, UNARY.path, b"was on its way"))
    assert peer.answers[3].messages == [b"was on its way"]
    peer.send(frame(PING, ACK, 0, ping[3]))
    assert peer.frames[-1][0] == GOAWAY
    assert peer.frames[-1][3][:4] == struct.pack(">I", 3)
    peer.send(peer.call(5, UNARY.path, b"too late"))
    assert 5 not in peer.answers
    assert not peer.connection.closed
    peer.send(frame(DATA, 0, 1, message(b"one")), frame(DATA, 0, 1, message(b"stop")))
    assert (peer.answers[1].messages, peer.answers[1].status) == ([b"one", b"stop"], 0)
    assert peer.connection.closed
