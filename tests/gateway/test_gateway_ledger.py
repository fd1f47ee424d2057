"""Processes die under load and files turn over: no reservation stays behind, none is closed that still runs."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from json_lines import Line
from limited import Limited, ask, counters_of, limited, push, until
from redis import Redis
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, chat
from upstreams import Engine

from ledger.spool.lines import RECOVERED
from tests.counters.valkey_server import valkey_server
from tests.stopped import stop

PLANS = {"acme": {"rpm": 1_000_000, "concurrency": 100_000}, "globex": {"concurrency": 1}}
OPEN = "hg:{acme}:open"


@pytest.fixture(scope="module")
def setup(engine: Engine) -> Limited:
    return limited(engine, PLANS)


@pytest.fixture(scope="module")
def settled(setup: Limited, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("settled"), setup.config, {}) as gateway:
        yield gateway


@pytest.fixture
def counters(settled: RunningGateway) -> Iterator[Redis]:
    with counters_of(settled) as client:
        client.flushall()
        yield client


def lines_of(gateway: RunningGateway) -> list[dict[str, Any]]:
    """Every line of every spool file, as it stands on disk."""
    found = []
    for path in sorted((gateway.state / "spool").glob("*.ndjson")):
        found += [json.loads(text) for text in path.read_bytes().splitlines()]
    return found


def counted(gateway: RunningGateway, kind: str) -> Counter[str]:
    """How many lines of a type each request has."""
    return Counter(line["request_id"] for line in lines_of(gateway) if line["type"] == kind)


def is_whole(gateway: RunningGateway, requests: int) -> bool:
    """Whether each of so many has begun and ended. A file that is renamed meanwhile is missed: ask again."""
    ends = counted(gateway, "end")
    return len(ends) == requests and counted(gateway, "start").keys() == ends.keys()


def answers(gateway: RunningGateway, key: str) -> bool:
    """Whether a small request is answered, also while nobody listens."""
    try:
        return ask(gateway, key).status_code == 200
    except httpx2.TransportError:
        return False


async def streams(gateway: RunningGateway, key: str, number: int) -> "list[asyncio.Task[int]]":
    """Streams that go on for a minute unless they are cut; each gives the number of bytes that it got."""
    body = json.dumps(chat(stream=True, simulate={"tokens": 3000, "token_s": 0.02}))
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    begun = [asyncio.Event() for _ in range(number)]

    async def stream(event: asyncio.Event) -> int:
        size = 0
        async with httpx2.AsyncClient(timeout=70) as client:
            try:
                async with client.stream("POST", gateway.url + CHAT, content=body, headers=headers) as reply:
                    assert reply.status_code == 200
                    async for data in reply.aiter_bytes():
                        size += len(data)
                        event.set()
            except httpx2.TransportError:
                return size
        return size

    tasks = [asyncio.create_task(stream(event)) for event in begun]
    async with asyncio.timeout(60):
        await asyncio.gather(*(event.wait() for event in begun))
    return tasks


def recovered(gateway: RunningGateway) -> list[Line]:
    return [line for line in gateway.spool.all() if line.get("flags") == RECOVERED]


async def test_the_ledger_is_killed_under_load(settled: RunningGateway, setup: Limited, counters: Redis) -> None:
    """Requests do not notice, and when it is back it has missed nothing."""
    pushing = asyncio.create_task(push([settled], setup.keys["acme"], clients=16, each=40, token_s=0.005))
    for _ in range(5):
        await asyncio.sleep(0.4)
        (pid,) = settled.pids("ledger").values()
        os.kill(pid, signal.SIGKILL)
        await until(lambda before=pid: settled.pids("ledger") and [*settled.pids("ledger").values()] != [before])
    assert await pushing == {200: 640}
    await until(lambda: not counters.exists(OPEN))
    assert counters.hget("hg:{acme}:rpm", "sum") == "640"


async def test_while_the_ledger_is_stopped_slots_stay_taken(
    settled: RunningGateway, setup: Limited, counters: Redis
) -> None:
    """Closed, not open: the limit holds meanwhile."""
    (pid,) = settled.pids("ledger").values()
    stop(pid)
    try:
        assert (await asyncio.to_thread(ask, settled, setup.keys["globex"])).status_code == 200
        await asyncio.sleep(0.5)
        assert (await asyncio.to_thread(ask, settled, setup.keys["globex"])).status_code == 429
    finally:
        with contextlib.suppress(ProcessLookupError):  # under load this may take longer than a hang is put up with
            os.kill(pid, signal.SIGCONT)
    await until(lambda: not counters.exists("hg:{globex}:open"))
    assert (await asyncio.to_thread(ask, settled, setup.keys["globex"])).status_code == 200


async def test_a_ledger_that_hangs_is_killed(settled: RunningGateway, setup: Limited, counters: Redis) -> None:
    """Slots come back without anybody's help."""
    (pid,) = settled.pids("ledger").values()
    stop(pid)
    assert (await asyncio.to_thread(ask, settled, setup.keys["globex"])).status_code == 200
    await until(lambda: settled.pids("ledger") and [*settled.pids("ledger").values()] != [pid])
    await until(lambda: not counters.exists("hg:{globex}:open"))
    assert (await asyncio.to_thread(ask, settled, setup.keys["globex"])).status_code == 200
    await until(lambda: settled.readyz()["ready"])


