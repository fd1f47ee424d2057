"""`headgate restart` under load, and when something goes wrong in the middle of it."""

import asyncio
import json
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml
from gateway_process import GatewayProcess, free_address, until
from load import Load

from tests.certificates import Authority
from tests.stopped import stop

pytestmark = pytest.mark.alone

STREAMS = 50
WELL = {"new", "kept", "stream begun", "stream"}
HALF_ANSWERED = 3  # of 100 requests a second, half of them on that worker; nearly always none


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    gateway = GatewayProcess(tmp_path / "state")
    yield gateway
    await gateway.clean_up()


async def _until_step(process: asyncio.subprocess.Process, part: str) -> None:
    """Until the restart of `part` has begun."""
    assert process.stdout
    while line := await process.stdout.readline():
        if json.loads(line).get("part") == part:
            return
    raise AssertionError(f"{part} has no turn")


async def test_three_restarts_under_load_fail_no_request_and_cut_no_stream(gateway: GatewayProcess) -> None:
    await gateway.start()
    seen = [gateway.pids()]
    spools = len(list((gateway.state / "spool").glob("*.ndjson")))
    unready = []
    async with Load(gateway, STREAMS) as load:
        for _ in range(3):
            restarting = asyncio.create_task(gateway.restart())
            while not restarting.done():
                status, said = await gateway.readyz()
                if status != 200:
                    unready.append(said)
                await asyncio.sleep(0.02)
            status, steps, errors = await restarting
            assert (status, steps[-1]) == (0, {"done": True}), errors
            seen.append(gateway.pids())
            await asyncio.sleep(1)
    assert set(load.outcomes) == WELL, load.outcomes
    assert load.outcomes["new"] > 100
    assert load.outcomes["kept"] > 100
    assert load.outcomes["stream"] >= STREAMS
    assert unready == []
    for part in ("filters-0", "filters-1", "envoy"):
        assert len({pids[part] for pids in seen}) == 4
    for part in ("valkey", "simulator"):
        assert len({pids[part] for pids in seen}) == 1
    assert len(list((gateway.state / "spool").glob("*.ndjson"))) == spools + 3
    await until(lambda: not gateway.pids("envoy-retired-"), 60)
    assert not any(gateway.alive(pids["envoy"]) for pids in seen[:-1])
    gateway.send(signal.SIGTERM)
    assert await gateway.wait() == 0
    assert list((gateway.state / "run").iterdir()) == []


async def _stream(gateway: GatewayProcess, tokens: int) -> "asyncio.Task[list[str]]":
    started = asyncio.Event()
    stream = asyncio.create_task(gateway.stream(tokens, started))
    async with asyncio.timeout(60):
        await started.wait()
    return stream


async def test_a_worker_that_does_not_come_up_leaves_the_old_one(gateway: GatewayProcess) -> None:
    await gateway.start()
    before = gateway.pids()
    snapshot = gateway.state / "snapshot.json"
    tables = snapshot.read_bytes()
    snapshot.write_text("not tables")
    status, steps, errors = await gateway.restart()
    assert status == 1
    assert errors.startswith("filters-0: the new process ended; the end of ")
    assert steps[-1] == {"done": False, "reason": errors.rstrip("\n")}
    assert gateway.pids() == before
    assert [await gateway.answer() for _ in range(4)] == [200] * 4
    snapshot.write_bytes(tables)
    log = gateway.state / "log/filters-0.log"
    log.rename(log.with_suffix(".before"))
    log.mkdir()
    status, _steps, errors = await gateway.restart()
    assert status == 1
    assert errors == "filters-0: the new process did not start: [Errno 21] Is a directory: 'log/filters-0.log'\n"
    assert gateway.pids() == before
    log.rmdir()
    assert (await gateway.restart())[0] == 0
    assert await gateway.answer() == 200


async def test_an_envoy_that_gets_no_sockets_leaves_the_old_one(gateway: GatewayProcess) -> None:
    await gateway.start()
    before = gateway.pids()["envoy"]
    stream = await _stream(gateway, 300)
    for path in (gateway.state / "run").glob("envoy-*_parent_*"):
        path.unlink()
    status, _steps, errors = await gateway.restart()
    assert status == 1
    assert errors.startswith("envoy: the running one does not hand over its sockets")
    assert gateway.pids("envoy") == {"envoy": before}
    assert (await gateway.readyz())[0] == 200
    assert await gateway.answer() == 200
    assert (await stream)[-1] == "[DONE]"


@pytest.mark.parametrize("part", ["filters-1", "envoy"])
async def test_a_supervisor_killed_in_the_middle_loses_nothing(gateway: GatewayProcess, part: str) -> None:
    await gateway.start()
    before = gateway.pids()
    stream = await _stream(gateway, 400)
    async with gateway.restarting() as restarting:
        await _until_step(restarting, part)
        gateway.send(signal.SIGKILL)
        await gateway.wait()
        assert await restarting.wait() == 1
    await gateway.start()
    assert await gateway.answer() == 200
    assert (await gateway.readyz())[0] == 200
    assert (await gateway.restart())[0] == 0
    assert await gateway.answer() == 200
    assert (await stream)[-1] == "[DONE]"
    assert gateway.pids()["valkey"] == before["valkey"]
    await until(lambda: not gateway.pids("envoy-retired-"), 60)
    gateway.send(signal.SIGTERM)
    assert await gateway.wait() == 0
    assert not gateway.alive(before["envoy"])
    assert list((gateway.state / "run").iterdir()) == []


