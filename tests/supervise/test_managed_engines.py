"""Managed engines under a real `headgate up`: they come, come back, are replaced one by one, and go."""

import asyncio
import json
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headgate.supervise.part import LONGEST_PAUSE_S
from tests.supervise.gateway_process import HEADGATE, GatewayProcess, until
from tests.supervise.managed_engines import KEY, Engines, command_of


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
    await engines.answered()
    before = engines.records()
    leaves = before["engine-llama-1"]["pid"]
    slow = {"simulate": {"tokens": 400, "token_s": 0.02, "ttft_s": 0.02}}
    streams = []
    async with asyncio.timeout(60):
        while not await engines.running("engine-llama-1"):  # once Envoy has seen that it is well
            streams.append(asyncio.create_task(engines.ask(stream=True, **slow)))
            await asyncio.sleep(0.2)
    os.kill(leaves, signal.SIGSTOP)  # it is too busy to say that it is well
    engines.document["engines"]["llama"]["replicas"] = 1
    engines.document["engines"]["other"] = {"kind": "simulator"}
    engines.document["models"]["more"] = {"targets": [{"provider": "other", "model": "other"}]}
    engines.write()
    try:
        await until(lambda: engines.records().get("engine-llama-1", {}).get("draining"), 40)
    finally:
        os.kill(leaves, signal.SIGCONT)
    answers = await asyncio.gather(*streams)
    assert [text for status, text in answers if status != 200 or "data: [DONE]" not in text] == []
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
    first = engines.pids()["engine-llama-0"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: engines.pids().get("engine-llama-0", first) != first, 20)
    await engines.ready(*BOTH)
    before = engines.records()
    uptime_s = (await engines.part("engine-llama-0"))["uptime_s"]
    engines.gateway.send(signal.SIGKILL)
    await engines.gateway.wait()
    engines.document["engines"]["llama"]["replicas"] = 1
    engines.write()
    await engines.start()
    await engines.ready("engine-llama-0")
    assert engines.records()["engine-llama-0"]["pid"] == before["engine-llama-0"]["pid"]
    shown = await engines.part("engine-llama-0")
    assert shown["restarts"] == 1
    assert shown["uptime_s"] > uptime_s
    await until(lambda: not engines.gateway.alive(before["engine-llama-1"]["pid"]), 20)


async def test_a_replica_that_does_not_start_stops_the_rest_from_being_replaced(engines: Engines) -> None:
    await engines.start()
    await engines.ready(*BOTH)
    await engines.answered()
    before = engines.records()
    engines.document["engines"]["llama"]["args"] = {"no-such-flag": True}
    engines.write()
    await until(lambda: "has ended 3 times, the last time by exit 2 after" in engines.gateway.log(), 90)
    assert engines.records()["engine-llama-1"]["pid"] == before["engine-llama-1"]["pid"]
    assert (await engines.ask())[0] == 200
    del engines.document["engines"]["llama"]["args"]
    engines.write()
    await engines.ready(*BOTH)
    assert engines.records()["engine-llama-1"]["pid"] == before["engine-llama-1"]["pid"]


CRASHES = """#!/bin/sh
echo "ValueError: token $HF_TOKEN opens nothing; $VLLM_API_KEY"
kill -ABRT $$
"""


