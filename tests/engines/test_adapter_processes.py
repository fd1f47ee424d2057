"""`headgate serve control` and `headgate serve engines` together: what is promoted comes to the engines."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from adapter_bench import Bench, Engine
from aiohttp import web

from control.audit_chain import Actor
from control.holdings import HOST_ID
from control.store.adapters import insert_adapter, insert_version, versions_of
from control.store.engine import sqlite_url
from control.store.hosts import list_hosts
from control.store.store import Store
from control.store.values import Adapter, Host
from headgate.contract import DATABASE, SNAPSHOT
from headgate.counters.address import parsed
from headgate.engine_rows import EngineRow
from headgate.feed.replicas import Replicas, ReplicaState
from headgate.feed.states import TargetStates
from headgate.feed.subscriber import Subscriber
from headgate.snapshot import Snapshot, TargetRow, TenantRow, ZonedTarget, write_snapshot
from tests.control.control_process import ControlProcess, control_process
from tests.control.rows import write_tenant
from tests.counters.valkey_server import ValkeyServer

HEADGATE = str(Path(sys.executable).with_name("headgate"))
ADMIN = Actor("system", "test")
GATEWAY = "adapters-test"


@pytest.fixture
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    """In a folder with a short name: a Unix socket's path ends at 107 bytes."""
    with control_process(tmp_path_factory.mktemp("a")) as running:
        running.until_state("up")
        yield running


@pytest.fixture
async def bench(control: ControlProcess) -> AsyncIterator[Bench]:
    """Its engines and its store; what control is, and who loads, are processes of their own."""
    made = Bench(control.state)
    for engine in made.engines:
        await engine.start()
    yield made
    for engine in made.engines:
        await engine.stop()


