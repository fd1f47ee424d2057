"""Streams that a worker translates, while workers are replaced and supervisors are killed under them."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway_process import until
from translated import Translated, translated


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Translated]:
    async with translated(tmp_path, token_s=0.2) as found:
        await found.edits.start()
        yield found


async def test_a_restart_goes_on_while_replaced_workers_finish(running: Translated) -> None:
    gateway = running.gateway
    before = gateway.pids("filters-")
    streams = [await running.begin(model) for model in ("chat", "messages") * 2]
    status, _steps, errors = await gateway.restart()
    assert (status, errors) == (0, "")
    assert all(stream.running for stream in streams)
    print(gateway.pids())
    assert set(gateway.pids("filters-retired-").values()) == set(before.values())
    assert [await stream.outcome for stream in streams] == ["whole"] * 4
    await until(lambda: not gateway.pids("filters-retired-"), 10)
