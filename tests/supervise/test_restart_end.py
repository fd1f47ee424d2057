"""The end of an Envoy that came by `headgate restart`, seen as its parent would see it."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateway_process import GatewayProcess, until

_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
SOON = ("--drain-timeout", "500ms")
LONGER_THAN_THE_TEST = 3000


@pytest.fixture
def orphans() -> Iterator[None]:
    """Envoys are started as nobody's children: for a while they become ours, and we see how they end."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    assert libc.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


@pytest.fixture
async def gateway(tmp_path: Path, orphans: None) -> AsyncIterator[GatewayProcess]:
    gateway = GatewayProcess(tmp_path / "state")
    yield gateway
    await gateway.clean_up()


async def _endless(gateway: GatewayProcess) -> "asyncio.Task[list[str]]":
    """A stream that has begun, and that only a cut can end."""
    started = asyncio.Event()
    stream = asyncio.create_task(gateway.stream(LONGER_THAN_THE_TEST, started))
    async with asyncio.timeout(60):
        await started.wait()
    return stream


async def _how_it_ended(pid: int) -> tuple[int, int]:
    ends: list[os.waitid_result] = []

    def has_ended() -> bool:
        ends.extend([end] if (end := os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)) else [])
        return bool(ends)

    await until(has_ended, 60)
    return ends[0].si_code, ends[0].si_status


def _lines(*files: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


async def _stopped_in_order(gateway: GatewayProcess, envoys: list[int], cut: "list[asyncio.Task[list[str]]]") -> None:
    gateway.send(signal.SIGTERM)
    assert await gateway.wait() == 0
    assert [await _how_it_ended(pid) for pid in envoys] == [(os.CLD_EXITED, 0)] * len(envoys)
    assert {type(outcome) for outcome in await asyncio.gather(*cut, return_exceptions=True)} == {
        aiohttp.ClientPayloadError
    }
    spooled = _lines(*(gateway.state / "spool").glob("*.ndjson"))
    assert {line["request_id"] for line in spooled if line["type"] == "start"} == {
        line["request_id"] for line in spooled if line["type"] == "end" and line["flags"] == "DC"
    }
    assert len([line for line in spooled if line["type"] == "end"]) == len(cut)
    assert {line["event"] for line in _lines(gateway.state / "log/envoy.log")} == {"caught ENVOY_SIGTERM"}
    assert list((gateway.state / "run").iterdir()) == []


async def test_it_ends_in_order_and_logs_what_it_cuts(gateway: GatewayProcess) -> None:
    await gateway.start(*SOON)
    assert (await gateway.restart())[0] == 0
    envoys, streams = [gateway.pids()["envoy"]], [await _endless(gateway)]
    assert (await gateway.restart(*SOON))[0] == 0
    await until(lambda: not gateway.pids("envoy-retired-"), 60)
    await asyncio.wait(streams, timeout=10)
    envoys.append(gateway.pids()["envoy"])
    streams.append(await _endless(gateway))
    await _stopped_in_order(gateway, envoys, streams)


async def test_it_ends_in_order_after_its_supervisor_was_killed(gateway: GatewayProcess) -> None:
    await gateway.start()
    assert (await gateway.restart())[0] == 0
    envoy, stream = gateway.pids()["envoy"], await _endless(gateway)
    gateway.send(signal.SIGKILL)
    await gateway.wait()
    await gateway.start(*SOON)
    assert gateway.pids()["envoy"] == envoy
    await _stopped_in_order(gateway, [envoy], [stream])


async def test_one_that_is_killed_is_replaced_and_leaves_nothing(gateway: GatewayProcess) -> None:
    await gateway.start(*SOON)
    assert (await gateway.restart())[0] == 0
    killed = gateway.pids()["envoy"]
    (left,) = {path.name.partition("_")[0] for path in (gateway.state / "run").glob("envoy-*_*")}
    os.kill(killed, signal.SIGKILL)
    await until(lambda: gateway.pids().get("envoy", killed) != killed, 60)
    assert list((gateway.state / "run").glob(f"{left}*")) == []
    async with asyncio.timeout(60):
        while await gateway.answer() != 200:
            pass
    gateway.send(signal.SIGTERM)
    assert await gateway.wait() == 0
    assert list((gateway.state / "run").iterdir()) == []
