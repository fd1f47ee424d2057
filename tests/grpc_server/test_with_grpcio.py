"""Against grpcio's client, over real sockets and on the workers' event loop."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from raw_peer import METHODS, PREFACE, SETTINGS, STREAM, UNARY, Peer, frame

from headgate.grpc_server import CallFailed, Limits, Method, Server, Status

OPTIONS = [
    ("grpc.max_receive_message_length", 2**30),
    ("grpc.max_send_message_length", 2**30),
    ("grpc.use_local_subchannel_pool", 1),  # no test meets the connections of another one
]
MIB = 2**20


class Slow:
    """Handlers that take their time."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def unary(self, text: bytes, _call: object = None) -> bytes:
        self.began.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return text

    async def on_message(self, text: bytes) -> tuple[bytes, bool]:
        return await self.unary(text), False


async def refuse(_text: bytes, _call: object) -> bytes:
    raise CallFailed(Status.UNAVAILABLE, "come back, später")


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def server(slow: Slow) -> AsyncIterator[Server]:
    own = [
        Method("test.Slow", "Unary", slow.unary, bytes, streams=False),
        Method("test.Slow", "Stream", lambda _call: slow, bytes, streams=True),
        Method("test.Slow", "Refuse", refuse, bytes, streams=False),
    ]
    server = Server([*METHODS, *own], Limits(message_bytes=34 * MIB))
    yield server
    await server.close(0)


