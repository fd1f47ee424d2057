"""Edits while something hangs or is killed: what runs afterwards goes by the edit, as a whole."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from edits import Edited, edited, model

from tests.stopped import stop


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Edited]:
    async with edited(tmp_path) as found:
        yield found


async def test_a_worker_that_hangs_is_replaced_by_one_with_the_new_tables(gateway: Edited) -> None:
    await gateway.start()
    stopped = gateway.gateway.pids()["filters-0"]
    stop(stopped)
    gateway.document["models"]["more"] = model("local")
    gateway.document["tenants"]["acme"]["models"].append("more")
    await gateway.saved(40)
    assert not gateway.gateway.alive(stopped)
    for _ in range(10):
        assert await gateway.status_of("more") == 200


async def test_a_worker_that_is_killed_while_it_should_turn_comes_back_turned(gateway: Edited) -> None:
    await gateway.start()
    for number in range(4):
        name = f"m{number}"
        gateway.document["models"][name] = model("local")
        gateway.document["tenants"]["acme"]["models"].append(name)
        gateway.save()
        for _ in range(6):
            await asyncio.sleep(0.2)
            os.kill(gateway.gateway.pids().get("filters-1", os.getpid()), 0)
            pid = gateway.gateway.pids().get("filters-1")
            if pid:
                os.kill(pid, signal.SIGKILL)
        await gateway.reaches(number + 2, 40)
        seen = {await gateway.status_of(name) for _ in range(10)}
        assert seen <= {200, 503}  # 503: the call was in flight on the one that was killed
    said = {path.name: path.read_text() for path in (gateway.gateway.state / "run").glob("*.generation")}
    assert set(said.values()) == {"5\n"}


@pytest.mark.parametrize("after_s", [0.4, 0.6, 0.75, 1.0])
async def test_a_supervisor_killed_in_the_middle_leaves_what_the_next_can_go_on_with(
    gateway: Edited, after_s: float
) -> None:
    await gateway.start()
    envoy = gateway.gateway.pids()["envoy"]
    stream = asyncio.create_task(
        gateway.ask(stream=False, max_tokens=300, simulate={"tokens": 300, "token_s": 0.02, "ttft_s": 0.02})
    )
    gateway.document["providers"]["second"] = dict(gateway.document["providers"]["local"])
    gateway.document["providers"]["local"]["connect_timeout"] = "1s"
    gateway.document["models"]["new"] = model("second", timeouts={"total": "9s"})
    gateway.document["tenants"]["acme"]["models"].append("new")
    gateway.save()
    await asyncio.sleep(after_s)
    gateway.gateway.send(signal.SIGKILL)
    await gateway.gateway.wait()
    _assert_consistent(gateway)
    await gateway.gateway.start("-c", str(gateway.file), quick=False)
    _assert_consistent(gateway)
    assert (await gateway.config())["generation"] == 2
    assert gateway.file_of("generation.json")["number"] == 2
    assert gateway.gateway.pids()["envoy"] == envoy
    assert [await gateway.status_of(), await gateway.status_of("new")] == [200, 200]
    assert gateway.clusters() == ["provider/local", "provider/local", "provider/second"]  # the old one may be needed
    assert (await stream)[0] == 200
    gateway.document["models"]["newer"] = model("second")
    await gateway.saved()


def _assert_consistent(gateway: Edited) -> None:
    """What a worker or an Envoy that starts now would read fits together."""
    snapshot = gateway.file_of("snapshot.json")
    clusters = {one["name"] for one in gateway.file_of("envoy/cds.json")["resources"]}
    (host,) = gateway.file_of("envoy/rds.json")["resources"][0]["virtual_hosts"]
    routes = {route["name"] for route in host["routes"]}
    targets = [row for tenant in snapshot["tenants"].values() for rows in tenant["models"].values() for row in rows]
    assert {target["cluster"] for target in targets} <= clusters
    assert {row["stream_profile"] for row in snapshot["models"].values()} <= routes
    assert snapshot["generation"] <= gateway.file_of("generation.json")["number"]
