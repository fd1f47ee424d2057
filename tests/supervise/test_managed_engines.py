"""Managed engines under a real `headgate up`: they come, come back, are replaced one by one, and go."""

import asyncio
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.supervise.gateway_process import HEADGATE, GatewayProcess, until

KEY = f"hg-{'e' * 43}"
SLOW = {"simulate": {"tokens": 120, "token_s": 0.02, "ttft_s": 0.02}}


class Engines:
    """A gateway whose file has an engine of simulators, and can be edited."""

    def __init__(self, gateway: GatewayProcess, file: Path) -> None:
        self.gateway, self.file = gateway, file
        self.document: dict[str, Any] = {
            "listen": {"http": gateway.http, "admin": gateway.admin},
            "engines": {"llama": {"kind": "simulator", "replicas": 2, "drain_timeout": "20s"}},
            "models": {"chat": {"targets": [{"provider": "llama", "model": "llama"}]}},
            "tenants": {
                "t": {
                    "models": ["chat"],
                    "keys": [{"name": "k", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
                }
            },
        }
        self.write()

    def write(self) -> None:
        draft = self.file.with_suffix(".new")
        draft.write_text(yaml.safe_dump(self.document))
        draft.replace(self.file)

    async def start(self) -> None:
        await self.gateway.start("-c", str(self.file), quick=False)

    def pids(self) -> dict[str, int]:
        return self.gateway.pids("engine-")

    def records(self) -> dict[str, dict[str, Any]]:
        return {name: record for name, record in self.gateway.records().items() if name.startswith("engine-")}

    async def ready(self, *names: str) -> None:
        """Wait until just these replicas are there, and work."""
        async with asyncio.timeout(60):
            while not await self._are_ready(set(names)):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)

    async def _are_ready(self, names: set[str]) -> bool:
        _, body = await self.gateway.readyz()
        found = {name: part["ready"] for name, part in body["parts"].items() if name.startswith("engine-")}
        return set(found) == names and all(found.values())

    async def ask(self, **more: Any) -> tuple[int, str]:
        body = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}], **more}
        headers = {"authorization": f"Bearer {KEY}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.gateway.url(), json=body, headers=headers) as reply,
        ):
            return reply.status, await reply.text()

    async def keep_asking(self, done: asyncio.Event) -> list[tuple[int, str]]:
        """One stream after the other, until `done`."""
        answers = []
        while not done.is_set():
            answers.append(await self.ask(stream=True, **SLOW))
        return answers

    async def answered(self) -> None:
        """Wait until Envoy has seen that the replicas are well."""
        async with asyncio.timeout(60):
            while (await self.ask())[0] != 200:  # noqa: ASYNC110 - another process looks at them
                await asyncio.sleep(0.1)

    async def command(self, *words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(HEADGATE, "engines", *words, "--state", str(self.gateway.state)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()


def command_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[Engines]:
    gateway = GatewayProcess(tmp_path / "state")
    try:
        yield Engines(gateway, tmp_path / "gateway.yaml")
    finally:
        await gateway.clean_up()


BOTH = ("engine-llama-0", "engine-llama-1")


async def test_replicas_come_after_the_gateway_and_come_back(engines: Engines) -> None:
    await engines.start()
    await engines.ready(*BOTH)
    await engines.answered()
    key = engines.gateway.state / "identity" / "engines-key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    for pid in engines.pids().values():
        assert key.read_text().strip() not in command_of(pid)
    before = engines.records()
    os.kill(before["engine-llama-1"]["pid"], signal.SIGKILL)
    await until(lambda: engines.pids().get("engine-llama-1") not in (None, before["engine-llama-1"]["pid"]), 20)
    await engines.ready(*BOTH)
    after = engines.records()
    assert after["engine-llama-0"]["pid"] == before["engine-llama-0"]["pid"]
    assert after["engine-llama-1"]["port"] == before["engine-llama-1"]["port"]
    assert (await engines.ask())[0] == 200
    engines.gateway.send(signal.SIGTERM)
    assert await engines.gateway.wait() == 0
    assert not any(engines.gateway.alive(record["pid"]) for record in after.values())


async def test_an_edit_replaces_one_after_the_other_and_cuts_no_stream(engines: Engines) -> None:
    await engines.start()
    await engines.ready(*BOTH)
    await engines.answered()
    before = engines.records()
    done = asyncio.Event()
    streams = [asyncio.create_task(engines.keep_asking(done)) for _ in range(6)]
    engines.document["engines"]["llama"]["args"] = {"ttft": 0.005}
    engines.write()
    seen: list[set[str]] = []

    def replaced() -> bool:
        now = engines.records()
        seen.append({name for name in now if not now[name].get("draining")})
        return all(now.get(name, before[name])["pid"] != before[name]["pid"] for name in before)

    await until(replaced, 60)
    assert all(seen), "there was always one that gets requests"
    await engines.ready(*BOTH)
    done.set()
    answers = [answer for some in await asyncio.gather(*streams) for answer in some]
    assert len(answers) > len(streams)
    assert [text for status, text in answers if status != 200 or "data: [DONE]" not in text] == []
    assert "requests of a replica are cut" not in engines.gateway.log()
    after = engines.records()
    assert {record["port"] for record in after.values()} == {record["port"] for record in before.values()}
    assert "--ttft=0.005" in command_of(after["engine-llama-0"]["pid"])


async def test_engines_come_and_go_with_edits(engines: Engines) -> None:
    await engines.start()
    await engines.ready(*BOTH)
    before = engines.records()
    engines.document["engines"]["llama"]["replicas"] = 1
    engines.document["engines"]["other"] = {"kind": "simulator"}
    engines.document["models"]["more"] = {"targets": [{"provider": "other", "model": "other"}]}
    engines.write()
    await engines.ready("engine-llama-0", "engine-other-0")
    await until(lambda: not engines.gateway.alive(before["engine-llama-1"]["pid"]), 20)
    assert engines.records()["engine-llama-0"]["pid"] == before["engine-llama-0"]["pid"]
    del engines.document["engines"]["other"], engines.document["models"]["more"]
    engines.document["engines"]["llama"]["replicas"] = 2
    engines.write()
    await engines.ready(*BOTH)
    assert engines.records()["engine-llama-1"]["port"] == before["engine-llama-1"]["port"]


async def test_replicas_outlive_their_supervisor(engines: Engines) -> None:
    await engines.start()
    await engines.ready(*BOTH)
    before = engines.records()
    engines.gateway.send(signal.SIGKILL)
    await engines.gateway.wait()
    engines.document["engines"]["llama"]["replicas"] = 1
    engines.write()
    await engines.start()
    await engines.ready("engine-llama-0")
    assert engines.records()["engine-llama-0"]["pid"] == before["engine-llama-0"]["pid"]
    await until(lambda: not engines.gateway.alive(before["engine-llama-1"]["pid"]), 20)


async def test_a_replica_that_does_not_start_stops_the_rest_from_being_replaced(engines: Engines) -> None:
    await engines.start()
    await engines.ready(*BOTH)
    await engines.answered()
    before = engines.records()
    engines.document["engines"]["llama"]["args"] = {"no-such-flag": True}
    engines.write()
    await until(lambda: "a new replica is not ready" in engines.gateway.log(), 90)
    assert engines.records()["engine-llama-1"]["pid"] == before["engine-llama-1"]["pid"]
    assert (await engines.ask())[0] == 200
    del engines.document["engines"]["llama"]["args"]
    engines.write()
    await engines.ready(*BOTH)
    assert engines.records()["engine-llama-1"]["pid"] == before["engine-llama-1"]["pid"]


async def test_the_command_shows_and_restarts(engines: Engines) -> None:
    engines.document["engines"]["far"] = {"kind": "vllm", "endpoints": ["http://127.0.0.1:9"], "served_name": "x"}
    engines.write()
    await engines.start()
    await engines.ready(*BOTH)
    before = engines.records()
    async with asyncio.timeout(60):
        while (text := (await engines.command("list", "--json"))[1]).count('"waiting": 0') < 2 or "away" not in text:  # noqa: ASYNC110 - who looks at them
            await asyncio.sleep(0.2)
    shown = {engine["name"]: engine for engine in json.loads(text)}
    assert [replica["state"] for replica in shown["llama"]["replicas"]] == ["ready", "ready"]
    assert [replica["running"] for replica in shown["llama"]["replicas"]] == [0, 0]
    assert (shown["far"]["managed"], shown["far"]["serves"]) == (False, "x")
    assert [(one["address"], one["state"]) for one in shown["far"]["replicas"]] == [("127.0.0.1:9", "away")]
    status, text = await engines.command("list")
    assert status == 0
    assert "engine-llama-1" in text
    status, text = await engines.command("restart", "llama")
    assert (status, text.count("restarted")) == (0, 2)
    assert all(engines.pids()[name] != before[name]["pid"] for name in before)
    status, text = await engines.command("restart", "far")
    assert (status, text) == (1, "no engine far is run by this gateway\n")


VLLM = """#!{python}
import json, os, subprocess, sys
helper = subprocess.Popen(["sleep", "600"])
said = {{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "helper": helper.pid}}
port = next(word for word in sys.argv if word.startswith("--port="))
open({said!r}, "w").write(json.dumps(said))
os.execv({headgate!r}, [{headgate!r}, "serve", "simulator", port])
"""


async def test_vllm_is_started_with_its_own_python_and_takes_its_helpers_along(
    engines: Engines, tmp_path: Path
) -> None:
    python, said, model = tmp_path / "python", tmp_path / "said.json", tmp_path / "model"
    python.write_text(VLLM.format(python=sys.executable, said=str(said), headgate=HEADGATE))
    python.chmod(0o700)
    model.mkdir()
    (model / "config.json").write_text("{}")
    vllm = {
        "kind": "vllm",
        "model": "model",
        "python": "python",
        "max_loras": 2,
        "env": {"VLLM_CPU_KVCACHE_SPACE": 1},
    }
    engines.document["engines"]["llama"] = vllm | {"args": {"max-model-len": 512}, "gpus": 0, "max_loras": 2}
    engines.write()
    await engines.start()
    await engines.ready("engine-llama-0")
    told = json.loads(said.read_text())
    assert told["argv"][:2] == ["-m", "vllm.entrypoints.openai.api_server"]
    assert {f"--model={model}", "--enable-lora", "--max-model-len=512"} <= set(told["argv"])
    assert told["env"]["VLLM_API_KEY"] == (engines.gateway.state / "identity" / "engines-key").read_text().strip()
    assert (told["env"]["VLLM_CPU_KVCACHE_SPACE"], told["env"]["CUDA_VISIBLE_DEVICES"]) == ("1", "")
    assert told["cwd"] == str(engines.gateway.state / "engines")
    os.kill(engines.records()["engine-llama-0"]["pid"], signal.SIGKILL)
    await until(lambda: not engines.gateway.alive(told["helper"]), 20)
    await until(lambda: json.loads(said.read_text() or "{}").get("helper", told["helper"]) != told["helper"], 20)
