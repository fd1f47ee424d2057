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
from edits import Edited, edited, engine, key_line, model, new_key
from gateway_process import HEADGATE, GatewayProcess, until

PROVIDER_KEY = {"HEADGATE_TEST_KEY": "sk-first"}


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


async def test_a_secret_that_changes_on_disk_is_handed_on_and_a_broken_one_is_not(gateway: Edited) -> None:
    secret = gateway.folder / "provider-key"
    secret.write_text("sk-one\n")
    gateway.document["providers"]["local"]["api_key"] = f"file:{secret}"
    await gateway.start()
    assert await gateway.status_of() == 200
    assert gateway.local.seen()[-1]["authorization"] == "Bearer sk-one"

    async def becomes(expected: str) -> None:
        """Each of Envoy's threads looks for itself; many requests in a row meet all of them."""
        in_a_row = 0
        async with asyncio.timeout(60):
            while in_a_row < 12:
                assert await gateway.status_of() == 200
                in_a_row = in_a_row + 1 if gateway.local.seen()[-1]["authorization"] == expected else 0

    secret.write_text("sk-two\n")
    await becomes("Bearer sk-two")
    secret.write_text("")
    error = await gateway.fails()
    assert "providers.local.api_key" in error
    assert "the one in use stays" in error
    assert await gateway.status_of() == 200
    assert gateway.local.seen()[-1]["authorization"] == "Bearer sk-two"
    secret.write_text("sk-three\n")
    await becomes("Bearer sk-three")
    assert await gateway.config() | {"age_s": 0, "loaded": ""} == {
        "generation": 1, "age_s": 0, "loaded": "", "error": None
    }  # fmt: skip
    assert "sk-" not in gateway.gateway.log()


async def test_a_variable_that_is_not_there_is_a_clear_error(gateway: Edited) -> None:
    await gateway.start(**PROVIDER_KEY)
    gateway.document["providers"]["local"]["api_key"] = "env:HEADGATE_TEST_OTHER"
    gateway.save()
    error = await gateway.fails()
    assert "environment variable HEADGATE_TEST_OTHER is not set" in error
    assert "the environment of its start" in error
    gateway.document["providers"]["local"]["api_key"] = "env:HEADGATE_TEST_KEY"
    gateway.save()
    await gateway.mends()
    assert await gateway.status_of() == 200
    assert gateway.local.seen()[-1]["authorization"] == "Bearer sk-first"


async def test_a_provider_that_moves_takes_its_new_key_to_the_new_place_alone(gateway: Edited) -> None:
    async with engine(gateway.folder, "other") as other:
        (gateway.folder / "one").write_text("sk-one")
        (gateway.folder / "two").write_text("sk-two")
        places = [(gateway.local, "one"), (other, "two")]
        gateway.document["providers"]["local"]["api_key"] = "file:one"
        await gateway.start()
        moving = asyncio.Event()

        async def asking() -> None:
            while not moving.is_set():
                assert await gateway.status_of() == 200

        clients = [asyncio.create_task(asking()) for _ in range(8)]
        for turn in range(1, 7):
            place, key = places[turn % 2]
            gateway.document["providers"]["local"] |= {
                "endpoints": [f"http://{place.address}"],
                "api_key": f"file:{key}",
            }
            await gateway.saved()
        moving.set()
        await asyncio.gather(*clients)
        for place, key in places:
            assert {seen["authorization"] for seen in place.seen()} == {f"Bearer sk-{key}"}


async def test_a_request_under_way_may_retry_on_a_provider_that_was_removed(gateway: Edited) -> None:
    accepted: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _reader, writer: accepted.append(writer), "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()
    gateway.document["providers"]["pair"] = {
        "api": "openai", "endpoints": [f"http://{host}:{port}", f"http://{gateway.local.address}"]
    }  # fmt: skip
    gateway.document["models"]["pair"] = model(
        "pair", timeouts={"headers": "4s", "total": "8s"}, retry_on=["timeout", "5xx"]
    )
    gateway.document["tenants"]["acme"]["models"].append("pair")
    await gateway.start()
    asked = [asyncio.create_task(_streamed(gateway, "pair")) for _ in range(8)]
    await until(lambda: accepted, 60)
    del gateway.document["providers"]["pair"], gateway.document["models"]["pair"]
    gateway.document["tenants"]["acme"]["models"].remove("pair")
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


async def test_a_worker_that_hangs_is_replaced_by_one_with_the_new_tables(gateway: Edited) -> None:
    await gateway.start()
    stopped = gateway.gateway.pids()["filters-0"]
    os.kill(stopped, signal.SIGSTOP)
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
