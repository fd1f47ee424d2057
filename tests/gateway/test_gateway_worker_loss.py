"""Filter workers that die or hang: what runs goes on, what is new waits or is refused, and they come back."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator

import httpx2
import pytest
from running_gateway import RunningGateway
from tenants import CHAT, Keys, chat
from upstreams import Engine
from wire import Reply, connection, post, read_body, read_chunk, read_head

from tests.stopped import stop

TOKENS = 120


def said(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n{text}")  # noqa: T201


async def answer(client: httpx2.AsyncClient, gateway: RunningGateway) -> httpx2.Response:
    return await client.post(gateway.url + CHAT, json=chat("final", simulate={"tokens": 3}))


def assert_is_refusal(reply: httpx2.Response) -> None:
    assert (reply.status_code, reply.headers.get("x-headgate-error-source")) == (503, "gateway"), reply.text
    assert reply.json()["error"]["code"] == "gateway_unavailable"
    assert reply.headers["x-request-id"]


@pytest.fixture
async def client(keys: Keys) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {keys.acme}"}, timeout=20) as client:
        yield client


async def recovered(client: httpx2.AsyncClient, gateway: RunningGateway) -> float:
    """Seconds until an answer, and ten answers in a row after it; whatever comes before is a refusal of our own."""
    began = time.monotonic()
    async with asyncio.timeout(60):
        while (reply := await answer(client, gateway)).status_code != 200:
            assert_is_refusal(reply)
            await asyncio.sleep(0.05)
    took = time.monotonic() - began
    for _ in range(10):
        assert (await answer(client, gateway)).status_code == 200
    return took


async def running_stream(gateway: RunningGateway, keys: Keys) -> "tuple[asyncio.Task[Reply], bytes]":
    """A stream that has begun, with what was asked for."""
    body = json.dumps(chat("final", stream=True, simulate={"tokens": TOKENS, "token_s": 0.03})).encode()
    begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def stream() -> Reply:
        async with connection(gateway.http) as (reader, writer):
            headers = {"content-type": "application/json", "authorization": f"Bearer {keys.acme}"}
            writer.write(post(CHAT, body, headers))
            reply = await read_head(reader)
            first = await read_chunk(reader)
            begun.set_result(None)
            await read_body(reader, reply)
            reply.body = first + reply.body
            return reply

    task = asyncio.create_task(stream())
    async with asyncio.timeout(60):
        await begun
    return task, body


async def assert_whole(task: "asyncio.Task[Reply]", body: bytes, engine: Engine) -> None:
    reply = await task
    direct = await engine.direct(CHAT, body.replace(b"0.03", b"0"), reply.request_id)
    assert reply.whole
    created = re.compile(rb'"created":\d+')
    assert created.sub(b"", reply.body) == created.sub(b"", direct.body)


async def test_one_of_two_workers_is_killed_under_load(
    spare_gateway: RunningGateway, client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = []
    for number in range(80):
        requests.append(asyncio.create_task(answer(client, spare_gateway)))
        if number == 20:
            os.kill(spare_gateway.pids("filters-0")["filters-0"], signal.SIGKILL)
        await asyncio.sleep(0.05)  # 20 a second
    replies = await asyncio.gather(*requests)
    failed = [reply for reply in replies if reply.status_code != 200]
    said(capsys, f"one worker of two killed under 20 requests/s: {len(failed)} of {len(replies)} failed")
    for reply in failed:
        assert_is_refusal(reply)
    assert len(failed) <= 2  # those that this worker held; a decision takes it about a millisecond


async def test_nobody_who_asks_on_and_on_is_refused_twice(
    spare_gateway: RunningGateway, client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until the worker is back, calls that go to it first are answered by the other one."""
    killed = spare_gateway.pids("filters-0")["filters-0"]
    is_over = asyncio.Event()

    async def ask_on() -> list[int]:
        statuses = []
        while not is_over.is_set():
            reply = await answer(client, spare_gateway)
            statuses.append(reply.status_code)
            if reply.status_code != 200:
                assert_is_refusal(reply)
        return statuses

    clients = [asyncio.create_task(ask_on()) for _ in range(16)]
    os.kill(killed, signal.SIGKILL)
    async with asyncio.timeout(60):
        now = killed
        while now == killed:
            await asyncio.sleep(0.1)
            now = spare_gateway.pids("filters-0").get("filters-0", killed)
    await asyncio.sleep(2)  # the next one has to be served to, too
    is_over.set()
    statuses = await asyncio.gather(*clients)
    failed = [sum(status != 200 for status in one) for one in statuses]
    said(capsys, f"one worker of two killed under 16 clients: {sum(failed)} of {sum(map(len, statuses))} failed")
    assert max(failed) <= 1, failed


async def test_all_workers_are_killed_in_mid_stream(
    spare_gateway: RunningGateway,
    client: httpx2.AsyncClient,
    keys: Keys,
    engine: Engine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream, body = await running_stream(spare_gateway, keys)
    workers = spare_gateway.pids("filters-")
    assert len(workers) == 2
    for pid in workers.values():
        os.kill(pid, signal.SIGKILL)
    said(capsys, f"all workers killed: answers again after {await recovered(client, spare_gateway):.2f} s")
    assert not stream.done()
    await assert_whole(stream, body, engine)


async def test_all_workers_hang_in_mid_stream(
    spare_gateway: RunningGateway,
    client: httpx2.AsyncClient,
    keys: Keys,
    engine: Engine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream, body = await running_stream(spare_gateway, keys)
    workers = spare_gateway.pids("filters-")
    for pid in workers.values():
        stop(pid)
    began = time.monotonic()
    reply = await answer(client, spare_gateway)
    if reply.status_code != 200:  # it waits for workers that are killed, and may find their successors
        assert_is_refusal(reply)
    waited = time.monotonic() - began
    took = await recovered(client, spare_gateway)
    assert not set(spare_gateway.pids("filters-").values()) & set(workers.values())
    said(capsys, f"all workers hang: {reply.status_code} after {waited:.2f} s, answers {took:.2f} s later")
    await assert_whole(stream, body, engine)