async def test_a_crash_loop_is_shown_with_its_cause_and_without_secrets(engines: Engines, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "python").write_text(CRASHES)
    (tmp_path / "python").chmod(0o700)
    env = {"HF_TOKEN": "hf_not_for_anybody"}
    engines.document["engines"]["llama"] = {"kind": "vllm", "model": "model", "python": "python", "env": env}
    engines.write()
    await engines.start()
    async with asyncio.timeout(60):
        while (shown := await engines.listed("llama"))["restarts"] < 3:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    assert (shown["last_end"]["how"], shown["gpus"]) == ("SIGABRT", [0])
    assert shown["said"][-1] == "ValueError: token *** opens nothing; ***"
    assert shown["log"] == str(engines.gateway.state / "log" / "engine-llama-0.log")
    async with asyncio.timeout(60):
        while (entry := await engines.part("engine-llama-0"))["again_in_s"] is None:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    assert entry["detail"].startswith("SIGABRT after 0.")
    assert entry["detail"].endswith("s; see log/engine-llama-0.log")
    _, text = await engines.command("list")
    head, row, _, why, *said = text.splitlines()
    assert max(len(head), len(row)) <= 80
    assert why.startswith("engine-llama-0: ")
    assert "SIGABRT after 0." in why
    assert set(said) == {"  ValueError: token *** opens nothing; ***"}
    ends, again = 'headgate_part_ends_total{how="SIGABRT"', "headgate_part_next_start_timestamp_seconds{"
    async with asyncio.timeout(60):
        while again not in (metrics := await engines.gateway.metrics()):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    assert f'{ends},part="engine-llama-0"}}' in metrics
    (at,) = [line.split()[-1] for line in metrics.splitlines() if line.startswith(f'{again}part="engine-llama-0"')]
    assert time.time() - 60 < float(at) < time.time() + LONGEST_PAUSE_S
    assert '"its_log": "log/engine-llama-0.log"' in engines.gateway.log()


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
    restart = asyncio.create_task(engines.command("restart", "llama"))
    async with asyncio.timeout(60):
        while (one := await engines.listed("llama"))["state"] != "draining":  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    assert one["running"] == 0, "what it is waited for"
    status, text = await restart
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


@pytest.fixture
def said(tmp_path: Path) -> Path:
    """What a vLLM was told that is none, and that answers as the simulator does."""
    python, said, model = tmp_path / "python", tmp_path / "said.json", tmp_path / "model"
    python.write_text(VLLM.format(python=sys.executable, said=str(said), headgate=HEADGATE))
    python.chmod(0o700)
    model.mkdir()
    (model / "config.json").write_text("{}")
    return said


def told(said: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said.read_text() or "{}")
    return found


async def test_an_engine_waits_for_the_gpus_of_one_that_drains(engines: Engines, said: Path) -> None:
    one = {"kind": "vllm", "model": "model", "python": "python", "served_name": "llama", "gpus": 1}
    engines.document["engines"]["llama"] = one | {"drain_timeout": "20s"}
    engines.write()
    await engines.start()
    await engines.ready("engine-llama-0")
    await engines.answered()
    before = engines.records()["engine-llama-0"]["pid"]
    together: list[bool] = []

    def begun() -> bool:
        is_there = "engine-other-0" in engines.records()
        together.append(is_there and engines.gateway.alive(before))
        return is_there

    body = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    body["simulate"] = {"tokens": 200, "token_s": 0.02, "ttft_s": 0.02}
    headers = {"authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(engines.gateway.url(), json=body, headers=headers) as reply,
    ):
        await reply.content.readline()
        engines.document["engines"] = {"other": one}
        engines.document["models"]["chat"]["targets"][0]["provider"] = "other"
        engines.write()
        await until(begun, 40)
        assert (await reply.text()).endswith("data: [DONE]\n\n")
    assert not any(together)
    await engines.ready("engine-other-0")
    assert told(said)["env"]["CUDA_VISIBLE_DEVICES"] == "0"


async def test_vllm_is_started_with_its_own_python_and_takes_its_helpers_along(engines: Engines, said: Path) -> None:
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
    first = told(said)
    assert first["argv"][:2] == ["-m", "vllm.entrypoints.openai.api_server"]
    assert {f"--model={said.with_name('model')}", "--enable-lora", "--max-model-len=512"} <= set(first["argv"])
    assert first["env"]["VLLM_API_KEY"] == (engines.gateway.state / "identity" / "engines-key").read_text().strip()
    assert (first["env"]["VLLM_CPU_KVCACHE_SPACE"], first["env"]["CUDA_VISIBLE_DEVICES"]) == ("1", "")
    assert first["cwd"] == str(engines.gateway.state / "engines")
    os.kill(engines.records()["engine-llama-0"]["pid"], signal.SIGKILL)
    await until(lambda: not engines.gateway.alive(first["helper"]), 20)
    await until(lambda: told(said).get("helper", first["helper"]) != first["helper"], 20)