async def test_workers_are_killed_under_load(settled: RunningGateway, setup: Limited, counters: Redis) -> None:
    """Envoy asks another worker again: no request is counted twice, however often it was asked."""
    pushing = asyncio.create_task(push([settled], setup.keys["acme"], clients=16, each=200, token_s=0.002))
    for _ in range(4):
        for name in ("filters-0", "filters-1"):
            await asyncio.sleep(0.4)
            for pid in settled.pids(name).values():
                os.kill(pid, signal.SIGKILL)
    statuses = await pushing
    assert sum(statuses.values()) == 3200
    assert set(statuses) <= {200, 503}
    assert statuses[200] >= 100
    # What a worker let through before it had found the counters is added when it has ended.
    await until(lambda: int(counters.hget("hg:{acme}:rpm", "sum")) >= statuses[200])  # type: ignore[arg-type]
    await until(lambda: not counters.exists(OPEN))
    assert int(counters.hget("hg:{acme}:rpm", "sum")) <= 3200  # type: ignore[arg-type]
    await until(lambda: answers(settled, setup.keys["globex"]))


async def test_envoy_is_killed(
    settled: RunningGateway, setup: Limited, counters: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it had is closed at once; what its successor has is not."""
    tasks = await streams(settled, setup.keys["acme"], 20)
    assert counters.zcard(OPEN) == 20
    (pid,) = settled.pids("envoy").values()
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not counters.zcard(OPEN))
    took = time.monotonic() - began
    assert all(size > 0 for size in await asyncio.gather(*tasks))
    await until(lambda: settled.pids("envoy") and [*settled.pids("envoy").values()] != [pid])
    await until(lambda: answers(settled, setup.keys["globex"]))
    tasks = await streams(settled, setup.keys["acme"], 3)
    await asyncio.sleep(6.5)  # past the second look at the one that is gone
    assert counters.zcard(OPEN) == 3
    for task in tasks:
        task.cancel()
    await until(lambda: not counters.exists(OPEN))
    with capsys.disabled():
        print(f"\nan Envoy killed with 20 streams: its reservations are closed after {took * 1000:.0f} ms")  # noqa: T201
    assert took < 5


async def test_what_began_without_counters_is_charged_when_its_envoy_dies(
    settled: RunningGateway, setup: Limited, counters: Redis
) -> None:
    """By its records, and nothing of it stays reserved."""
    before = len(recovered(settled))
    (pid,) = settled.pids("valkey").values()
    stop(pid)
    try:
        tasks = await streams(settled, setup.keys["acme"], 5)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it may have been taken for hung, and replaced
            os.kill(pid, signal.SIGCONT)
    await until(lambda: counters.zcard(OPEN) == 5)
    (pid,) = settled.pids("envoy").values()
    os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*tasks)
    await until(lambda: len(recovered(settled)) == before + 5)
    await until(lambda: not counters.exists(OPEN))
    await until(lambda: answers(settled, setup.keys["globex"]))


async def test_one_of_two_gateways_dies_and_the_other_keeps_its_own(engine: Engine, tmp_path: Path) -> None:
    for name in ("counters", "one", "two"):
        (tmp_path / name).mkdir()
    with valkey_server(tmp_path / "counters") as server:
        setup = limited(engine, PLANS, services={"counters": f"unix://{server.socket}"})
        with (
            running_gateway(tmp_path / "one", setup.config, {}) as one,
            running_gateway(tmp_path / "two", setup.config, {}) as two,
            server.client() as counters,
        ):
            of_one = await streams(one, setup.keys["acme"], 5)
            of_two = await streams(two, setup.keys["acme"], 7)
            assert counters.zcard(OPEN) == 12
            (pid,) = one.pids("envoy").values()
            os.kill(pid, signal.SIGKILL)
            await until(lambda: counters.zcard(OPEN) == 7)
            await asyncio.gather(*of_one)
            await asyncio.sleep(6.5)
            assert counters.zcard(OPEN) == 7
            for task in of_two:
                task.cancel()
            await until(lambda: not counters.exists(OPEN))


async def test_a_lost_request_is_ended_by_its_lease(settled: RunningGateway, setup: Limited, counters: Redis) -> None:
    """As when a full disk has cost its line: the slot says by itself until when it is taken."""
    now_ms = int(time.time() * 1000)
    counters.zadd("hg:{globex}:concurrency", {"20200101T000000-ffffff/lost": now_ms + 2500})
    assert (await asyncio.to_thread(ask, settled, setup.keys["globex"])).status_code == 429
    await asyncio.sleep(2.6)
    assert (await asyncio.to_thread(ask, settled, setup.keys["globex"])).status_code == 200


@pytest.mark.parametrize("keep", ["24h", "0s"])
async def test_rotation_loses_and_doubles_no_line(
    setup: Limited, engine: Engine, tmp_path: Path, keep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under load, once a second or so: every request has its one end, and every slot is free."""
    config = setup.config | {"spool": {"rotate": "1MiB", "keep": keep, "min_free": "1MiB"}}
    with running_gateway(tmp_path, config, {}) as gateway, counters_of(gateway) as counters:
        statuses = await push([gateway], setup.keys["acme"], clients=24, each=150, ttft_s=0, token_s=0, tokens=1)
        assert statuses == {200: 3600}
        await until(lambda: not counters.exists(OPEN))
        files = sorted(path.name for path in (gateway.state / "spool").glob("*.ndjson"))
        current = [name for name in files if name.count(".") == 1]
        if keep == "0s":
            await until(lambda: len(list((gateway.state / "spool").glob("*.ndjson"))) == 1)
        else:
            await until(lambda: is_whole(gateway, 3600))
            assert set(counted(gateway, "end").values()) == {1}
            assert len(files) >= 3
        assert len(current) == 1
        assert int(gateway.admin("/stats?filter=^filesystem.reopen_failed").rpartition(b" ")[2]) == 0
        with capsys.disabled():
            print(f"\n{len(files)} spool files, keep {keep}")  # noqa: T201


async def test_an_orderly_end_leaves_nothing_to_settle(setup: Limited, tmp_path: Path) -> None:
    with running_gateway(tmp_path, setup.config, {}) as gateway:
        await push([gateway], setup.keys["acme"], clients=8, each=20)
        size = sum(path.stat().st_size for path in (gateway.state / "spool").glob("*.ndjson"))
        assert size
    checkpoint = json.loads((tmp_path / "state/ledger/checkpoint.json").read_bytes())
    (mark,) = checkpoint["files"]
    assert mark["settled"] == mark["read"] == (tmp_path / "state/spool" / mark["name"]).stat().st_size
