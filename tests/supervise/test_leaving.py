"""Workers that were replaced, or that have lost their supervisor: how long each is waited for."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from headgate.supervise.adopt import Living
from headgate.supervise.leaving import Leaving
from headgate.supervise.part import Part, PartSpec
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.process import Process
from headgate.supervise.shutdown import stop_parts

_BUSY = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('busy', flush=True); signal.pause()"
SOCKET = Path("run/worker-0.sock")


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.005)


@pytest.fixture
async def busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Living]:
    """A worker that has streams: it does not end when it is asked to."""
    monkeypatch.chdir(tmp_path)
    for folder in ("run", "log"):
        (tmp_path / folder).mkdir()
    log = tmp_path / "log/busy.log"
    process = Process.spawn((sys.executable, "-c", _BUSY), os.environ, log, lifeline=True)
    await _until(lambda: "busy" in log.read_text())
    record = PartRecord(process.identity.pid, process.identity.start_ticks, "digest")
    yield Living("filters-0", record, process)
    process.send(signal.SIGKILL)
    await process.wait()


async def test_one_that_is_replaced_is_killed_when_its_time_is_over(busy: Living) -> None:
    changes: list[object] = []
    leaving = Leaving([], lambda: changes.append(leaving.records()))
    leaving.leave(busy, 0.2)
    assert leaving.records() == {f"filters-retired-{busy.process.pid}": busy.record}
    assert await busy.process.wait() == -signal.SIGKILL
    await _until(lambda: changes)
    assert changes == [{}]


async def test_one_that_lost_its_supervisor_goes_on_once_it_does_not_listen(busy: Living) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(SOCKET))
        listening.listen()
        leaving = Leaving([busy], lambda: None)
        letting_go = asyncio.create_task(leaving.let_go())
        await asyncio.sleep(0.1)
        assert not letting_go.done()
    async with asyncio.timeout(60):
        await letting_go
    assert busy.process.running
    assert list(leaving.records()) == [f"filters-retired-{busy.process.pid}"]
    busy.process.send(signal.SIGKILL)
    await leaving.finished()
    assert leaving.records() == {}


async def test_one_that_hangs_is_killed(busy: Living) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(SOCKET))
        listening.listen()
        async with asyncio.timeout(60):
            await Leaving([busy], lambda: None, hangs_after_s=0.2).let_go()
    assert busy.process.status == -signal.SIGKILL


async def test_workers_end_after_every_envoy(busy: Living) -> None:
    """Also after one that only finishes its streams: those may be translated by a worker that serves."""

    async def ready() -> None:
        return None

    leaving = Leaving([busy], lambda: None)
    worker = Part(PartSpec("filters-0", ("sleep", "600"), os.environ, ready, "digest", outlives=True), lambda: None)
    worker.begin()
    process, envoys_ended = worker.process, asyncio.Event()
    assert process
    envoys: dict[str, Callable[[], Awaitable[object]]] = {"envoy": envoys_ended.wait, "filters-": leaving.finished}
    stopping = asyncio.create_task(stop_parts([worker], envoys, 30, asyncio.Event()))
    await asyncio.sleep(0.2)
    assert process.running
    envoys_ended.set()
    await _until(lambda: not process.running)
    assert busy.process.running  # it has its grace
    busy.process.send(signal.SIGKILL)
    await stopping