class Part:
    """`headgate serve engines` on the state that a host's control writes; `engines` are the host's own."""

    def __init__(self, state: Path, engines: list[Engine], server: ValkeyServer) -> None:
        urls = tuple(f"http://127.0.0.1:{engine.port}" for engine in engines)
        row = EngineRow("provider/llama@0", urls, 8, served="llama", max_loras=4, managed=True)
        target = TargetRow("llama", "openai", "provider/llama@0", "llama", "continuous", 1, 1, 2, has_adapters=True)
        chains = {"chat": [ZonedTarget("internal", target)]}
        tables = Snapshot(
            1, 0, 2**20, [], {"acme": TenantRow({"chat": [target]})}, {}, chains=chains, engines={"llama": row}
        )
        write_snapshot(tables, state / SNAPSHOT)
        self._state, self._url = state, f"unix://{server.socket}"
        self.process: subprocess.Popen[bytes] | None = None
        self.heard = Replicas()  # by a worker
        self.subscriber = Subscriber(parsed(self._url), GATEWAY, TargetStates(), replicas=self.heard)

    def state(self, port: int) -> ReplicaState | None:
        """What a worker knows of a replica."""
        known = {one.address: one.state for one in self.heard.of("provider/llama@0") or ()}
        return known.get(f"127.0.0.1:{port}")

    def start(self) -> None:
        command = [HEADGATE, "serve", "engines", "--state", str(self._state)]
        environ = {**os.environ, "HEADGATE_COUNTERS": self._url, "HEADGATE_GATEWAY_ID": GATEWAY}
        with (self._state / "engines.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
async def part(bench: Bench, server: ValkeyServer) -> AsyncIterator[Part]:
    made = Part(bench.state, bench.engines, server)
    made.subscriber.start()
    yield made
    made.kill()
    await made.subscriber.close()


@pytest.fixture
def store(control: ControlProcess) -> Iterator[Store]:
    found = Store.at(sqlite_url(control.state / DATABASE))
    with found.write(ADMIN) as unit:
        insert_adapter(unit, Adapter(tenant_id="acme", name="bot", base_model="chat", created_by="test"))
        unit.record("test.adapter", "adapter", "bot", tenant_id="acme")
    yield found
    found.close()


def promoted(bench: Bench, store: Store, value: float) -> int:
    """The next version is published, and wanted."""
    number = bench.publish(value)
    with store.write(ADMIN) as unit:
        insert_version(unit, replace(bench.control.versions[-1], wanted_weight=100, wanted_at=unit.now))
        unit.record("test.promote", "adapter_version", f"bot@{number}", tenant_id="acme")
    return number


def states(store: Store) -> dict[int, str]:
    with store.read() as reader:
        return {one.number: one.state for one in versions_of(reader, "acme", "bot")}


async def test_promotions_reach_engines_also_after_the_part_was_killed(
    bench: Bench, part: Part, store: Store
) -> None:
    part.start()
    first = promoted(bench, store, 0.5)
    await bench.until(lambda: states(store) == {first: "live"})
    assert await bench.on_all(first)
    folder = next((bench.state / "adapters").glob("[0-9a-f]*"))
    assert {path.name for path in folder.iterdir()} >= {"adapter_model.safetensors", "adapter_config.json"}
    part.kill()
    second = promoted(bench, store, 0.25)
    await bench.engines[0].stop()
    await bench.engines[0].start()
    await asyncio.to_thread(part.start)
    await bench.until(lambda: states(store) == {first: "staged", second: "live"})
    assert await bench.on_all(first, second)


async def test_a_replica_takes_no_requests_before_it_has_what_is_live(bench: Bench, part: Part, store: Store) -> None:
    part.start()
    first, second = bench.engines
    number = promoted(bench, store, 0.5)
    await bench.until(lambda: states(store) == {number: "live"})
    await bench.until(lambda: part.state(first.port) is ReplicaState.READY)
    may_load = asyncio.Event()

    async def wait(_request: web.Request) -> web.Response:
        await may_load.wait()
        first.fails.clear()
        return web.Response(status=503)

    first.fails["/v1/load_lora_adapter"] = wait
    await first.stop()
    await bench.until(lambda: part.state(first.port) is ReplicaState.AWAY)
    await first.start()
    await bench.until(lambda: part.state(first.port) is ReplicaState.STARTING)
    assert part.state(second.port) is ReplicaState.READY
    may_load.set()
    await bench.until(lambda: part.state(first.port) is ReplicaState.READY)


async def test_a_promotion_is_live_when_the_engines_of_both_hosts_have_it(
    bench: Bench,
    server: ValkeyServer,
    control: ControlProcess,
    store: Store,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    write_tenant(store, "acme")
    other = tmp_path_factory.mktemp("b")
    shutil.copytree(control.state / "identity", other / "identity", ignore=shutil.ignore_patterns("host"))
    (control.state / "objects").mkdir(mode=0o700, exist_ok=True)
    (other / "objects").symlink_to(control.state / "objects")  # one store, and one key that signs
    first, second = bench.engines
    with control_process(other, sqlite_url(control.state / DATABASE)) as its_control:
        its_control.until_state("up")
        parts = Part(bench.state, [first], server), Part(other, [second], server)
        try:
            for part in parts:
                await asyncio.to_thread(part.start)
            await bench.until(lambda: sum(bool(one.adapter_bases) for one in hosts(store)) == len(parts))
            await second.stop()
            number = promoted(bench, store, 0.5)
            here, there = ((state / HOST_ID).read_text().strip() for state in (control.state, other))

            async def is_on_one() -> bool:
                return bool((await asyncio.to_thread(shown, control, number))["staged_on"] == [here])

            await bench.until(is_on_one)
            found = await asyncio.to_thread(shown, its_control, number)
            assert (found["state"], [one["id"] for one in found["waits_for"]]) == ("validated", [there])
            await second.start()
            await bench.until(lambda: states(store) == {number: "live"})
            assert await bench.on_all(number)
        finally:
            for part in parts:
                part.kill()


def hosts(store: Store) -> tuple[Host, ...]:
    with store.read() as reader:
        return list_hosts(reader)


def shown(control: ControlProcess, number: int) -> dict[str, Any]:
    """As the admin API of a host says it."""
    answer = control.ask("GET", "/admin/v1/tenants/acme/adapters/bot")
    versions: list[dict[str, Any]] = answer.json()["versions"]
    return next(one for one in versions if one["version"] == number)