async def test_sigterm_in_the_middle_ends_everything(gateway: GatewayProcess) -> None:
    await gateway.start()
    async with gateway.restarting() as restarting:
        await _until_step(restarting, "envoy")
        pids = gateway.pids()
        gateway.send(signal.SIGTERM)
        assert await gateway.wait() == 0
        await restarting.wait()
    assert not any(gateway.alive(pid) for pid in pids.values())
    assert list((gateway.state / "run").iterdir()) == []
    assert not (gateway.state / "parts.json").exists()


async def test_one_restart_at_a_time_and_none_without_a_gateway(gateway: GatewayProcess) -> None:
    gateway.state.mkdir()
    status, steps, errors = await gateway.restart()
    assert (status, steps) == (1, [])
    assert errors == f"no gateway runs on {gateway.state}: give its --state\n"
    await gateway.start()
    async with gateway.restarting() as restarting:
        await _until_step(restarting, "filters-0")
        status, _steps, errors = await gateway.restart()
        assert (status, errors) == (1, "a restart is under way\n")
        assert await restarting.wait() == 0


async def test_only_our_own_user_may_ask(gateway: GatewayProcess) -> None:
    await gateway.start()
    assert (gateway.state / "run/supervisor.sock").stat().st_mode & 0o777 == 0o600
    assert (await gateway.restart())[0] == 0
    hot = json.loads((gateway.state / "parts.json").read_bytes())["parts"]["envoy"]["hot"]
    assert (gateway.state / hot).stat().st_mode & 0o777 == 0o600
    memory = f"/dev/shm/envoy_shared_memory_{int(hot.rpartition('_')[2]) // 10 * 10}"  # noqa: S108 - only looked for
    assert not os.path.exists(memory)  # noqa: ASYNC240, PTH110


async def test_a_worker_that_hangs_fails_only_what_it_had_half_answered(gateway: GatewayProcess) -> None:
    await gateway.start()
    before = gateway.pids("filters-")
    async with Load(gateway, 5) as load:
        stop(before["filters-1"])
        await until(lambda: gateway.pids("filters-").get("filters-1") not in (None, before["filters-1"]), 60)
        await asyncio.sleep(1)
    failed = {outcome: n for outcome, n in load.outcomes.items() if outcome not in WELL}
    assert all(": 503 " in outcome and "gateway_unavailable" in outcome for outcome in failed), failed
    # Envoy asks nobody else once it has the first of extproc's two answers: about a millisecond of each request.
    assert sum(failed.values()) <= HALF_ANSWERED, failed
    assert load.outcomes["new"] > 100
    assert load.outcomes["kept"] > 100
    assert gateway.pids("filters-")["filters-0"] == before["filters-0"]


async def test_a_restart_takes_over_what_a_reload_cannot(gateway: GatewayProcess) -> None:
    await gateway.start()
    config, old_http = gateway.state / "quickstart.yaml", gateway.http
    text = config.read_text()
    stream = await _stream(gateway, 300)

    gateway.http = free_address()
    config.write_text(text.replace(old_http, gateway.http))
    assert (await gateway.restart())[0] == 0
    assert await gateway.answer() == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(old_http.rpartition(":")[2])))
    assert (await stream)[-1] == "[DONE]"

    taken = free_address()
    with socket.create_server(("127.0.0.1", int(taken.rpartition(":")[2]))):
        config.write_text(text.replace(old_http, taken))
        status, _steps, errors = await gateway.restart()
    assert status == 1
    assert errors.startswith(f"listen.http: {taken} is taken by another process")
    config.write_text(text.replace(gateway.admin, free_address()).replace(old_http, gateway.http))
    status, _steps, errors = await gateway.restart()
    assert (status, errors.splitlines()) == (
        1,
        ["listen.admin changed, which only a new start of headgate up takes over", "nothing was restarted"],
    )
    assert await gateway.answer() == 200


async def test_a_restart_takes_over_tls_with_files_of_its_own(gateway: GatewayProcess, tmp_path: Path) -> None:
    await gateway.start()
    authority, https = Authority(), free_address()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    cert, key = authority.issue("127.0.0.1").write(tmp_path, "server")
    config = gateway.state / "quickstart.yaml"
    document = yaml.safe_load(config.read_text())
    tls = {"address": https, "cert": str(cert), "key": str(key), "client_ca": str(tmp_path / "ca.pem")}
    document["listen"]["https"] = tls
    config.write_text(yaml.safe_dump(document))
    status, _steps, errors = await gateway.restart()
    assert (status, errors) == (0, "")

    context = ssl.create_default_context(cafile=tls["client_ca"])
    context.load_cert_chain(*authority.issue("client").write(tmp_path, "client"))
    url = f"https://{https}/v1/models"
    async with aiohttp.ClientSession() as session:
        async with session.get(url, headers=gateway.headers(), ssl=context) as reply:
            assert reply.status == 200
        with pytest.raises(aiohttp.ClientOSError):
            await session.get(url, ssl=ssl.create_default_context(cafile=tls["client_ca"]))
