"""gRPC on the wire: messages however they are cut, status and its text, handlers that wait."""

import asyncio
import itertools
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_peer import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    METHODS,
    RST_STREAM,
    STREAM,
    UNARY,
    WINDOW_UPDATE,
    Peer,
    frame,
    message,
    request,
)
from raw_peer import settings as settings_frame

from headgate.grpc_server import CallFailed, Limits, Method, Status

INTERNAL, UNIMPLEMENTED, RESOURCE_EXHAUSTED = 13, 12, 8


@pytest.fixture
def peer() -> Peer:
    return Peer(METHODS)


@given(data=st.data(), texts=st.lists(st.binary(max_size=40), max_size=5))
def test_messages_and_frames_need_not_coincide(data: Any, texts: list[bytes]) -> None:
    texts = [text for text in texts if text not in (b"fail", b"stop", b"none")]
    peer = Peer(METHODS)
    framed = b"".join(map(message, texts))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(framed)), max_size=6)))
    pieces = [framed[start:end] for start, end in zip([0, *cuts], [*cuts, len(framed)], strict=True)]
    peer.send(peer.open(1, STREAM.path), *(frame(DATA, 0, 1, piece) for piece in pieces))
    assert peer.answers.get(1) is None or peer.answers[1].messages == texts
    peer.send(frame(DATA, END_STREAM, 1))
    assert (peer.answers[1].messages, peer.answers[1].status) == (texts, 0)


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (INTERNAL, b""),
        (INTERNAL, message(b"hello")[:-1]),
        (INTERNAL, message(b"hello")[:3]),
        (INTERNAL, message(b"one") + message(b"two")),
        (UNIMPLEMENTED, message(b"hello", compressed=1)),
        (RESOURCE_EXHAUSTED, message(b"x" * 1001)),
        (RESOURCE_EXHAUSTED, message(b"x" * 5000)[:5]),
        (INTERNAL, message(b"fail")),
    ],
)
def test_unary_calls_that_fail(status: int, sent: bytes) -> None:
    peer = Peer(METHODS, Limits(message_bytes=1000))
    peer.send(peer.open(1, UNARY.path), frame(DATA, END_STREAM, 1, sent))
    assert peer.answers[1].status == status
    assert len(peer.answers[1].blocks) == 1  # trailers alone
    assert peer.answers[1].blocks[0][":status"] == "200"
    peer.send(peer.call(3, UNARY.path, b"next"))
    assert peer.answers[3].messages == [b"next"]


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (INTERNAL, frame(DATA, END_STREAM, 1, b"\0\0\0")),
        (UNIMPLEMENTED, frame(DATA, 0, 1, b"\1")  + frame(DATA, 0, 1, bytes(4))),
        (RESOURCE_EXHAUSTED, frame(DATA, 0, 1, b"\0\0\1\0\0")),
        (INTERNAL, frame(DATA, 0, 1, message(b"fail"))),
    ],
)  # fmt: skip
def test_conversations_that_fail(status: int, sent: bytes) -> None:
    peer = Peer(METHODS, Limits(message_bytes=1000))
    peer.send(peer.open(1, STREAM.path), frame(DATA, 0, 1, message(b"one")), sent, frame(DATA, 0, 1, message(b"two")))
    answer = peer.answers[1]
    assert (answer.messages, answer.status) == ([b"one"], status)
    assert len(answer.blocks) == 2
    assert not peer.connection.streams


def test_unknown_methods(peer: Peer) -> None:
    for number, path in ((1, "/test.Service/Nope"), (3, "/"), (5, UNARY.path + "/")):
        peer.send(peer.call(number, path, b"x"))
        assert peer.answers[number].status == UNIMPLEMENTED
    peer.send(peer.open(7, "/test.Service/Nope"))
    assert (peer.answers[7].status, peer.answers[7].reset) == (UNIMPLEMENTED, 0)


@pytest.mark.parametrize(
    ("status", "name", "value"), [("405", ":method", "GET"), ("415", "content-type", "text/plain")]
)
def test_what_is_no_grpc(peer: Peer, status: str, name: str, value: str) -> None:
    fields = [(field, value if field == name else other) for field, other in request(UNARY.path)]
    peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, peer.encoder.encode(fields)))
    assert peer.answers[1].blocks[0][":status"] == status
    assert peer.answers[1].ended


