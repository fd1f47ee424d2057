"""What keeps an engine's replicas goes on, whatever it meets."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headgate.contract import ENGINES_KEY, LOGS
from headgate.engine_start import EngineStart
from headgate.supervise.gpus_held import GpusHeld
from headgate.supervise.ports import is_free_port
from headgate.supervise.replicas import Replicas, Wanted

PORT = next(port for port in range(29_000, 29_999) if is_free_port(port))
START = EngineStart("simulator", PORT, "llama", 8, 0, 16, (), None, None, {}, {})


class Recorder:
    """What is told of each change; the first time the disk is full."""

    def __init__(self) -> None:
        self.calls = 0

    def changed(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise OSError(28, "No space left on device")


@pytest.fixture
async def replicas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Replicas]:
    monkeypatch.chdir(tmp_path)
    for folder in (ENGINES_KEY.parent, LOGS):
        folder.mkdir()
    ENGINES_KEY.write_text("key")
    kept = Replicas("llama", dict(os.environ), GpusHeld(), lambda: (), Recorder().changed, {})
    yield kept
    await kept.close()
    await asyncio.gather(*(part.stop() for part in kept.parts))


async def ready(replicas: Replicas, before: int) -> int:
    """The process of the one replica, another one than `before`."""
    async with asyncio.timeout(60):
        while True:
            for part in replicas.parts:
                process = part.process
                if process and process.pid != before and await part.spec.probe() is None:
                    return process.pid
            await asyncio.sleep(0.05)


async def test_an_unexpected_error_is_tried_again(replicas: Replicas) -> None:
    replicas.want(Wanted((START,)))
    first = await ready(replicas, 0)
    os.kill(first, signal.SIGKILL)
    await ready(replicas, first)
    replicas.want(None)
    async with asyncio.timeout(30):
        while replicas.parts:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
