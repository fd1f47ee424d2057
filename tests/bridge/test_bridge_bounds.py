"""What bounds a connection, with the bridge in this process and a scripted Envoy behind it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.asyncio.server import unix_serve
from websockets.exceptions import ConnectionClosed

from headgate.bridge import bounds, client, request
from headgate.bridge.service import Bridge
from headgate.bridge.socket import Socket

MOST = 10_000
CREATED, COMPLETED = '{"type":"response.created"}', '{"type":"response.completed","response":{"id":"r"}}'


class Inner:
    """Answers requests as Envoy would: at once, or piece by piece as it is told."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.gone = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.events: Callable[[], list[str]] = lambda: [CREATED, COMPLETED]
        self.last_chunk = b"0\r\n\r\n"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].split()[0])
            self.bodies.append(json.loads(await reader.readexactly(length)))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            waits = asyncio.create_task(self.go_on.wait())
            leaves = asyncio.create_task(reader.read(1))
            await asyncio.wait({waits, leaves}, return_when=asyncio.FIRST_COMPLETED)
            waits.cancel()
            self.gone += leaves.done()
            for event in self.events():
                piece = f"data: {event}\n\n".encode()
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await writer.drain()
            writer.write(self.last_chunk)
            await writer.drain()
            leaves.cancel()
        writer.close()


@pytest.fixture
async def inner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Inner]:
    found = Inner()
    monkeypatch.setattr(request, "INNER_SOCKET", tmp_path / "inner")
    async with await asyncio.start_unix_server(found.answer, tmp_path / "inner"):
        yield found


@pytest.fixture
async def opened(inner: Inner, tmp_path: Path) -> AsyncIterator[Callable[[], Any]]:
    bridge = Bridge()
    options = {"process_request": bridge.admit, "create_connection": Socket, "compression": None, "max_queue": 2}
    fields = {"x-headgate-tenant": "acme", "x-headgate-max-body": str(MOST)}

    def connect() -> Any:
        return unix_connect(str(tmp_path / "bridge"), uri="ws://bridge/v1/responses", additional_headers=fields)

    async with unix_serve(bridge.serve, str(tmp_path / "bridge"), **options):  # type: ignore[arg-type]
        yield connect


def create(**body: Any) -> str:
    return json.dumps({"type": "response.create", "model": "m", **body})


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def code_of(socket: ClientConnection) -> int | None:
    """How the other side closes it; None for not at all. What it says before is read."""
    async with asyncio.timeout(60):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


async def event_of(socket: ClientConnection) -> Any:
    async with asyncio.timeout(60):
        return json.loads(await socket.recv())


async def test_what_waits_is_bounded(inner: Inner, opened: Any) -> None:
    inner.go_on.clear()
    async with opened() as socket:
        for _ in range(client.WAITING + client.RUNNING + 1):
            await socket.send(create())
        refusal = await event_of(socket)
        assert (refusal["status"], refusal["error"]["code"]) == (429, "websocket_queue_full")
        inner.go_on.set()
        kinds = [(await event_of(socket))["type"] for _ in range(2 * (client.WAITING + client.RUNNING))]
        assert kinds == ["response.created", "response.completed"] * (client.WAITING + client.RUNNING)
        inner.go_on.clear()
        for _ in range(3):
            await socket.send(create(input="x" * (MOST - 100)))
        assert (await event_of(socket))["error"]["code"] == "websocket_queue_full"


async def test_sixteen_lanes_run_at_once(inner: Inner, opened: Any) -> None:
    inner.go_on.clear()
    async with opened() as socket:
        for number in range(20):
            await socket.send(create(stream_id=f"lane-{number}"))
        await until(lambda: len(inner.bodies) >= client.RUNNING)
        await asyncio.sleep(0.1)
        assert len(inner.bodies) == client.RUNNING
        inner.go_on.set()
        events = [await event_of(socket) for _ in range(40)]
        assert len({event["stream_id"] for event in events}) == 20


async def test_a_client_that_leaves_is_seen_at_once(inner: Inner, opened: Any) -> None:
    inner.go_on.clear()
    async with opened() as socket:
        await socket.send(create())
        await until(lambda: inner.bodies)
    await until(lambda: inner.gone)


async def test_a_client_that_does_not_read_is_let_go(
    inner: Inner, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "UNREAD_S", 0.5)
    inner.events = lambda: [json.dumps({"type": "delta", "x": "x" * 10_000})] * 2_000
    async with opened() as socket:
        await socket.send(create())
        await event_of(socket)
        socket.transport.pause_reading()
        await asyncio.sleep(1.5)
        socket.transport.resume_reading()
        assert await code_of(socket) is None


async def test_a_connection_lasts_so_long(inner: Inner, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST_S", 0.3)
    inner.go_on.clear()
    async with opened() as socket:
        await socket.send(create())
        await socket.send(create())
        for _ in range(2):  # what waits, and the connection itself
            event = await event_of(socket)
            assert event["error"]["code"] == "websocket_connection_limit_reached"
        await socket.send(create(stream_id="late"))
        event = await event_of(socket)
        assert (event["stream_id"], event["error"]["code"]) == ("late", "websocket_connection_limit_reached")
        inner.go_on.set()
        assert [(await event_of(socket))["type"] for _ in range(2)] == ["response.created", "response.completed"]
        assert await code_of(socket) == 1001
    assert len(inner.bodies) == 1


async def test_what_arrives_is_bounded_over_all_connections(
    inner: Inner, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MESSAGE_BYTES", 1_000)
    begun = asyncio.Event()

    async def never_ending() -> AsyncIterator[str]:
        yield "x" * (MOST - 2_000)
        begun.set()
        await asyncio.sleep(20)

    async with opened() as one, opened() as other, opened() as third:
        sending = [asyncio.create_task(one.send(never_ending())), asyncio.create_task(other.send(never_ending()))]
        await begun.wait()
        await asyncio.sleep(0.2)
        with contextlib.suppress(ConnectionClosed):
            await third.send("x" * (MOST - 2_000))
        assert await code_of(third) == 1013
        for task in sending:
            task.cancel()
        await asyncio.wait(sending)
    async with opened() as again:  # what they held is given back
        await again.send(create(input="x" * (MOST - 2_000)))
        assert (await event_of(again))["type"] == "response.created"


async def test_an_answer_that_breaks_off_is_an_error(inner: Inner, opened: Any) -> None:
    for last, events in ((b"", [CREATED]), (b"5\r\nda", [CREATED]), (b"0\r\n\r\n", [CREATED])):
        inner.last_chunk = last
        inner.events = lambda events=events: events
        async with opened() as socket:
            await socket.send(create())
            assert (await event_of(socket))["type"] == "response.created"
            assert (await event_of(socket))["error"]["code"] == "provider_disconnected"


async def test_without_envoy_there_is_an_error(opened: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(request, "INNER_SOCKET", tmp_path / "nobody")
    async with opened() as socket:
        await socket.send(create())
        event = await event_of(socket)
        assert (event["status"], event["error"]["code"]) == (503, "gateway_unavailable")
