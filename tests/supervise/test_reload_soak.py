"""Reloads under load: no request that was entitled to succeed fails, no stream is cut, nobody's memory grows.

`make soak` runs it with 1,000 reloads; HEADGATE_SOAK_RELOADS sets another number.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from edits import Edited, Engine, edited, engine, key_line, model, new_key
from gateway_process import until
from soak import Caller, Load, resident_mib

pytestmark = pytest.mark.alone

RELOADS = int(os.environ.get("HEADGATE_SOAK_RELOADS", "30"))
LONG = RELOADS > 200
AT_ONCE = 4  # sets of a provider, a model and a tenant that are there at the same time
RATE, STREAMS, STREAM_S = 100, 50, 60 if LONG else 4
TOTAL = "70s" if LONG else "5s"  # longer than a stream; removed providers stay this long, and 10 s more
GROWTH = 1.10
GROWTH_MIB = 8  # what a heap may gain by being cut up: far less than one cluster or table per reload would


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Edited]:
    async with edited(tmp_path) as found:
        yield found


class Cast:
    """The sets that come and go, and what changes with them in those that stay."""

    def __init__(self, gateway: Edited, engines: list[Engine]) -> None:
        self._gateway, self._engines = gateway, engines
        self._sets: list[tuple[int, Caller]] = []

    def next(self, number: int) -> tuple[Caller, Caller | None]:
        """Put set `number` in and take the oldest out; the callers of both. Nothing is saved yet."""
        document, name, key = self._gateway.document, f"s{number}", new_key()
        address = self._engines[number % 2].address
        provider: dict[str, Any] = {
            "api": "openai",
            "endpoints": [f"http://{address}"],
            "api_key": f"file:{name}.key",
        }
        if number % 3 == 0:
            provider["health_check"] = "/health"
        (self._gateway.folder / f"{name}.key").write_text(f"sk-{name}")
        document["providers"][name] = provider
        document["models"][name] = model(name, timeouts={"total": TOTAL, "idle": "10s"}, max_attempts=1 + number % 3)
        document["tenants"][name] = {"models": [name], "keys": [key_line(key)]}
        document["tenants"]["acme"]["keys"][1:] = [key_line(new_key(), name)]
        if number % 5 == 0:  # what the streams of those that stay run on is changed too
            document["providers"]["local"]["connect_timeout"] = f"{1000 + number}ms"
            document["models"]["chat"]["timeouts"] = {"total": f"{200 + number % 7}s", "idle": "30s"}
        caller, gone = Caller(key, name), None
        self._sets.append((number, caller))
        if len(self._sets) > AT_ONCE:
            old, gone = self._sets.pop(0)
            for section in ("providers", "models", "tenants"):
                del document[section][f"s{old}"]
        return caller, gone


@pytest.mark.timeout(5400 if LONG else 300)
async def test_reloads_under_load(gateway: Edited) -> None:
    gateway.document["models"]["chat"]["timeouts"] = {"total": "200s", "idle": "30s"}
    async with engine(gateway.folder, "other") as other:
        await gateway.start()
        first = Caller(gateway.key, "chat")
        load = Load(gateway.gateway.url(), [first] * AT_ONCE, RATE, STREAMS, STREAM_S)
        loading = asyncio.create_task(load.run())
        cast = Cast(gateway, [gateway.local, other])
        memory: list[dict[str, float]] = []
        took_s: list[float] = []
        began = time.monotonic()
        for number in range(1, RELOADS + 1):
            caller, gone = cast.next(number)
            if gone:
                load.callers.remove(gone)
            took_s.append(await _reloaded(gateway, number + 1, by_signal=number % 10 != 0))
            load.callers.append(caller)
            if number % max(RELOADS // 10, 1) == 0:
                memory.append(_memory(gateway))
                _tell(f"{number} reloads, {load.done['short']} requests, {len(load.failures)} failed, {memory[-1]}")
        lasted_s = time.monotonic() - began
        load.end()
        await loading
        rate = load.done["short"] / lasted_s
        took_s.sort()
        _tell(
            f"{RELOADS} reloads in {lasted_s:.0f} s "
            f"(median {took_s[len(took_s) // 2]:.2f} s, longest {took_s[-1]:.2f} s), "
            f"{load.done['short']} short requests ({rate:.0f}/s, slowest {load.slowest_s:.2f} s), "
            f"{load.done['stream']} streams ({STREAMS} at once), {len(load.failures)} failed"
        )
        assert load.failures == []
        assert load.done["stream"] >= STREAMS
        _assert_flat(memory)
        await _assert_nothing_left(gateway)


async def _reloaded(gateway: Edited, generation: int, *, by_signal: bool) -> float:
    began = time.monotonic()
    gateway.save()
    if by_signal:
        gateway.gateway.send(signal.SIGHUP)
    async with asyncio.timeout(60):
        while (found := await gateway.config())["generation"] < generation:
            assert not found["error"], found
            await asyncio.sleep(0.05)
    return time.monotonic() - began


def _memory(gateway: Edited) -> dict[str, float]:
    """MiB of everybody who could keep something of a reload."""
    pids = {name: pid for name, pid in gateway.gateway.pids().items() if name.startswith(("envoy", "filters-"))}
    assert gateway.gateway.process
    pids["supervisor"] = gateway.gateway.process.pid
    return {name: round(resident_mib(pid), 1) for name, pid in pids.items()}


def _assert_flat(memory: list[dict[str, float]]) -> None:
    """From the middle on, when as many removed providers wait as ever will, until the end."""
    if not LONG:
        return
    settled, last = memory[len(memory) // 2 - 1], memory[-1]
    assert {name: last[name] < settled[name] * GROWTH + GROWTH_MIB for name in last} == dict.fromkeys(last, True), (
        memory
    )


async def _assert_nothing_left(gateway: Edited) -> None:
    """What was removed goes, from Envoy's files, its statistics and the secrets."""
    providers = gateway.document["providers"]
    wanted = sorted(f"provider/{name}" for name in providers)
    keyed = sorted(name for name, provider in providers.items() if "api_key" in provider)
    secrets = gateway.gateway.state / "secrets"
    connector = aiohttp.UnixConnector(str(gateway.gateway.state / "run/envoy-admin.sock"))
    query = {"filter": r"^cluster\.provider/s\d+\.upstream_cx_total$"}
    await until(lambda: sorted(set(gateway.clusters())) == wanted, 150)
    await until(lambda: sorted(path.name.partition("@")[0] for path in secrets.glob("*@*")) == keyed, 60)
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(100):
            async with session.get("http://envoy/stats", params=query) as reply:
                counted = len((await reply.text()).splitlines())
            if counted == AT_ONCE:
                break
            await asyncio.sleep(0.2)
    assert counted == AT_ONCE


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)  # noqa: T201 - figures for the one who runs it
