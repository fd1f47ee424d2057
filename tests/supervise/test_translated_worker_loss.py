"""Workers that die or hang while they translate: what they hold is lost and accounted for, all else goes on."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess, until
from translated import CUT, Answer, Translated, outcomes, translated

from tests.stopped import stop

WAITING = 12


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Translated]:
    async with translated(tmp_path) as found:
        await found.edits.start()
        yield found


def ends(gateway: GatewayProcess) -> dict[str, dict[str, Any]]:
    """The spool's last words, by request."""
    lines = [
        line for file in (gateway.state / "spool").glob("*.ndjson") for line in file.read_bytes().splitlines(True)
    ]
    found = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return {line["request_id"]: line for line in found if line["type"] == "end"}


async def until_moving(streams: list[Answer]) -> None:
    """Until something more has come of each."""
    before = [stream.pieces for stream in streams]
    await until(lambda: all(one.pieces > was for one, was in zip(streams, before, strict=True)), 60)


async def take_the_slot(running: Translated) -> list[Answer]:
    """Streams of the tenant that may have one; what passes while the counters take over 20 ms holds nothing."""
    streams = [await running.begin("chat", running.single)]
    while not any([await running.short("chat", running.single) == 429 for _ in range(3)]):
        streams.append(await running.begin("chat", running.single))
    return streams


async def test_killed_workers_cut_what_they_translate_and_nothing_else(running: Translated) -> None:
    gateway = running.gateway
    workers = gateway.pids("filters-")
    singles = await take_the_slot(running)
    direct = [await running.begin("direct") for _ in range(2)]
    streams = [*singles, *await running.begin_on_all()]
    os.kill(workers["filters-0"], signal.SIGKILL)
    await until(lambda: not all(stream.running for stream in streams), 60)
    assert [await running.short() for _ in range(8)] == [200] * 8
    others = [stream for stream in streams if stream.running]
    await until_moving([*others, *direct])
    assert others
    os.kill(workers["filters-1"], signal.SIGKILL)
    assert await outcomes(streams) == CUT
    async with asyncio.timeout(60):
        while await running.short("chat", running.single) != 200:  # noqa: ASYNC110 - another process frees the slot
            await asyncio.sleep(0.05)
    await until(lambda: {stream.request_id for stream in streams} <= set(ends(gateway)), 60)
    for stream in streams:
        line = ends(gateway)[stream.request_id]
        assert (line["status"], line["attempts"], line["target"] in ("claude", "engine")) == (200, 1, True)
        assert line["content_events"] >= stream.pieces
    await until_moving(direct)
    assert await running.finish(direct) == {"whole"}


async def test_a_worker_that_hangs_is_killed_and_its_attempts_are_asked_of_another(
    running: Translated, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = running.gateway
    streams = await running.begin_on_all()
    waiting = [asyncio.create_task(running.short("second")) for _ in range(WAITING)]
    await until(lambda: running.provider.failing == WAITING, 60)
    hanging = gateway.pids()["filters-0"]
    stop(hanging)
    running.provider.fail.set()  # the second attempts, which are translated, begin now: half of them at this worker
    took_s = await until(lambda: not gateway.alive(hanging), 60)
    with capsys.disabled():
        print(f"\na worker that hangs is killed after {took_s:.2f} s")  # noqa: T201
    assert await asyncio.gather(*waiting) == [200] * WAITING
    assert [await running.short() for _ in range(8)] == [200] * 8
    assert await running.finish(streams) == {"whole", *CUT}
