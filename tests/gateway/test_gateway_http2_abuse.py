"""HTTP/2 clients that attack the protocol itself: their connection ends, everybody else's goes on."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from guarded import guarded_gateway
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from processes import MIB, assert_unharmed, identities, pss_bytes
from raw_http2 import Peer, http2_peer
from recorder import Recorder, recorder
from running_gateway import RunningGateway
from tenants import CHAT, Keys, chat

MANY = 20_000  # frames of a flood; each limit is far below


@pytest.fixture(scope="module")
def provider() -> Iterator[Recorder]:
    with recorder() as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, provider: Recorder, keys: Keys) -> Iterator[RunningGateway]:
    with guarded_gateway(tmp_path_factory.mktemp("http2"), provider, keys) as running:
        yield running


@pytest.fixture(autouse=True)
async def unharmed(guarded: RunningGateway, provider: Recorder, keys: Keys) -> AsyncIterator[None]:
    """No part is restarted, memory comes back, and an ordinary client is served."""
    before, memory = identities(guarded), pss_bytes(guarded, "envoy")
    provider.forget()
    yield
    assert_unharmed(guarded, before)
    assert pss_bytes(guarded, "envoy") < memory + 100 * MIB
    reply = await asyncio.to_thread(guarded.post, CHAT, chat(), keys.acme)
    assert reply.status_code == 200


def request(keys: Keys, *more: tuple[str, str], body: bool = True) -> list[tuple[str, str]]:
    return [
        (":method", "POST" if body else "GET"),
        (":scheme", "http"),
        (":authority", "gateway.test"),
        (":path", CHAT if body else "/v1/models"),
        ("authorization", f"Bearer {keys.acme}"),
        ("content-type", "application/json"),
        *more,
    ]


async def flood(peer: Peer, *frames: object, times: int = MANY) -> bool:
    """Send the same frames again and again; True when the other side ended it before all were sent."""
    piece = b"".join(frame.serialize() for frame in frames)  # type: ignore[attr-defined]
    try:
        for _ in range(0, times, 100):
            peer.writer.write(piece * 100)
            await asyncio.wait_for(peer.writer.drain(), 15)
    except (ConnectionError, TimeoutError):
        return True
    return False


async def assert_ended(peer: Peer) -> None:
    """The connection has an end, and not because we waited for it."""
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await peer.read_one()


async def test_an_orderly_client_as_a_measure(guarded: RunningGateway, keys: Keys, provider: Recorder) -> None:
    async with http2_peer(guarded.http) as peer:
        await peer.send(
            peer.headers(1, request(keys), "END_HEADERS"),
            DataFrame(1, data=json.dumps(chat()).encode(), flags=["END_STREAM"]),
        )
        await peer.until(DataFrame, 1)
    assert len(provider.requests) == 1


async def test_rapid_reset(guarded: RunningGateway, keys: Keys, provider: Recorder) -> None:
    """CVE-2023-44487: streams opened and taken back faster than they can be worked on."""
    body = json.dumps(chat()).encode()
    async with http2_peer(guarded.http) as peer:
        sent = 0
        with contextlib.suppress(ConnectionError):
            for number in range(5_000):
                stream = 2 * number + 1
                await peer.send(
                    peer.headers(stream, request(keys), "END_HEADERS"),
                    DataFrame(stream, data=body, flags=["END_STREAM"]),
                    RstStreamFrame(stream, error_code=8),
                )
                sent += 1
                if number % 200 == 0:
                    await asyncio.sleep(0)
        await assert_ended(peer)
    assert len(provider.requests) < 2_500


async def test_a_continuation_flood(guarded: RunningGateway, keys: Keys) -> None:
    async with http2_peer(guarded.http) as peer:
        await peer.send(peer.headers(1, request(keys)))  # without END_HEADERS
        await flood(peer, ContinuationFrame(1, data=peer.encoder.encode([("x-a", "b" * 100)])))
        await assert_ended(peer)


async def test_a_flood_of_empty_continuations(guarded: RunningGateway, keys: Keys) -> None:
    async with http2_peer(guarded.http) as peer:
        await peer.send(peer.headers(1, request(keys)))
        await flood(peer, ContinuationFrame(1, data=b""))
        await assert_ended(peer)


@pytest.mark.parametrize(
    "frame", [PingFrame(0, opaque_data=b"12345678"), SettingsFrame(0, settings={1: 4096})], ids=["ping", "settings"]
)
async def test_a_client_that_asks_and_reads_no_answer(guarded: RunningGateway, frame: object) -> None:
    async with http2_peer(guarded.http, receive_buffer=4096) as peer:
        peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
        assert await flood(peer, frame, times=1_000_000)


@pytest.mark.parametrize(
    "frame",
    [
        PriorityFrame(1, stream_weight=5),
        WindowUpdateFrame(1, window_increment=1),
        DataFrame(1, data=b""),
        HeadersFrame(1, data=b""),
    ],
    ids=["priority", "window", "empty data", "empty headers"],
)
async def test_frames_that_say_nothing(guarded: RunningGateway, keys: Keys, frame: object) -> None:
    async with http2_peer(guarded.http) as peer:
        await peer.send(peer.headers(1, request(keys), "END_HEADERS"))
        await flood(peer, frame)
        await assert_ended(peer)


async def test_a_header_table_bomb(guarded: RunningGateway, keys: Keys, provider: Recorder) -> None:
    """One large header, then thousands of references of one byte each."""
    async with http2_peer(guarded.http) as peer:
        first = peer.encoder.encode([*request(keys), ("x-bomb", "b" * 3_000)])
        for stream in (1, 3):
            await peer.send(HeadersFrame(stream, data=first + b"\xbe" * 12_000, flags=["END_HEADERS", "END_STREAM"]))
        await peer.read(3)
    assert provider.requests == []


async def test_more_streams_than_allowed(guarded: RunningGateway, keys: Keys) -> None:
    async with http2_peer(guarded.http) as peer:
        settings = await peer.until(SettingsFrame)
        assert isinstance(settings, SettingsFrame)
        limit = settings.settings[SettingsFrame.MAX_CONCURRENT_STREAMS]
        assert limit == 256
        with contextlib.suppress(ConnectionError):
            for number in range(limit + 50):  # bodies that never come
                await peer.send(peer.headers(2 * number + 1, request(keys), "END_HEADERS"))
        await peer.read(2)
        refused = {frame.stream_id for frame in peer.frames if isinstance(frame, RstStreamFrame)}
        assert peer.gave_up or len(refused) >= 50


async def test_windows_are_small(guarded: RunningGateway) -> None:
    """What one client can make the gateway hold before anybody has looked at it."""
    async with http2_peer(guarded.http) as peer:
        settings = await peer.until(SettingsFrame)
        assert isinstance(settings, SettingsFrame)
        assert settings.settings[SettingsFrame.INITIAL_WINDOW_SIZE] <= 2**18


INVALID = {
    "no path": [(":method", "GET"), (":scheme", "http"), (":authority", "x")],
    "no method": [(":scheme", "http"), (":authority", "x"), (":path", "/")],
    "two paths": [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/"), (":path", "/v1")],
    "an unknown pseudo-header": [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":x", "y")],
    "a pseudo-header after others": [(":method", "GET"), (":scheme", "http"), ("a", "b"), (":path", "/")],
    "capitals": [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/"), ("X-A", "b")],
    "connection": [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("connection", "close")],
    "transfer-encoding": [(":method", "POST"), (":scheme", "http"), (":path", "/"), ("transfer-encoding", "chunked")],
    "a line break in a value": [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("a", "b\r\nc: d")],
    "a line break in a name": [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("a\r\nc", "d")],
    "NUL": [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("a", "b\0")],
    "a space in a name": [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("a b", "c")],
    "an empty name": [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("", "c")],
    "a request in the method": [
        (":method", "GET / HTTP/1.1\r\na: b\r\n\r\nGET"),
        (":scheme", "http"),
        (":path", "/"),
    ],
    "a request in the path": [(":method", "GET"), (":scheme", "http"), (":path", "/ HTTP/1.1\r\na: b\r\n\r\n")],
}


@pytest.mark.parametrize("name", INVALID)
async def test_headers_that_http_1_would_read_otherwise(
    guarded: RunningGateway, keys: Keys, provider: Recorder, name: str
) -> None:
    async with http2_peer(guarded.http) as peer:
        pairs = [*INVALID[name], ("authorization", f"Bearer {keys.acme}")]
        await peer.send(peer.headers(1, pairs, "END_HEADERS", "END_STREAM"))
        await assert_refused(peer)
    assert provider.requests == []


async def assert_refused(peer: Peer) -> None:
    """A reset, a goodbye, the end, or an answer, which can only be an error: the provider is asked afterwards."""
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not isinstance(await peer.read_one(), RstStreamFrame | GoAwayFrame | HeadersFrame):
                pass


@pytest.mark.parametrize("length", ["5", "500", "-1", "x", "1, 2"])
async def test_a_length_that_the_frames_do_not_have(
    guarded: RunningGateway, keys: Keys, provider: Recorder, length: str
) -> None:
    async with http2_peer(guarded.http) as peer:
        await peer.send(
            peer.headers(1, request(keys, ("content-length", length)), "END_HEADERS"),
            DataFrame(1, data=json.dumps(chat()).encode(), flags=["END_STREAM"]),
        )
        await assert_refused(peer)
    assert provider.requests == []


async def test_what_is_no_http2(guarded: RunningGateway, provider: Recorder) -> None:
    for garbage in (
        b"\xff" * 100_000,
        b"\x00\x00\x00" * 50_000,
        b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"a" * 70_000,
    ):
        async with http2_peer(guarded.http) as peer:
            with contextlib.suppress(ConnectionError):
                peer.writer.write(garbage)
                await peer.writer.drain()
            await assert_ended(peer)
    assert provider.requests == []
