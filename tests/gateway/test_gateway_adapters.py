"""An adapter's way through a whole gateway: pushed past Envoy, loaded by an engine, promoted, asked for, billed."""

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import pytest
from admin_gateway import AdminGateway, admin_gateway, until
from limited import counters_of, metric
from limited import until as until_holds
from running_gateway import END_S, HEADGATE
from upstreams import Engine
from websocket_gateway import ask as ask_over
from websockets.asyncio.client import connect

from headgate.counters.scripts import queue_keys
from tests.adapters.made import PREFIX, RANK, config_of, safetensors

PLACES = 3  # a version that is still asked for, one that is live, and one that comes
WIDE = 200_000  # so that the weights are larger than what Envoy holds of a body
SHAPES = {
    f"{PREFIX}.0.self_attn.q_proj.lora_A.weight": [RANK, WIDE],
    f"{PREFIX}.0.self_attn.q_proj.lora_B.weight": [WIDE, RANK],
}

KEYS = {name: f"hg-{token_urlsafe(32)}" for name in ("acme", "other")}


@contextmanager
def lora_simulator(folder: Path) -> Iterator[Engine]:
    record = folder / "lora.jsonl"
    command = [
        sys.executable,
        "-m",
        "engines.simulator",
        "--port",
        "0",
        "--model",
        "llama",
        "--max-loras",
        str(PLACES),
    ]
    with subprocess.Popen([*command, "--ttft", "0.005", "--record", str(record)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            listening = re.search(r"http://([\d.:]+)", process.stdout.readline().decode())
            assert listening
            yield Engine(listening[1], record)
            process.terminate()
            process.wait(END_S)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with lora_simulator(tmp_path_factory.mktemp("lora")) as running:
        yield running


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[AdminGateway]:
    models = {
        "chat": {
            "targets": [{"provider": "far", "model": "up"}, {"provider": "llama", "model": "llama"}],
            "price": {"input": 1, "output": 2},
            "queue": {"max_wait": "2m"},
        }
    }
    more = {
        "providers": {"far": {"api": "openai", "base_url": "http://127.0.0.1:9/v1"}},
        "engines": {
            "llama": {
                "kind": "simulator",
                "endpoints": [f"http://{engine.address}"],
                "max_loras": PLACES,
                "max_running": 1,
            }
        },
        "models": models,
        "tenants": {
            name: {"models": ["chat"], "keys": [{"name": "ci", "sha256": sha256(key.encode()).hexdigest()}]}
            for name, key in KEYS.items()
        },
    }
    with admin_gateway(tmp_path_factory.mktemp("adapters"), engine, **more) as running:
        yield running


def folder_of(path: Path, value: float) -> Path:
    path.mkdir()
    (path / "adapter_model.safetensors").write_bytes(safetensors(SHAPES, value=value))
    config = config_of(base_model_name_or_path="llama", target_modules=["q_proj"])
    (path / "adapter_config.json").write_text(json.dumps(config, indent=2))
    return path


def command(admin: AdminGateway, *arguments: str) -> dict[str, Any]:
    environ = {"HEADGATE_ADMIN_KEY": admin.admin_key(), "HEADGATE_URL": admin.gateway.url, "PATH": ""}
    done = subprocess.run([HEADGATE, "adapters", *arguments, "--json"], env=environ, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ask(admin: AdminGateway, key: str, model: str = "acme/bot", **more: Any) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, **more}
    return admin.gateway.post("/v1/chat/completions", body, key)


def asked_by(admin: AdminGateway, users: int) -> list[httpx2.Response]:
    """Whose version is whose goes by a hash of their names: the same in each run."""
    return [ask(admin, KEYS["acme"], user=f"user-{number}") for number in range(users)]


def test_an_adapter_is_pushed_loaded_promoted_and_answers(admin: AdminGateway, tmp_path: Path) -> None:
    assert ask(admin, KEYS["acme"]).status_code == 404
    for version, value in ((1, 0.5), (2, 0.25)):
        folder = folder_of(tmp_path / f"v{version}", value)
        pushed = command(
            admin, "push", str(folder), "--tenant", "acme", "--name", "bot", "--base", "chat", "--promote"
        )
        assert (pushed["version"], pushed["state"], pushed["wanted_weight"]) == (version, "validated", 100)
        name = pushed["engine_name"]
        until(lambda: ask(admin, KEYS["acme"]).json().get("model") == name)  # noqa: B023 - asked at once
        line = admin.gateway.end_line(ask(admin, KEYS["acme"]).headers["x-request-id"])
        assert {name: line[name] for name in ("model", "base_model", "upstream_model", "target")} == {
            "model": "acme/bot",
            "base_model": "chat",
            "upstream_model": name,
            "target": "llama",
        }
    command(admin, "rollback", "bot", "--tenant", "acme")
    until(lambda: ask(admin, KEYS["acme"]).json()["model"].startswith("acme/bot@1-"))


async def test_who_waits_for_the_engine_is_answered_by_the_version_that_was_live_when_it_came(
    admin: AdminGateway, tmp_path: Path
) -> None:
    """Whatever becomes of that version meanwhile: another one is promoted, and then this one is deleted."""
    slots, tickets = queue_keys("llama")[0], queue_keys("llama")[4]

    def counted() -> tuple[int, int]:
        with counters_of(admin.gateway) as valkey:
            return int(valkey.zcard(slots)), int(valkey.zcard(tickets))

    def live() -> list[int]:
        versions = command(admin, "show", "bot", "--tenant", "acme")["versions"]
        return [one["version"] for one in versions if one["state"] == "live"]

    before = ask(admin, KEYS["acme"]).json()["model"]
    assert before.startswith("acme/bot@1-")
    until(lambda: counted() == (0, 0))
    async with asyncio.timeout(120), httpx2.AsyncClient(timeout=120) as client:

        def starts(ttft_s: float) -> asyncio.Task[httpx2.Response]:
            body = {"model": "acme/bot", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
            headers = {"authorization": f"Bearer {KEYS['acme']}"}
            url, simulate = f"{admin.gateway.url}/v1/chat/completions", {"ttft_s": ttft_s}
            return asyncio.create_task(client.post(url, json={**body, "simulate": simulate}, headers=headers))

        holding = starts(120.0)
        await until_holds(lambda: counted() == (1, 0))
        waiting = starts(0.01)
        await until_holds(lambda: counted() == (1, 1))
        await asyncio.to_thread(command, admin, "promote", "bot", "2", "--tenant", "acme")
        await asyncio.to_thread(command, admin, "delete", "bot", "1", "--tenant", "acme", "--yes")
        pushed = folder_of(tmp_path / "v3", 0.125)
        await asyncio.to_thread(command, admin, "push", str(pushed), "--tenant", "acme", "--name", "bot", "--promote")
        await until_holds(lambda: live() == [3])
        assert not waiting.done()
        holding.cancel()
        reply = await waiting
    assert (reply.status_code, reply.json()["model"]) == (200, before)
    until(lambda: ask(admin, KEYS["acme"]).json()["model"].startswith("acme/bot@3-"))


def test_two_versions_share_the_requests_by_weight_and_each_line_says_whose_its_was(admin: AdminGateway) -> None:
    shared = command(admin, "promote", "bot", "2", "--weight", "25", "--wait", "--tenant", "acme")
    names = {one["engine_name"]: one["weight"] for one in shared["versions"]}
    assert sorted(names.values()) == [25, 75]
    until(lambda: len({answer.json()["model"] for answer in asked_by(admin, 16)}) == 2)
    answers = asked_by(admin, 80)
    models = [answer.json()["model"] for answer in answers]
    for name, weight in names.items():
        assert abs(models.count(name) - 80 * weight / 100) <= 12, Counter(models)
    lines = [admin.gateway.end_line(answer.headers["x-request-id"]) for answer in answers]
    assert [line["upstream_model"] for line in lines] == models
    assert {line["model"] for line in lines} == {"acme/bot"}
    assert [answer.json()["model"] for answer in asked_by(admin, 16)] == models[:16]


def test_it_is_its_tenants_alone(admin: AdminGateway) -> None:
    mine, others = (admin.gateway.get("/v1/models", key).json()["data"] for key in KEYS.values())
    assert {one["id"]: one.get("parent") for one in mine} == {"chat": None, "acme/bot": "chat"}
    assert [one["id"] for one in others] == ["chat"]
    unknown, there = (ask(admin, KEYS["other"], model) for model in ("acme/nothing", "acme/bot"))
    assert (unknown.status_code, there.status_code) == (404, 404)
    assert there.json()["error"]["code"] == unknown.json()["error"]["code"] == "model_not_found"


SURFACES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3},
    "/v1/embeddings": {"input": "Hi"},
}


def unload_all(engine: Engine) -> None:
    for card in httpx2.get(f"http://{engine.address}/v1/models").json()["data"]:
        httpx2.post(f"http://{engine.address}/v1/unload_lora_adapter", json={"lora_name": card["id"]})


@pytest.mark.parametrize(
    ("path", "streams"), [*((path, False) for path in SURFACES), *((path, True) for path in list(SURFACES)[:-1])]
)
def test_an_engine_that_has_lost_the_adapter_is_503_in_the_gateways_words(
    admin: AdminGateway, engine: Engine, path: str, streams: bool
) -> None:
    """As after a restart of an engine elsewhere, until that is noticed: then requests wait until it is loaded."""
    body = {"model": "acme/bot", **SURFACES[path]} | ({"stream": True} if streams else {})
    for _ in range(50):
        unload_all(engine)
        refused = admin.gateway.post(path, body, KEYS["acme"])
        assert refused.status_code in (200, 503), refused.text
        if refused.status_code == 503:
            break
    assert (refused.headers["retry-after"], refused.headers["x-headgate-error-source"]) == ("5", "gateway")
    said = refused.json()["error"]
    assert "@" not in refused.text
    if path == "/v1/messages":
        assert (said["type"], said["details"]["error_code"]) == ("overloaded_error", "adapter_not_loaded")
    else:
        assert (said["type"], said["code"]) == ("server_error", "adapter_not_loaded")
    line = admin.gateway.end_line(refused.headers["x-request-id"])
    assert (line["status"], line["completion_tokens"]) == (503, None)


async def test_an_engine_that_has_lost_the_adapter_says_so_over_a_websocket_too(
    admin: AdminGateway, engine: Engine
) -> None:
    url, fields = f"ws://{admin.gateway.http}/v1/responses", {"authorization": f"Bearer {KEYS['acme']}"}
    async with connect(url, additional_headers=fields, compression=None) as socket:
        for _ in range(50):
            await asyncio.to_thread(unload_all, engine)
            refused = await ask_over(socket, model="acme/bot")
            if refused["type"] != "response.completed":
                break
        error = refused["error"]
        assert (refused["type"], refused["status"], error["code"]) == ("error", 503, "adapter_not_loaded")
        assert (error["type"], error["headers"]["retry-after"]) == ("server_error", "5")
        assert error["headers"]["x-headgate-error-source"] == "gateway"
        assert "@" not in json.dumps(refused)
        line = admin.gateway.end_line(error["headers"]["x-request-id"])
        assert (line["status"], line["completion_tokens"]) == (503, None)
        async with asyncio.timeout(60):  # the connection goes on, and the adapter comes back
            while (await ask_over(socket, model="acme/bot"))["type"] != "response.completed":
                pass


def test_more_adapters_than_places_all_answer(admin: AdminGateway, engine: Engine, tmp_path: Path) -> None:
    """`bot` has a place or two: the last of these needs one that is taken."""
    aliases = {"acme/bot": "acme/bot@"}
    for number, name in enumerate(("one", "two", "three"), 1):
        folder = folder_of(tmp_path / name, number / 8)
        pushed = command(
            admin, "push", str(folder), "--tenant", "acme", "--name", name, "--base", "chat", "--promote"
        )
        aliases[f"acme/{name}"] = pushed["engine_name"]
        until(lambda: name in admin.gateway.get("/v1/models", KEYS["acme"]).text)  # noqa: B023 - asked at once
    with ThreadPoolExecutor() as clients:
        replies = dict(zip(aliases, clients.map(partial(ask, admin, KEYS["acme"]), aliases), strict=True))
    assert {alias: reply.status_code for alias, reply in replies.items()} == dict.fromkeys(aliases, 200), replies
    assert all(reply.json()["model"].startswith(aliases[alias]) for alias, reply in replies.items())
    assert metric(admin.gateway, 'headgate_adapter_waits_total{outcome="loaded"') >= 1
    assert metric(admin.gateway, 'headgate_adapter_evictions_total{engine="llama",why="demand"') >= 1
    there = httpx2.get(f"http://{engine.address}/v1/models").json()["data"]
    missing = min(aliases.keys() - {one["id"].partition("@")[0] for one in there})
    body = {"model": missing, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    refused = admin.gateway.post("/v1/chat/completions", body, KEYS["acme"], x_stainless_read_timeout="0.5")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "adapter_not_loaded")
    assert int(refused.headers["retry-after"]) >= 1
    line = admin.gateway.end_line(refused.headers["x-request-id"])
    assert (line["status"], line["attempts"]) == (503, 0)


def test_what_is_too_large_or_no_upload_is_refused_by_the_admin_api(admin: AdminGateway) -> None:
    key, path = admin.admin_key(), "/admin/v1/tenants/acme/adapters/bot/versions"
    headers = {"authorization": f"Bearer {key}", "content-type": "application/octet-stream"}
    config = json.dumps(config_of()).encode() + b"\n"
    refused = httpx2.post(admin.gateway.url + path, content=config + bytes(3 * 2**20), headers=headers, timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (422, "adapter_not_acceptable")
    elsewhere = httpx2.post(
        f"{admin.gateway.url}{path.rpartition('/')[0]}/promote", content=bytes(3 * 2**20), headers=headers, timeout=60
    )
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (413, "body_too_large")
    assert admin.ask("POST", path).status_code == 401