@pytest.mark.parametrize(
    ("text", "written"),
    [("all is well", "all is well"), ("100 %", "100 %25"), ("naïve\n", "na%C3%AFve%0A"), ("\ud800", "?")],
)
def test_the_text_of_a_status(text: str, written: str) -> None:
    def refuse(_request: bytes, _call: object) -> bytes:
        raise CallFailed(Status.UNAVAILABLE, text)

    method = Method("t", "m", refuse, bytes, streams=False)
    peer = Peer([method])
    peer.send(peer.call(1, method.path, b""))
    assert (peer.answers[1].status, peer.answers[1].blocks[0]["grpc-message"]) == (14, written)


def test_a_bug_is_logged_without_what_it_says(peer: Peer) -> None:
    with structlog.testing.capture_logs() as logs:
        peer.send(peer.call(1, UNARY.path, b"fail"))
    (line,) = logs
    assert (line["event"], line["method"], line["error"]) == ("call failed", UNARY.path, "ValueError")
    assert line["at"][-1].startswith("raw_peer.py:")
    assert "secret" not in str(logs)
    assert "secret" not in str(peer.answers)


def test_metadata(peer: Peer) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for number in range(1, 20, 2):
        peer.send(peer.call(number, UNARY.path, b"header traceparent", traceparent=f"{parent}{number}"))
        assert peer.answers[number].messages == [f"{parent}{number}".encode()]


