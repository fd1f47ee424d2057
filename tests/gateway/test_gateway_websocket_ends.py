"""How WebSockets end: by their clients, by a bridge that dies, by a restart and by the gateway's end."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from json_lines import Line
from limited import until
from running_gateway import headgate
from upstreams import Engine
from websocket_gateway import Sockets, ask, create, sockets, until_end, websocket_gateway
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

__all__ = ["sockets"]  # the fixture

LONG: dict[str, Any] = {"simulate": {"tokens": 400, "token_s": 0.05, "ignore_max_tokens": True}}


async def begin(socket: ClientConnection, **body: Any) -> str:
    """A response that has begun to say something; its request id."""
    await socket.send(create(**body))
    while True:
        event = json.loads(await socket.recv())
        if event["type"] == "response.created":
            made: str = event["response"]["id"]
        if event["type"] == "response.output_text.delta":
            return made.removeprefix("resp_")


async def end_line(sockets: Sockets, request_id: str) -> Line:
    return await asyncio.to_thread(sockets.gateway.end_line, request_id)


@contextlib.asynccontextmanager
async def some(sockets: Sockets, count: int, tenant: str) -> AsyncIterator[list[ClientConnection]]:
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(sockets.open(tenant)) for _ in range(count)]
        yield opened
        await asyncio.gather(*(socket.close() for socket in opened))  # Envoy takes a second for each


async def code_of(socket: ClientConnection) -> int | None:
    """How the other side has closed it; None for not at all."""
    async with asyncio.timeout(60):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


@pytest.mark.parametrize("orderly", [True, False])
async def test_a_client_that_leaves_cancels_what_runs_for_it(sockets: Sockets, orderly: bool) -> None:
    async with sockets.open() as socket:
        running = await begin(socket, **LONG)
        await socket.send(create(input="never asked", stream_id="b", **LONG))
        other = json.loads(await socket.recv())
        while other["type"] != "response.created":
            other = json.loads(await socket.recv())
        await socket.send(create(input="this waits"))
        began = time.monotonic()
        if orderly:
            await socket.close()
        else:
            socket.transport.abort()
    for request_id in (running, other["response"]["id"].removeprefix("resp_")):
        line = await end_line(sockets, request_id)
        assert "DC" in line["flags"]
        assert line["duration_ms"] < 15_000
        assert await asyncio.to_thread(sockets.engine.disconnect, request_id)
    assert time.monotonic() - began < 15
    assert not [line for line in sockets.engine.lines.all() if "this waits" in line.get("body", "")]


async def test_a_client_that_does_not_read_fills_no_memory(sockets: Sockets) -> None:
    bridge = sockets.gateway.pids("bridge")["bridge"]
    async with sockets.open() as slow, sockets.open() as quick:
        before = resident_kib(bridge)
        slow.transport.pause_reading()
        await slow.send(create(simulate={"tokens": 300_000, "token_s": 0, "ignore_max_tokens": True}))
        for _ in range(5):
            assert (await ask(quick))["type"] == "response.completed"
            await asyncio.sleep(0.3)
        assert resident_kib(bridge) - before < 16 * 1024
        slow.transport.abort()


def resident_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


async def test_a_tenant_has_so_many_connections(sockets: Sockets) -> None:
    async with some(sockets, 200, "small") as mine:
        with pytest.raises(InvalidStatus) as refused:
            async with sockets.open("small"):
                pass
        assert refused.value.response.status_code == 429
        assert json.loads(refused.value.response.body or b"")["error"]["code"] == "rate_limit_exceeded"
        async with sockets.open("acme") as other:
            assert (await ask(other))["type"] == "response.completed"
        await mine[0].close()
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(InvalidStatus):
                    async with sockets.open("small"):
                        break


async def test_a_bridge_that_is_killed_costs_its_connections_and_no_other_request(sockets: Sockets) -> None:
    gateway = sockets.gateway
    async with sockets.open() as idle, sockets.open() as busy:
        running = await begin(busy, **LONG)
        pid = gateway.pids("bridge")["bridge"]
        os.kill(pid, signal.SIGKILL)
        assert await code_of(idle) is None
        assert await code_of(busy) is None
        body = {"model": "chat", "input": "Hi"}
        reply = await asyncio.to_thread(gateway.post, "/v1/responses", body, sockets.keys["acme"])
        assert reply.status_code == 200
    assert "DC" in (await end_line(sockets, running))["flags"]
    await until(lambda: gateway.pids("bridge").get("bridge") not in (None, pid))
    statuses = set()
    async with asyncio.timeout(60):
        while True:
            try:
                async with sockets.open() as again:
                    assert (await ask(again))["type"] == "response.completed"
                    break
            except InvalidStatus as refused:
                error = json.loads(refused.response.body or b"")["error"]
                statuses.add((refused.response.status_code, error["code"]))
                await asyncio.sleep(0.05)
    assert statuses <= {(503, "gateway_unavailable")}


async def test_a_restart_lets_responses_finish(sockets: Sockets) -> None:
    brief = {"simulate": {"tokens": 600, "token_s": 0.05, "ignore_max_tokens": True}}  # longer than the restart
    async with sockets.open() as idle, sockets.open() as busy:
        await begin(busy, **brief)
        await busy.send(create(input="this waits"))
        before = sockets.gateway.pids("bridge")
        restart = asyncio.create_task(asyncio.to_thread(headgate, "restart", "--state", str(sockets.gateway.state)))
        assert await code_of(idle) == 1001
        said = [json.loads(await busy.recv())["type"]]
        while said[-1] != "response.completed":
            said.append(json.loads(await busy.recv())["type"])
        assert said.count("error") == 1  # what waited is told to come again
        assert await code_of(busy) == 1001
        done = await restart
        assert done.returncode == 0, done.stderr
        assert sockets.gateway.pids("bridge") != before
    async with sockets.open() as again:  # by the new Envoy and the new bridge
        assert (await ask(again))["type"] == "response.completed"


async def test_the_gateways_end_waits_for_responses_and_for_no_idle_connection(
    engine: Engine, tmp_path: Path
) -> None:
    with websocket_gateway(tmp_path, engine) as own:
        async with own.open() as idle, own.open() as busy:
            await begin(busy, simulate={"tokens": 40, "token_s": 0.05, "ignore_max_tokens": True})
            own.gateway.process.send_signal(signal.SIGTERM)
            assert await code_of(idle) == 1001
            assert (await until_end(busy))[-1]["type"] == "response.completed"
            assert await code_of(busy) == 1001
            assert await asyncio.to_thread(own.gateway.process.wait, 30) == 0
        assert list((own.gateway.state / "run").iterdir()) == []
        assert "requests cut" not in own.gateway.log()
