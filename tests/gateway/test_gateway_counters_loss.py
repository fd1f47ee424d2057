"""The counters are killed, slow, full or flushed: requests are decided all the same, and soon."""

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest
from limited import Limited, ask, limited, metric, push, seen, size_of, until
from redis import Redis
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, chat
from upstreams import Engine

from tests.counters.valkey_server import ValkeyServer, valkey_server

RPM = 40  # two workers: twenty each while the counters are away
WAYS = ("killed", "stopped", "full")  # each has a tenant of its own: what it used counts for a minute
PLANS = {**{way: {"rpm": RPM} for way in WAYS}, "globex": {"rpm": 100_000, "concurrency": 50}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("counters")) as running:
        yield running


@pytest.fixture(scope="module")
def setup(engine: Engine, server: ValkeyServer) -> Limited:
    return limited(engine, PLANS, services={"counters": f"unix://{server.socket}"})


@pytest.fixture(scope="module")
def limits(setup: Limited, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("limits"), setup.config, {}) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def counters(server: ValkeyServer, limits: RunningGateway) -> Iterator[Redis]:
    """Empty, and used by every worker."""
    with server.client() as client:
        client.flushall()
        wait(lambda: emergency(limits) == 0)
        yield client


def emergency(gateway: RunningGateway) -> float:
    return metric(gateway, "headgate_limiter_emergency")


def wait(condition: Callable[[], object], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def changes(gateway: RunningGateway) -> list[str]:
    """What the workers have logged of the counters, in order."""
    lines = []
    for path in sorted(gateway.state.glob("log/filters-*.log")):
        lines += [json.loads(text) for text in path.read_text().splitlines() if '"counters are ' in text]
    return [line["event"].removeprefix("counters are ") for line in sorted(lines, key=lambda line: line["time"])]


AWAY, BACK = "away: this worker limits by itself", "back"


@pytest.mark.parametrize("how", WAYS)
async def test_the_workers_limit_by_themselves(
    limits: RunningGateway, setup: Limited, server: ValkeyServer, counters: Redis, engine: Engine, how: str
) -> None:
    """What is entitled passes, nothing waits, the tenant's rpm shared over the workers holds, one line per change."""
    record = engine.record
    before = len(changes(limits))
    if how == "killed":
        server.kill()
    elif how == "stopped":
        server.send(signal.SIGSTOP)
    else:
        counters.config_set("maxmemory", 1)
    try:
        assert await push([limits], setup.keys["globex"], clients=8, each=25) == {200: 200}
        start = size_of(record)
        statuses = await push([limits], setup.keys[how], clients=16, each=10)
        assert statuses[200] <= RPM
        assert statuses[200] >= RPM // 2  # all of it when the workers are asked in turn, as they mostly are
        assert set(statuses) == {200, 429}
        assert seen(record, start).requests == statuses[200]
        reply = await asyncio.to_thread(ask, limits, setup.keys[how])
        if reply.status_code == 429:
            assert "counters are away" in reply.json()["error"]["message"]
            assert "20 of 40 requests per minute" in reply.json()["error"]["message"]
        assert emergency(limits) == 1
        assert metric(limits, 'headgate_limiter_decisions_total{by="emergency",decision="allowed"}') >= 200
        began = time.monotonic()
        for _ in range(10):
            assert (await asyncio.to_thread(ask, limits, setup.keys["globex"])).status_code == 200
        assert time.monotonic() - began < 9.5  # a second each would be one wait each
    finally:
        if how == "killed":
            server.start()
        elif how == "stopped":
            server.send(signal.SIGCONT)
        else:
            counters.config_set("maxmemory", 0)
    await until(lambda: emergency(limits) == 0)
    with server.client() as client:
        # What passed meanwhile is added.
        await until(lambda: int(client.hget(f"hg:{{{how}}}:rpm", "sum") or 0) >= statuses[200])  # type: ignore[arg-type]
        client.flushall()
        reply = await asyncio.to_thread(ask, limits, setup.keys["globex"])
        assert int(reply.headers["x-ratelimit-remaining-requests"]) > 90_000
    logged = changes(limits)[before:]
    assert sorted(logged) == [AWAY, AWAY, BACK, BACK]
    assert logged[0] == AWAY
    assert logged[-1] == BACK


async def test_300_ms_of_delay(
    limits: RunningGateway, setup: Limited, counters: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing fails, and no request takes longer than the time limit of the counters on top of its own time."""
    body = json.dumps(chat(simulate={"tokens": 1, "ttft_s": 0, "token_s": 0}))
    headers = {"authorization": f"Bearer {setup.keys['globex']}", "content-type": "application/json"}
    took: list[float] = []
    stop = asyncio.Event()

    async def client() -> None:
        async with httpx2.AsyncClient(timeout=60) as session:
            while not stop.is_set():
                began = time.monotonic()
                reply = await session.post(limits.url + CHAT, content=body, headers=headers)
                took.append(time.monotonic() - began)
                assert reply.status_code == 200, reply.text
                await asyncio.sleep(0.01)

    clients = [asyncio.create_task(client()) for _ in range(4)]
    await asyncio.sleep(0.5)
    usual = max(took)
    for _ in range(3):
        counters.execute_command("CLIENT", "PAUSE", 300, "ALL")
        await asyncio.sleep(1)
    stop.set()
    await asyncio.gather(*clients)
    slow, longest = sum(one > 0.1 for one in took), max(took) * 1000
    with capsys.disabled():
        print(f"\n{len(took)} requests, {slow} over 100 ms, the longest {longest:.0f}; before {usual * 1000:.0f}")  # noqa: T201
    assert max(took) < 5
    await until(lambda: emergency(limits) == 0)


async def test_flushed(limits: RunningGateway, setup: Limited, counters: Redis) -> None:
    """What was counted is forgotten and nothing is owed: no count goes below zero, no slot stays taken."""
    key = setup.keys["globex"]
    pushing = asyncio.create_task(push([limits], key, 8, 30, token_s=0.02))
    for _ in range(5):
        await asyncio.sleep(0.3)
        counters.flushall()
    assert await pushing == {200: 240}
    await until(lambda: not counters.exists("hg:{globex}:open"))
    assert int(counters.hget("hg:{globex}:rpm", "sum") or 0) >= 0  # type: ignore[arg-type]
    assert all(int(value) >= 0 for value in counters.hgetall("hg:{globex}:rpm").values())  # type: ignore[union-attr]
    assert emergency(limits) == 0
