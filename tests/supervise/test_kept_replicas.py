"""What keeps an engine's replicas goes on, whatever it meets."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from headgate.contract import ENGINES_KEY, LOGS
from headgate.engine_start import EngineStart
from headgate.supervise import replica
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.gpus_held import GpusHeld
from headgate.supervise.ports import is_free_port
from headgate.supervise.replicas import Replicas, Wanted

PORTS = [port for port in range(29_000, 29_999) if is_free_port(port)][:2]
START, OTHER = (EngineStart("simulator", port, "llama", 8, 0, 16, (), None, None, {}, {}) for port in PORTS)
SLOW = {"start-delay": "3"}


class Recorder:
    """What is told of each change; the first time the disk is full."""

    def __init__(self) -> None:
        self.calls = 0

    def changed(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise OSError(28, "No space left on device")


@pytest.fixture
def gpus() -> GpusHeld:
    return GpusHeld()


@pytest.fixture
async def replicas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: GpusHeld) -> AsyncIterator[Replicas]:
    monkeypatch.chdir(tmp_path)
    for folder in (ENGINES_KEY.parent, LOGS):
        folder.mkdir()
    ENGINES_KEY.write_text("key")
    monkeypatch.setattr(replica, "SENT_TO_WITHIN_S", 0.1)  # there is no Envoy
    envoy = EnvoyAdmin(Path("no.sock"))
    kept = Replicas("llama", dict(os.environ), gpus, lambda: (envoy,), Recorder().changed, {}, {})
    yield kept
    await kept.close()
    await asyncio.gather(*(part.stop() for part in kept.parts))


async def test_an_edit_in_the_middle_does_not_have_all_of_them_start_at_once(replicas: Replicas) -> None:
    replicas.want(Wanted((START, OTHER), drain_timeout_s=0.1))
    await ready(replicas, 0)
    await ready(replicas, 0, at=1)
    first, second = pids(replicas)
    slow = tuple(structs.replace(one, args=SLOW) for one in (START, OTHER))
    replicas.want(Wanted(slow, drain_timeout_s=0.1))
    async with asyncio.timeout(60):
        while pids(replicas)[:1] in ([first], [None], [second]):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
    replicas.want(Wanted(slow, drain_timeout_s=0.2))  # the first one starts still
    async with asyncio.timeout(60):
        while second in pids(replicas):
            was_ready = await replicas.parts[0].spec.probe() is None
            await asyncio.sleep(0.01)
    assert was_ready


async def test_an_edit_while_one_waits_for_gpus_does_not_have_the_others_leave(
    replicas: Replicas, gpus: GpusHeld
) -> None:
    replicas.want(Wanted((START, OTHER), drain_timeout_s=0.1))
    await ready(replicas, 0)
    await ready(replicas, 0, at=1)
    _, second = pids(replicas)
    gpus.take("engine-other-0", (0,))
    slow = [structs.replace(one, args=SLOW) for one in (START, OTHER)]
    with_gpus = tuple(structs.replace(one, gpus=(number,)) for number, one in enumerate(slow))
    waits = {"part": "engine-llama-0", "event": "a replica waits until its GPUs are free"}
    with capture_logs() as lines:
        for number in (1, 2):
            replicas.want(Wanted(with_gpus, drain_timeout_s=0.1 * number))
            async with asyncio.timeout(60):
                while sum(waits.items() <= line.items() for line in lines) < number:  # noqa: ASYNC110 - processes
                    await asyncio.sleep(0.01)
    gpus.give_back("engine-other-0")
    was_ready = False
    async with asyncio.timeout(60):
        while second in pids(replicas):
            was_ready = await replicas.parts[0].spec.probe() is None
            await asyncio.sleep(0.01)
    assert was_ready


async def test_a_restart_goes_on_while_something_else_is_edited(replicas: Replicas) -> None:
    wanted = Wanted((START, OTHER), drain_timeout_s=0.1)
    replicas.want(wanted)
    first, second = await ready(replicas, 0), await ready(replicas, 0, at=1)
    steps = []
    async for step in replicas.renew():
        steps.append(step.state)
        replicas.want(replace(wanted))  # with each edit of the file, whatever it is about
    assert steps == ["starting", "restarted"] * 2
    assert {first, second}.isdisjoint(pids(replicas))


def pids(replicas: Replicas) -> list[int | None]:
    return [part.process.pid if part.process else None for part in replicas.parts]


async def ready(replicas: Replicas, before: int, at: int = 0) -> int:
    """The process of a replica, another one than `before`."""
    async with asyncio.timeout(60):
        while True:
            for part in replicas.parts[at : at + 1]:
                process = part.process
                if process and process.pid != before and await part.spec.probe() is None:
                    return process.pid
            await asyncio.sleep(0.05)


async def test_an_unexpected_error_is_tried_again(replicas: Replicas) -> None:
    replicas.want(Wanted((START,), drain_timeout_s=0.1))
    first = await ready(replicas, 0)
    os.kill(first, signal.SIGKILL)
    await ready(replicas, first)
    replicas.want(None)
    async with asyncio.timeout(30):
        while replicas.parts:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
