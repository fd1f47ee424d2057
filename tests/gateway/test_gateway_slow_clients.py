"""Clients that take their time, to send or to read. None keeps more than a bounded piece of the gateway."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from guarded import guarded_gateway
from hyperframe.frame import DataFrame, HeadersFrame
from processes import MIB, assert_unharmed, identities, pss_bytes
from raw_http2 import http2_peer
from recorder import Recorder, recorder
from running_gateway import RunningGateway
from tenants import CHAT, Keys, chat
from wire import connection, head, post, read_reply

pytestmark = pytest.mark.alone

FLOOD = 2**30  # what the provider would send to somebody who reads
READERS = 8


@pytest.fixture(scope="module")
def provider() -> Iterator[Recorder]:
    with recorder() as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, provider: Recorder, keys: Keys) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("slow")
    with guarded_gateway(folder, provider, keys, headers_timeout="1s", request_timeout="2s") as running:
        yield running


@pytest.fixture(autouse=True)
async def unharmed(guarded: RunningGateway, provider: Recorder) -> AsyncIterator[None]:
    before = identities(guarded)
    provider.forget()
    yield
    assert_unharmed(guarded, before)


def headers_of(keys: Keys) -> dict[str, str]:
    return {"host": "gateway.test", "content-type": "application/json", "authorization": f"Bearer {keys.acme}"}


async def test_headers_that_trickle(guarded: RunningGateway, keys: Keys) -> None:
    async with connection(guarded.http) as (reader, writer):
        answer = asyncio.create_task(read_reply(reader))
        with contextlib.suppress(ConnectionError):
            for byte in head("GET", "/v1/models", {**headers_of(keys), "x-slow": "x" * 500}):
                if answer.done():
                    break
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)
        reply = await answer
    assert (reply.status, reply.json["error"]["code"]) == (408, "request_timeout")
    assert reply.headers["x-headgate-error-source"] == "gateway"


@pytest.mark.parametrize("with_length", [True, False])
async def test_a_body_that_does_not_end(
    guarded: RunningGateway, keys: Keys, provider: Recorder, with_length: bool
) -> None:
    framing = {"content-length": "1000"} if with_length else {"transfer-encoding": "chunked"}
    async with connection(guarded.http) as (reader, writer):
        writer.write(head("POST", CHAT, {**headers_of(keys), **framing}))
        answer = asyncio.create_task(read_reply(reader))
        with contextlib.suppress(ConnectionError):
            while not answer.done():  # never silent, never done
                writer.write(b" " if with_length else b"1\r\n \r\n")
                await writer.drain()
                await asyncio.sleep(0.1)
        reply = await answer
    assert (reply.status, reply.json["error"]["code"]) == (408, "request_timeout")
    assert provider.requests == []


async def test_a_body_that_does_not_end_over_http2(guarded: RunningGateway, keys: Keys, provider: Recorder) -> None:
    async with http2_peer(guarded.http) as peer:
        pairs = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", CHAT)]
        await peer.send(peer.headers(1, [*pairs, *list(headers_of(keys).items())[1:]], "END_HEADERS"))
        reply = await peer.until(HeadersFrame, 1)
        assert isinstance(reply, HeadersFrame)
    assert provider.requests == []


async def test_who_reads_nothing_holds_little(guarded: RunningGateway, keys: Keys, provider: Recorder) -> None:
    """The provider is held up as well, and the stream is given up after the model's idle time."""
    body = json.dumps(chat("restless", stream=True) | {"flood": FLOOD}).encode()
    before, taken = pss_bytes(guarded, ""), provider.flooded_bytes
    async with contextlib.AsyncExitStack() as opened:
        for _ in range(READERS):
            reader, writer = await opened.enter_async_context(connection(guarded.http))
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(post(CHAT, body, headers_of(keys)))
        grown = 0
        for _ in range(60):
            await asyncio.sleep(0.1)
            grown = max(grown, await asyncio.to_thread(pss_bytes, guarded, "") - before)
        assert len(provider.requests) == READERS
        # Envoy's buffers on both sides, and the kernel's of four sockets.
        assert provider.flooded_bytes - taken < READERS * 40 * MIB
        assert grown < READERS * 8 * MIB + 40 * MIB, f"{grown / MIB:.0f} MiB"
        ends = [line for line in guarded.spool.all() if line["type"] == "end" and line["model"] == "restless"]
        assert len(ends) == READERS  # given up, although every client is still there


async def test_who_opens_no_window_holds_little(guarded: RunningGateway, keys: Keys, provider: Recorder) -> None:
    """HTTP/2: the connection is read, the streams have no room."""
    body = json.dumps(chat("restless", stream=True) | {"flood": FLOOD}).encode()
    pairs = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", CHAT)]
    pairs += list(headers_of(keys).items())[1:]
    before, taken = pss_bytes(guarded, "envoy"), provider.flooded_bytes
    async with http2_peer(guarded.http, settings={4: 0}) as peer:  # INITIAL_WINDOW_SIZE
        for number in range(READERS):
            stream = 2 * number + 1
            await peer.send(
                peer.headers(stream, pairs, "END_HEADERS"), DataFrame(stream, data=body, flags=["END_STREAM"])
            )
        await peer.read(5)
        grown = pss_bytes(guarded, "envoy") - before
        received = [frame for frame in peer.frames if isinstance(frame, DataFrame) and frame.data]
    assert received == []
    assert provider.flooded_bytes - taken < READERS * 40 * MIB
    assert grown < READERS * 8 * MIB + 40 * MIB, f"{grown / MIB:.0f} MiB"


async def test_idle_connections_cost_next_to_nothing(guarded: RunningGateway, keys: Keys) -> None:
    before = pss_bytes(guarded, "envoy")
    async with contextlib.AsyncExitStack() as opened:
        for _ in range(500):
            await opened.enter_async_context(connection(guarded.http))
        assert pss_bytes(guarded, "envoy") - before < 50 * MIB
        reply = await asyncio.to_thread(guarded.post, CHAT, chat(), keys.acme)
        assert reply.status_code == 200
