"""Edits of gateway.yaml under a running `headgate up`, as operators make them: right, half, wrong, at bad moments."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from edits import Edited, edited, key_line, model, new_key
from gateway_process import HEADGATE, GatewayProcess, until


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Edited]:
    async with edited(tmp_path) as found:
        yield found


async def test_what_comes_and_goes_by_an_edit(gateway: Edited) -> None:
    await gateway.start()
    envoy = gateway.gateway.pids()["envoy"]
    assert (await gateway.status_of("new"), await gateway.status_of()) == (404, 200)

    other = new_key()
    document = gateway.document
    document["providers"]["second"] = document["providers"]["local"] | {"connect_timeout": "1s"}
    document["models"]["new"] = model("second", timeouts={"total": "1s"})
    document["tenants"]["globex"] = {"models": ["new"], "keys": [key_line(other)]}
    document["tenants"]["acme"]["models"].append("new")
    await gateway.saved()
    assert [await gateway.status_of("new"), await gateway.status_of("new", other)] == [200, 200]

    del document["tenants"]["globex"]
    document["tenants"]["acme"]["models"].remove("new")
    await gateway.saved()
    assert [await gateway.status_of("new"), await gateway.status_of("new", other)] == [404, 401]
    assert gateway.clusters() == ["provider/local", "provider/second"]

    del document["models"]["new"], document["providers"]["second"]
    await gateway.saved()
    assert gateway.clusters() == ["provider/local", "provider/second"]  # a request may still retry on it
    await until(lambda: gateway.clusters() == ["provider/local"], 60)
    assert gateway.gateway.pids()["envoy"] == envoy
    assert await gateway.status_of() == 200


async def test_every_way_to_edit_a_file_is_noticed(gateway: Edited) -> None:
    """In place, by renaming over it, and as Kubernetes does: a link that turns to another folder."""
    await gateway.start()
    for change in ("1s", "2s"):
        gateway.document["models"]["chat"]["timeouts"] = {"headers": change}
        before = (await gateway.config())["generation"]
        gateway.file.write_text(gateway.text())
        await gateway.reaches(before + 1)
    gateway.gateway.send(signal.SIGTERM)
    assert await gateway.gateway.wait() == 0

    folder = gateway.folder / "mounted"
    for version in ("v1", "v2"):
        (folder / version).mkdir(parents=True)
    (folder / "..data").symlink_to("v1")
    (folder / "gateway.yaml").symlink_to("..data/gateway.yaml")
    (folder / "v1/gateway.yaml").write_text(gateway.text())
    gateway.document["models"]["more"] = model("local")
    (folder / "v2/gateway.yaml").write_text(gateway.text())
    await gateway.gateway.start("-c", str(folder / "gateway.yaml"), quick=False)
    before = (await gateway.config())["generation"]
    (folder / "..data_tmp").symlink_to("v2")
    (folder / "..data_tmp").replace(folder / "..data")
    await gateway.reaches(before + 1)


async def test_an_edit_that_is_written_by_half_changes_nothing(gateway: Edited) -> None:
    await gateway.start()
    del gateway.document["listen"]["admin"]  # it comes last: without it this is a whole file, on another address
    gateway.document["models"]["late"] = model("local")
    gateway.document["tenants"]["acme"]["models"].append("late")
    admin = json.dumps({"admin": gateway.gateway.admin})[1:-1]
    whole = gateway.text().replace('"listen": {', '"listen": {' + admin + ",")
    half = "\n".join(f"{name}: {json.dumps(part)}" for name, part in json.loads(whole).items() if name != "tenants")
    with gateway.file.open("w") as file:
        file.write(half + "\n")  # correct by itself: without tenants
        file.flush()
        os.fsync(file.fileno())
        await asyncio.sleep(2)
        assert (await gateway.config())["generation"] == 1
        assert (await gateway.config())["error"] is None
        assert await gateway.status_of() == 200
        file.write("tenants: " + json.dumps(gateway.document["tenants"]) + "\n")
    await gateway.reaches(2)
    assert await gateway.status_of("late") == 200


async def test_a_broken_edit_is_reported_and_changes_nothing(gateway: Edited) -> None:
    await gateway.start()
    right = gateway.file.read_text()
    gateway.document["models"]["chat"]["targets"][0]["provider"] = "locl"
    gateway.save()
    error = await gateway.fails()
    assert 'unknown provider "locl"' in error
    assert str(gateway.file) in error
    status, body = await gateway.gateway.readyz()
    assert (status, body["generation"], body["config"]["generation"]) == (200, 1, 1)
    shown = await asyncio.to_thread(_status_of, gateway)
    assert "generation 1" in shown
    assert "locl" in shown
    assert gateway.gateway.log().count("configuration not loaded") == 1
    assert await gateway.status_of() == 200

    gateway.file.write_text(right)
    await gateway.mends()
    assert (await gateway.config())["generation"] == 1
    gateway.file.unlink()
    assert "cannot be read" in await gateway.fails()
    assert await gateway.status_of() == 200


def _status_of(gateway: Edited) -> str:
    command = [HEADGATE, "status", "--state", str(gateway.gateway.state)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


async def test_what_needs_a_restart_is_named_and_nothing_of_the_edit_applied(gateway: Edited) -> None:
    await gateway.start()
    gateway.document["listen"]["max_body"] = "1MiB"
    gateway.document["tenants"] = {}
    gateway.save()
    error = await gateway.fails()
    assert "restart needed: listen.max_body" in error
    assert "nothing of this edit" in error
    assert await gateway.status_of() == 200


async def test_sighup_loads_at_once_and_only_what_is_new(gateway: Edited) -> None:
    await gateway.start()
    gateway.gateway.send(signal.SIGHUP)
    await until(lambda: "configuration is unchanged" in gateway.gateway.log(), 60)
    gateway.document["models"]["more"] = model("local")
    with gateway.file.open("w") as file:  # kept open: nobody but the operator knows that it is complete
        file.write(gateway.text())
        file.flush()
        gateway.gateway.send(signal.SIGHUP)
        await gateway.reaches(2, 8)


async def test_many_edits_in_quick_succession_become_few_reloads(gateway: Edited) -> None:
    await gateway.start()
    for number in range(40):
        gateway.document["models"][f"m{number}"] = model("local")
        gateway.save()
        await asyncio.sleep(0.02)
    gateway.document["tenants"]["acme"]["models"].append("m39")
    gateway.save()
    for _ in range(400):
        if await gateway.status_of("m39") == 200:
            break
        await asyncio.sleep(0.05)
    assert await gateway.status_of("m39") == 200
    assert (await gateway.config())["generation"] <= 10


@pytest.mark.parametrize("is_tenants_own", [False, True])
async def test_a_request_under_way_may_retry_on_a_provider_that_was_removed(
    gateway: Edited, is_tenants_own: bool
) -> None:
    accepted: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _reader, writer: accepted.append(writer), "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()
    gateway.document["providers"]["pair"] = {
        "api": "openai", "endpoints": [f"http://{host}:{port}", f"http://{gateway.local.address}"]
    }  # fmt: skip
    gateway.document["models"]["pair"] = model(
        "pair", timeouts={"headers": "4s", "total": "8s"}, retry_on=["timeout", "5xx"]
    )
    acme = gateway.document["tenants"]["acme"]
    acme["models"].append("pair")
    if is_tenants_own:
        acme["targets"] = {"pair": gateway.document["models"]["pair"]["targets"]}
        gateway.document["models"]["pair"]["targets"] = model("local")["targets"]
    await gateway.start()
    asked = [asyncio.create_task(_streamed(gateway, "pair")) for _ in range(8)]
    await until(lambda: accepted, 60)
    del gateway.document["providers"]["pair"], gateway.document["models"]["pair"]
    acme["models"].remove("pair")
    acme.pop("targets", None)
    await gateway.saved()
    waiting = len(accepted)
    assert waiting
    assert await gateway.status_of("pair") == 404
    assert [status for status, _attempts in await asyncio.gather(*asked)] == [200] * 8
    assert sum(attempts == "2" for _status, attempts in [task.result() for task in asked]) == waiting
    for writer in accepted:
        writer.close()
    silent.close()


async def _streamed(gateway: Edited, name: str) -> tuple[int, str]:
    body = {"model": name, "stream": True, "max_tokens": 2, "messages": [{"role": "user", "content": "x"}]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(gateway.gateway.url(), json=body, headers={"authorization": f"Bearer {gateway.key}"}) as reply,
    ):
        text = await reply.text()
        return (reply.status if text.endswith("data: [DONE]\n\n") else 0), reply.headers["x-headgate-attempts"]


async def test_a_request_that_arrives_slowly_over_a_reload_goes_by_the_new_route(gateway: Edited) -> None:
    """Envoy keeps it to the routes of its beginning, and those do not have the one that it is planned for."""
    refused = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    host, port = refused.sockets[0].getsockname()
    gateway.document["providers"]["pair"] = {
        "api": "openai", "endpoints": [f"http://{host}:{port}", f"http://{gateway.local.address}"]
    }  # fmt: skip
    gateway.document["models"]["pair"] = model("pair")
    gateway.document["tenants"]["acme"]["models"].append("pair")
    await gateway.start()
    reloaded = asyncio.Event()
    body = json.dumps({"model": "pair", "messages": [{"role": "user", "content": "x"}], "max_tokens": 2}).encode()

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:10]
        await reloaded.wait()
        yield body[10:]

    async def asked() -> int:
        headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(gateway.gateway.url(), data=slowly(), headers=headers) as reply,
        ):
            await reply.read()
            return reply.status

    clients = [asyncio.create_task(asked()) for _ in range(12)]
    await asyncio.sleep(0.5)
    gateway.document["models"]["pair"]["timeouts"] = {"total": "77s"}
    await gateway.saved()
    reloaded.set()
    assert await asyncio.gather(*clients) == [200] * 12
    refused.close()


async def test_the_quickstarts_file_can_be_edited_too(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path / "state")
    try:
        await gateway.start()
        await asyncio.to_thread(_rename_embed, Path(gateway.lines["config"]))
        for _ in range(400):
            if (await gateway.readyz())[1]["config"]["generation"] == 2:
                break
            await asyncio.sleep(0.05)
        assert (await gateway.readyz())[1]["config"]["generation"] == 2
        assert await gateway.answer() == 200
    finally:
        await gateway.clean_up()


def _rename_embed(file: Path) -> None:
    file.write_text(file.read_text().replace("embed:", "embed-2:").replace("- embed\n", "- embed-2\n"))


async def test_a_part_that_runs_alone_reads_its_file_again_on_sighup(gateway: Edited) -> None:
    gateway.save()
    log = gateway.folder / "alone.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(HEADGATE, "serve", "authz", "-c", str(gateway.file), "--address", "127.0.0.1:0"),
            stdout=output,
            stderr=output,
        )
    try:
        await until(lambda: "worker started" in log.read_text(), 60)
        gateway.document["models"]["more"] = model("local")
        gateway.save()
        process.send_signal(signal.SIGHUP)
        await until(lambda: "tables taken over" in log.read_text(), 60)
        gateway.file.write_text("models: 3\n")
        process.send_signal(signal.SIGHUP)
        await until(lambda: "tables not taken over" in log.read_text(), 60)
        assert process.returncode is None
    finally:
        process.terminate()
        await process.wait()
