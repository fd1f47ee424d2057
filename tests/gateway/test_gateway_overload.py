"""What `listen` bounds: connections and memory. What is running goes on, what is new is told to wait."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from processes import MIB, assert_unharmed, identities, pss_bytes
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, Keys, chat
from upstreams import Engine
from wire import ask, connection, head, post, read_head, read_reply

pytestmark = pytest.mark.alone

Starting = Callable[..., AbstractContextManager[RunningGateway]]


@pytest.fixture
def starting(tmp_path: Path, engine: Engine, keys: Keys) -> Starting:
    """Starts a gateway whose `listen` has these limits."""

    @contextmanager
    def start(**listen: Any) -> Iterator[RunningGateway]:
        config = {
            "listen": listen,
            "providers": {"local": {"api": "openai", "endpoints": [f"http://{engine.address}"]}},
            "models": {"chat": {"targets": [{"provider": "local", "model": "m"}]}},
            "tenants": {
                "acme": {
                    "models": ["chat"],
                    "keys": [{"name": "k", "sha256": sha256(keys.acme.encode()).hexdigest()}],
                }
            },
        }
        with running_gateway(tmp_path, config, {}) as running:
            yield running

    return start


def headers_of(keys: Keys) -> dict[str, str]:
    return {"host": "gateway.test", "content-type": "application/json", "authorization": f"Bearer {keys.acme}"}


async def test_connections_over_the_limit_are_closed_and_the_others_work(starting: Starting, keys: Keys) -> None:
    limit, wanted = 30, 80
    request = head("GET", "/v1/models", headers_of(keys))

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(request)
            return (await read_reply(reader)).status == 200
        return False

    with starting(max_connections=limit) as gateway:
        before = identities(gateway)
        async with contextlib.AsyncExitStack() as opened:
            connections = [await opened.enter_async_context(connection(gateway.http)) for _ in range(wanted)]
            served = [await answers(*one) for one in connections]
            assert limit // 2 <= sum(served) <= limit
            again = [await answers(*one) for one, well in zip(connections, served, strict=True) if well]
            assert all(again)  # who is in stays in
            assert_unharmed(gateway, before)  # and the operator still sees in
        assert (await _patiently(gateway, request)).status == 200
        assert "warning" not in (gateway.state / "log" / "envoy.log").read_text()


async def test_without_memory_nothing_is_let_in(starting: Starting, keys: Keys) -> None:
    with starting(max_memory="1MiB") as gateway:  # less than Envoy has after its start
        await _pressure(gateway)
        for _ in range(20):
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                reply = await ask(gateway.http, post(CHAT, json.dumps(chat()).encode(), headers_of(keys)))
                assert (reply.status, reply.json["error"]["code"]) == (503, "gateway_overloaded")
        assert gateway.readyz()["ready"]


async def test_nearly_without_memory_new_requests_are_told_to_wait(starting: Starting, keys: Keys) -> None:
    """Bodies that never end fill it; then there is room again."""
    small = post(CHAT, json.dumps(chat()).encode(), headers_of(keys))
    with starting(max_memory="200MiB") as gateway:
        before = identities(gateway)
        async with connection(gateway.http) as (reader, writer), contextlib.AsyncExitStack() as opened:
            stream = chat(stream=True, simulate={"tokens": 500, "token_s": 0.02})
            writer.write(post(CHAT, json.dumps(stream).encode(), headers_of(keys)))
            assert (await read_head(reader)).status == 200
            while (pressure := await _pressure(gateway)) < 90:
                for _ in range(max(1, (80 - pressure) // 3)):  # each is two percent
                    _, upload = await opened.enter_async_context(connection(gateway.http))
                    upload.write(head("POST", CHAT, {**headers_of(keys), "content-length": str(30 * MIB)}))
                    upload.write(b" " * (4 * MIB))
                    await upload.drain()
            reply = await ask(gateway.http, small)
            assert (reply.status, reply.json["error"]["code"]) == (503, "gateway_overloaded")
            assert reply.headers["x-headgate-error-source"] == "gateway"
            assert reply.headers["content-type"] == "application/json"
            await opened.aclose()
            assert (await _patiently(gateway, small)).status == 200
            assert b"data: [DONE]\n\n" in await reader.read(-1)  # it never noticed
        assert_unharmed(gateway, before)


async def _pressure(gateway: RunningGateway) -> int:
    """Percent of `max_memory`, as Envoy saw it a moment ago."""
    await asyncio.sleep(0.25)  # it looks ten times a second
    stats = await asyncio.to_thread(gateway.admin, "/stats?filter=fixed_heap.pressure")
    return int(stats.decode().split(": ")[1])


async def test_a_flood_of_bodies_is_bounded_and_running_streams_go_on(starting: Starting, keys: Keys) -> None:
    limit = 160 * MIB
    body = json.dumps(chat() | {"padding": "x" * (30 * MIB)}).encode()
    with starting(max_memory=limit) as gateway:
        before = identities(gateway)
        highest = 0

        async def watch() -> None:
            nonlocal highest
            while True:
                highest = max(highest, await asyncio.to_thread(pss_bytes, gateway, "envoy"))
                await asyncio.sleep(0.02)

        async def flood() -> int | None:
            """All but the end of a large body: what has come has to be kept until its client goes away."""
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(20), connection(gateway.http) as (reader, writer):
                    writer.write(head("POST", CHAT, {**headers_of(keys), "content-length": str(len(body))}))
                    for at in range(0, len(body) - MIB, MIB):
                        writer.write(body[at : at + MIB])
                        await writer.drain()
                    return (await read_reply(reader)).status
            return None

        watching = asyncio.create_task(watch())
        async with connection(gateway.http) as (reader, writer):
            stream = chat(stream=True, simulate={"tokens": 400, "token_s": 0.02})
            writer.write(post(CHAT, json.dumps(stream).encode(), headers_of(keys)))
            assert (await read_head(reader)).status == 200
            statuses = await asyncio.gather(*(flood() for _ in range(24)))  # 720 MiB
            rest = await reader.read(-1)
        watching.cancel()
        assert rest.count(b'"content":"') >= 400
        assert b"data: [DONE]\n\n" in rest
        assert set(statuses) <= {None, 503, 408, 413}
        assert highest < limit + 200 * MIB, f"{highest / MIB:.0f} MiB"
        assert (await _patiently(gateway, post(CHAT, json.dumps(chat()).encode(), headers_of(keys)))).status == 200
        assert_unharmed(gateway, before)


async def _patiently(gateway: RunningGateway, request: bytes) -> Any:
    """The first answer that is not a 503; memory and connections are given back within a moment."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            reply = await ask(gateway.http, request)
            if reply.status != 503 or time.monotonic() > deadline:
                return reply
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