class Waiting:
    """Handlers that answer when they are told to."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.seen: list[bytes] = []
        self.cancelled = 0

    async def unary(self, text: bytes, _call: object = None) -> bytes:
        self.seen.append(text)
        try:
            told = await self.told.get()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(told, Exception):
            raise told
        return text + told

    async def on_message(self, text: bytes) -> tuple[bytes, bool]:
        return await self.unary(text), text == b"stop"


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def waiter(waiting: Waiting) -> Peer:
    unary = Method("t", "u", waiting.unary, bytes, streams=False)
    return Peer([unary, Method("t", "s", lambda _call: waiting, bytes, streams=True)])


async def turn(peer: Peer) -> None:
    for _ in range(5):
        await asyncio.sleep(0)
    peer.read()


async def test_a_handler_may_wait(waiter: Peer, waiting: Waiting) -> None:
    waiter.send(waiter.call(1, "/t/u", b"a"), waiter.call(3, "/t/u", b"b"))
    await turn(waiter)
    assert 1 not in waiter.answers
    for told in (b"1", b"2"):
        waiting.told.put_nowait(told)
    await turn(waiter)
    assert [waiter.answers[number].messages for number in (1, 3)] == [[b"a1"], [b"b2"]]
    assert not waiter.connection.streams


async def test_messages_wait_for_the_answer_to_the_one_before(waiter: Peer, waiting: Waiting) -> None:
    sent = [frame(DATA, 0, 1, message(text)) for text in (b"a", b"b", b"stop", b"late")]
    waiter.send(waiter.open(1, "/t/s"), *sent)
    for count in (1, 2, 3):
        await turn(waiter)
        assert len(waiting.seen) == count
        waiting.told.put_nowait(b"!")
    await turn(waiter)
    answer = waiter.answers[1]
    assert (answer.messages, answer.status, answer.reset) == ([b"a!", b"b!", b"stop!"], 0, 0)
    assert waiting.seen == [b"a", b"b", b"stop"]


async def test_the_clients_end_waits_for_the_answer(waiter: Peer, waiting: Waiting) -> None:
    waiter.send(waiter.open(1, "/t/s"), frame(DATA, END_STREAM, 1, message(b"a")))
    await turn(waiter)
    waiting.told.put_nowait(b"!")
    await turn(waiter)
    assert (waiter.answers[1].messages, waiter.answers[1].status) == ([b"a!"], 0)


@pytest.mark.parametrize("path", ["/t/u", "/t/s"])
@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("secret"), INTERNAL), (CallFailed(Status.UNAVAILABLE, "no"), 14), (asyncio.CancelledError(), 1)],
)
async def test_waiting_handlers_that_fail(
    waiter: Peer, waiting: Waiting, path: str, error: Exception, status: int
) -> None:
    waiter.send(waiter.call(1, path, b"a"))
    await turn(waiter)
    if isinstance(error, asyncio.CancelledError):
        waiting.told.get = lambda: _raise(error)  # type: ignore[method-assign]
        waiter.send(waiter.call(3, path, b"b"))
        await turn(waiter)
        assert waiter.answers[3].status == status
    else:
        waiting.told.put_nowait(error)
        await turn(waiter)
        assert waiter.answers[1].status == status


async def _raise(error: BaseException) -> bytes:
    raise error


@pytest.mark.parametrize("path", ["/t/u", "/t/s"])
async def test_a_reset_cancels_the_handler(waiter: Peer, waiting: Waiting, path: str) -> None:
    waiter.send(waiter.call(1, path, b"a"))
    await turn(waiter)
    waiter.send(frame(RST_STREAM, 0, 1, (8).to_bytes(4, "big")))
    await turn(waiter)
    assert (waiting.cancelled, waiter.connection.streams, waiter.answers) == (1, {}, {})


async def test_the_end_of_the_connection_cancels_all_handlers(waiter: Peer, waiting: Waiting) -> None:
    waiter.send(*(waiter.call(number, "/t/u", b"a") for number in range(1, 20, 2)))
    await turn(waiter)
    waiter.connection.lost()
    await turn(waiter)
    assert (waiting.cancelled, waiter.connection.streams) == (10, {})
    waiter.connection.lost()


async def test_a_waiting_conversation_takes_no_more_than_its_window() -> None:
    waiting = Waiting()
    limits = Limits(stream_window=65_535)
    peer = Peer([Method("t", "s", lambda _call: waiting, bytes, streams=True)], limits)
    peer.send(settings_frame(window=2**20))
    peer.send(peer.open(1, "/t/s"), *(frame(DATA, 0, 1, message(bytes(15_000))) for _ in range(4)))
    await turn(peer)
    assert not [entry for entry in peer.frames if entry[0] == WINDOW_UPDATE and entry[2] == 1]
    waiting.told.put_nowait(b"")
    await turn(peer)
    (update,) = [entry for entry in peer.frames if entry[0] == WINDOW_UPDATE and entry[2] == 1]
    assert int.from_bytes(update[3], "big") == 60_020
    peer.connection.lost()
    await turn(peer)


async def test_a_bad_message_ends_a_handler_that_waits(waiter: Peer, waiting: Waiting) -> None:
    waiter.send(waiter.open(1, "/t/s"), frame(DATA, 0, 1, message(b"a")))
    await turn(waiter)
    waiter.send(frame(DATA, 0, 1, message(b"b", compressed=1)))
    await turn(waiter)
    assert (waiter.answers[1].status, waiting.cancelled) == (UNIMPLEMENTED, 1)


KINDS = st.tuples(
    st.sampled_from([*range(11), 200]),
    st.integers(0, 255) | st.sampled_from([0, 1, 4, 5]),
    st.sampled_from([0, 1, 2, 3, 5, 7, 2**31 - 1, 2**31 + 1]),
    st.binary(max_size=60)
    | st.sampled_from([bytes(4), b"\0\0\0\1", bytes(5), bytes(8), message(b"x"), message(b"stop")])
    | st.builds(
        lambda path: Peer(METHODS).encoder.encode(request(path)), st.sampled_from([UNARY.path, STREAM.path, "/"])
    ),
)


@settings(max_examples=400)
@given(sent=st.lists(KINDS, max_size=30), cuts=st.lists(st.integers(0, 500), max_size=5))
def test_any_frames_are_taken_or_refused(sent: list[tuple[int, int, int, bytes]], cuts: list[int]) -> None:
    _survives(b"".join(frame(*entry) for entry in sent), cuts)


@settings(max_examples=200)
@given(data=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_any_bytes_are_taken_or_refused(data: bytes, cuts: list[int]) -> None:
    _survives(data, cuts)


def _survives(data: bytes, cuts: list[int]) -> None:
    with structlog.testing.capture_logs() as logs:
        peer = Peer(METHODS)
        at = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        for start, end in itertools.pairwise(at):
            peer.send(data[start:end])
        if peer.connection.closed:
            assert not peer.connection.streams
        else:
            _end_of_all_streams(peer)
        peer.connection.lost()
    assert not peer.connection.streams
    assert not [line for line in logs if line["log_level"] in ("error", "critical")], logs


def _end_of_all_streams(peer: Peer) -> None:
    """Whatever is open can be reset; nothing stays behind."""
    rest = len(peer.connection._rest)
    if rest or peer.connection._block is not None:
        return
    for number in list(peer.connection.streams):
        peer.send(frame(RST_STREAM, 0, number, bytes(4)))
    assert not peer.connection.streams
    assert not peer.connection._blocked
