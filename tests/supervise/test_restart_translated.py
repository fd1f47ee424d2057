"""Streams that a worker translates, while workers are replaced and supervisors end under them."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from gateway_process import GatewayProcess, until
from translated import Translated, translated


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Translated]:
    async with translated(tmp_path) as found:
        yield found


@asynccontextmanager
async def asking(running: Translated) -> AsyncIterator[Counter[int]]:
    """Thirty small requests a second; their statuses."""
    statuses: Counter[int] = Counter()
    over = asyncio.Event()

    async def ask() -> None:
        statuses[await running.short()] += 1

    async def pace() -> None:
        async with asyncio.TaskGroup() as group:
            while not over.is_set():
                group.create_task(ask())
                await asyncio.sleep(0.03)

    task = asyncio.create_task(pace())
    yield statuses
    over.set()
    await task


def counting(gateway: GatewayProcess) -> set[int]:
    """Processes whose counts are kept apart, because they live."""
    stems = [file.stem.rpartition("_")[2] for file in (gateway.state / "run/metrics").glob("*.db")]
    return {int(stem) for stem in stems if stem.isdecimal()}


async def test_a_reload_and_a_restart_under_load_cut_no_stream(running: Translated) -> None:
    gateway, edits, document = running.gateway, running.edits, running.edits.document
    document["providers"]["doomed"] = document["providers"]["claude"] | {"connect_timeout": "1s"}
    document["models"]["leaving"] = {"targets": [{"provider": "doomed", "model": "m"}]}
    document["tenants"]["acme"]["models"].append("leaving")
    await edits.start()
    before = set(gateway.pids("filters-").values())
    async with asking(running) as statuses:
        streams = [await running.begin("leaving"), *await running.begin_on_all()]
        del document["providers"]["doomed"], document["models"]["leaving"]
        document["tenants"]["acme"]["models"].remove("leaving")
        await edits.saved()
        assert await running.short("leaving") == 404
        assert "provider/doomed" in edits.clusters()
        status, _steps, errors = await gateway.restart()
        assert (status, errors) == (0, "")
        assert set(gateway.pids("filters-retired-").values()) == before
        assert before <= counting(gateway)
        streams += await running.begin_all(2)
    assert set(statuses) == {200}
    pids = set(gateway.pids().values())
    gateway.send(signal.SIGTERM)
    await until(lambda: "stopping" in gateway.log(), 60)
    assert await running.finish(streams) == {"whole"}
    assert await gateway.wait() == 0
    assert not any(gateway.alive(pid) for pid in pids)
    assert list((gateway.state / "run").iterdir()) == []


async def test_a_supervisor_that_is_killed_cuts_no_stream(running: Translated) -> None:
    """Streams of the Envoy before and of this one, on the workers before, on these and on those that follow."""
    gateway = running.gateway
    await running.edits.start()
    streams = await running.begin_all(2)
    async with gateway.restarting() as restarting:
        assert restarting.stdout
        while b'"ledger"' not in await restarting.stdout.readline():
            pass
        streams += await running.begin_all(2)
        assert await restarting.wait() == 0
    streams += await running.begin_all(2)
    left = gateway.pids("filters-")
    gateway.send(signal.SIGKILL)
    await gateway.wait()
    await running.edits.start()
    assert await running.short() == 200
    assert (await gateway.readyz())[0] == 200
    retired = set(gateway.pids("filters-retired-").values())
    assert retired == {pid for pid in left.values() if gateway.alive(pid)} != set()
    assert retired <= counting(gateway)
    streams += await running.begin_all(2)
    assert await running.finish(streams) == {"whole"}
    await until(lambda: not gateway.pids("filters-retired-"), 60)
    assert not any(gateway.alive(pid) for pid in left.values())
    gateway.send(signal.SIGTERM)
    assert await gateway.wait() == 0
    assert list((gateway.state / "run").iterdir()) == []