@pytest.fixture(params=["unix", "tcp"])
async def address(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> str:
    monkeypatch.chdir(tmp_path)
    return await server.listen("unix:worker.sock" if request.param == "unix" else "127.0.0.1:0")


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        yield channel


def unary(channel: grpc.aio.Channel, path: str = UNARY.path) -> Callable[..., Awaitable[bytes]]:
    return channel.unary_unary(path)


async def test_unary(channel: grpc.aio.Channel) -> None:
    assert await unary(channel)(b"hello") == b"hello"
    assert await unary(channel)(b"header x-mine", metadata=[("x-mine", "yes")]) == b"yes"
    assert await unary(channel)(b"") == b""


@pytest.mark.parametrize("size", [1, 5, 16_379, 16_380, 16_384, 70_000, MIB, 33 * MIB])
async def test_messages_of_any_size(channel: grpc.aio.Channel, size: int) -> None:
    text = os.urandom(min(size, 2**16)) * (size // 2**16) or os.urandom(size)
    assert await unary(channel)(text) == text
    call = channel.stream_stream(STREAM.path)()
    for _ in range(2):
        await call.write(text)
        assert await call.read() == text
    await call.write(b"stop")
    assert await call.read() == b"stop"
    assert await call.read() == grpc.aio.EOF
    assert await call.code() == grpc.StatusCode.OK


async def test_a_message_above_the_limit(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await unary(channel)(bytes(34 * MIB + 1))
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await unary(channel)(b"next") == b"next"


async def test_many_calls_at_once(channel: grpc.aio.Channel) -> None:
    async def talk(number: int) -> None:
        call = channel.stream_stream(STREAM.path)()
        texts = [f"{number} {turn}".encode() * (number % 50 + 1) for turn in range(5)]
        for text in texts:
            await call.write(text)
        assert [await call.read() for _ in texts] == texts
        await call.done_writing()
        assert await call.read() == grpc.aio.EOF

    async def ask(number: int) -> None:
        text = str(number).encode() * number
        assert await unary(channel)(text) == text

    await asyncio.gather(*(work(number) for number in range(400) for work in (talk, ask)))


async def test_large_messages_share_a_connection_with_small_ones(channel: grpc.aio.Channel) -> None:
    large, small = os.urandom(MIB) * 8, unary(channel)
    waiting = [asyncio.ensure_future(unary(channel)(large)) for _ in range(4)]
    for number in range(50):
        assert await small(str(number).encode()) == str(number).encode()
    assert await asyncio.gather(*waiting) == [large] * 4


@pytest.mark.parametrize(
    ("path", "text", "code", "details"),
    [
        ("/test.Service/Nope", b"", grpc.StatusCode.UNIMPLEMENTED, "unknown method"),
        (UNARY.path, b"fail", grpc.StatusCode.INTERNAL, "the handler failed"),
        ("/test.Slow/Refuse", b"", grpc.StatusCode.UNAVAILABLE, "come back, später"),
    ],
)
async def test_errors(channel: grpc.aio.Channel, path: str, text: bytes, code: grpc.StatusCode, details: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await unary(channel, path)(text)
    assert (raised.value.code(), raised.value.details()) == (code, details)
    assert await unary(channel)(b"next") == b"next"


async def test_an_error_after_replies(channel: grpc.aio.Channel) -> None:
    call = channel.stream_stream(STREAM.path)()
    await call.write(b"one")
    assert await call.read() == b"one"
    await call.write(b"fail")
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()
    assert await call.code() == grpc.StatusCode.INTERNAL


async def test_compressed_messages_are_refused(address: str) -> None:
    async with grpc.aio.insecure_channel(address, OPTIONS, compression=grpc.Compression.Gzip) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await unary(channel)(bytes(10_000))
        assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_client_that_cancels(channel: grpc.aio.Channel, slow: Slow) -> None:
    call = channel.unary_unary("/test.Slow/Unary")(b"x")
    await slow.began.wait()
    call.cancel()
    await asyncio.wait_for(slow.cancelled.wait(), 60)
    assert await unary(channel)(b"next") == b"next"


async def test_a_deadline_of_the_client(channel: grpc.aio.Channel, slow: Slow) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary("/test.Slow/Unary")(b"x", timeout=0.1)
    assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(slow.cancelled.wait(), 60)


async def test_a_client_that_goes_away(address: str, slow: Slow, server: Server) -> None:
    peer = Peer([], settled=False)
    async with connected(address) as (_, writer):
        writer.write(PREFACE + frame(SETTINGS) + peer.call(1, "/test.Slow/Stream", b"x"))
        await slow.began.wait()
    await asyncio.wait_for(slow.cancelled.wait(), 60)
    await nobody_is_left(server)


async def test_calls_in_flight_end_before_the_server_does(
    channel: grpc.aio.Channel, slow: Slow, server: Server
) -> None:
    one = asyncio.ensure_future(unary(channel, "/test.Slow/Unary")(b"one"))
    call = channel.stream_stream(STREAM.path)()
    await call.write(b"x")
    assert await call.read() == b"x"
    await slow.began.wait()
    closing = asyncio.ensure_future(server.close(10))
    await asyncio.sleep(0.05)
    assert not closing.done()
    slow.go.set()
    assert await one == b"one"
    await call.write(b"still here")
    assert await call.read() == b"still here"
    assert not closing.done()
    await call.write(b"stop")
    assert await call.read() == b"stop"
    await asyncio.wait_for(closing, 60)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await unary(channel)(b"x", timeout=1)
    assert raised.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_calls_that_outlast_the_drain_are_cut_off(
    channel: grpc.aio.Channel, slow: Slow, server: Server
) -> None:
    call = asyncio.ensure_future(unary(channel, "/test.Slow/Unary")(b"one"))
    await slow.began.wait()
    await asyncio.wait_for(server.close(0.1), 60)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    assert slow.cancelled.is_set()
    assert not server._peers


async def test_an_idle_server_closes_at_once(channel: grpc.aio.Channel, server: Server) -> None:
    assert await unary(channel)(b"x") == b"x"
    await asyncio.wait_for(server.close(300), 60)


async def nobody_is_left(server: Server) -> None:
    async with asyncio.timeout(60):
        while server._peers:  # noqa: ASYNC110 - only a test wants to know
            await asyncio.sleep(0.01)


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(rest)
    else:
        reader, writer = await asyncio.open_connection(scheme, int(rest))
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_a_client_that_breaks_the_rules_costs_only_itself(channel: grpc.aio.Channel, address: str) -> None:
    assert await unary(channel)(b"before") == b"before"
    async with connected(address) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(-1), 60))[-8:] == struct.pack(">II", 0, 1)
    async with connected(address) as (reader, writer):
        writer.write(PREFACE + frame(SETTINGS) + frame(SETTINGS, 0, 1))
        assert (await asyncio.wait_for(reader.read(-1), 60))[-8:] == struct.pack(">II", 0, 1)
    assert await unary(channel)(b"after") == b"after"


async def test_a_client_that_does_not_read_is_not_read(address: str, server: Server) -> None:
    """Answers to pings pile up in its socket, then in ours, and then it has to wait."""
    async with connected(address) as (_, writer):
        writer.write(PREFACE + frame(SETTINGS))
        ping = frame(6, 0, 0, bytes(8))
        writer.transport.set_write_buffer_limits(high=0)  # type: ignore[attr-defined]
        sent = 0
        try:
            async with asyncio.timeout(60):
                while server._peers or not sent:
                    writer.write(ping * 500)
                    await asyncio.wait_for(writer.drain(), 1)
                    sent += 500
        except (TimeoutError, ConnectionError):
            pass
        assert sent < 200_000


async def test_a_socket_that_says_nothing_is_closed(
    address: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.grpc_server.server._PREFACE_WITHIN_S", 0.1)
    async with connected(address) as (reader, _):
        await asyncio.wait_for(reader.read(-1), 60)
    await nobody_is_left(server)


async def test_addresses(server: Server) -> None:
    for host in ("127.0.0.1", "[::1]") if socket.has_ipv6 else ("127.0.0.1",):
        address = await server.listen(f"{host}:0")
        async with grpc.aio.insecure_channel(address, OPTIONS) as channel:
            assert await unary(channel)(host.encode()) == host.encode()
