"""Tenants of the database through a whole gateway: where their requests go, what they may use, what is counted.

The test writes the directory itself, as control does. What authz makes of keys is test_gateway_database_keys.py's.
"""

import json
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest
from directory_gateway import PEPPER_TEXT, key_row
from quotas import shown
from running_gateway import RunningGateway, headgate, running_gateway
from tenants import CHAT, UPSTREAM_MODEL, chat
from upstreams import Engine
from websocket_gateway import create, until_end
from websockets.asyncio.client import connect

from headgate.contract import DIRECTORY, PEPPER
from headgate.directory.rows import (
    Change,
    GrantEntry,
    LimitsEntry,
    Mark,
    PlanEntry,
    Row,
    TenantEntry,
    change_to,
    gone,
)
from headgate.directory.writer import Writer
from headgate.virtual_key import make_key

WITHIN_S = 60.0


class Administered:
    """A gateway and what the database says."""

    def __init__(self, gateway: RunningGateway, writer: Writer, file_key: str) -> None:
        self.gateway, self.file_key = gateway, file_key
        self._writer, self._version = writer, 1

    def put(self, *rows: Row | Change) -> None:
        self._version += 1
        changes = [row if isinstance(row, Change) else change_to(row) for row in rows]
        self._writer.append(Mark(self._version, self._version, bytes(32)), changes)

    def tenant(self, name: str, *rows: Row, models: tuple[str, ...] = ("chat", "abroad"), **more: Any) -> str:
        """A new one with such a key, which is returned."""
        key = make_key()
        granted = [GrantEntry(name, model) for model in models]
        self.put(TenantEntry(name, **more), *granted, key_row(key, f"key_{name}", name), *rows)
        return key

    def ask(self, key: str, model: str = "chat") -> tuple[int, str | None]:
        """The status, and the provider or the error's code."""
        reply = self.gateway.post(CHAT, chat(model, simulate={"tokens": 2}), key)
        if reply.status_code == 200:
            return 200, reply.headers["x-headgate-target"]
        return reply.status_code, reply.json()["error"]["code"]

    def models(self, key: str) -> list[str]:
        return [one["id"] for one in self.gateway.get("/v1/models", key).json()["data"]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, engine: Engine, other_engine: Engine) -> Iterator[Administered]:
    folder: Path = tmp_path_factory.mktemp("administered")
    state, key = folder / "state", f"hg-{token_urlsafe(32)}"
    (state / PEPPER).parent.mkdir(parents=True, mode=0o700)
    (state / PEPPER).write_text(PEPPER_TEXT)
    (state / PEPPER).chmod(0o600)
    digest = sha256(key.encode()).hexdigest()
    config = {
        "providers": {
            "near": {"api": "openai", "endpoints": [f"http://{engine.address}"], "zone": "eu"},
            "far": {"api": "openai", "endpoints": [f"http://{other_engine.address}"], "zone": "us"},
        },
        "models": {
            "chat": {"targets": [{"provider": name, "model": UPSTREAM_MODEL} for name in ("near", "far")]},
            "abroad": {"targets": [{"provider": "far", "model": UPSTREAM_MODEL}]},
        },
        "plans": {"file": {"rpm": 2, "zones": ["eu"]}},
        "tenants": {"acme": {"models": ["chat"], "keys": [{"name": "ci", "sha256": digest}]}},
    }
    writer = Writer(state / DIRECTORY)
    assert writer.open()
    try:
        writer.replace(Mark(1, 1, bytes(32)), [])
        with running_gateway(folder, config, {}) as gateway:
            yield Administered(gateway, writer, key)
    finally:
        writer.close()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_tenant_is_there_with_its_row_and_follows_it(run: Administered) -> None:
    key = run.tenant("one")
    assert [run.ask(key), run.ask(key, "abroad")] == [(200, "near"), (200, "far")]
    assert run.models(key) == ["abroad", "chat"]
    run.put(TenantEntry("one", zones=("us",)))
    until(lambda: {run.ask(key) for _ in range(4)} == {(200, "far")})
    run.put(gone(GrantEntry, ("one", "abroad")))
    until(lambda: {run.ask(key, "abroad") for _ in range(4)} == {(404, "model_not_found")})
    run.put(TenantEntry("one", disabled=True))
    until(lambda: {run.ask(key) for _ in range(4)} == {(401, "invalid_api_key")})


def test_residency_holds_whatever_the_database_says(run: Administered) -> None:
    """A plan of the file's narrows a tenant of the database; no target outside of both is in any plan."""
    key = run.tenant("inside", plan="file", zones=("us", "eu"))
    assert [run.ask(key), run.ask(key, "abroad")] == [(200, "near"), (404, "model_not_found")]
    nowhere = run.tenant("nowhere", plan="file", zones=("us",))
    assert run.models(nowhere) == []
    assert run.ask(nowhere) == (404, "model_not_found")


def test_a_plan_that_is_gone_closes_the_tenant_and_is_in_the_log(run: Administered) -> None:
    key = run.tenant("orphan", plan="never-was")
    assert run.ask(key) == (403, "tenant_misconfigured")
    logs = "".join(path.read_text() for path in run.gateway.texts())
    assert any('"never-was' in line and '"orphan"' in line for line in logs.replace("\\", "").splitlines())
    run.put(PlanEntry("never-was", {}))
    until(lambda: run.ask(key)[0] == 200)


def test_limits_of_plans_tenants_keys_and_people(run: Administered) -> None:
    own = make_key()
    rows = (PlanEntry("two", {"rpm": 2}), key_row(own, "key_own", "counted", limits={"rpm": 1}))
    key = run.tenant("counted", *rows, plan="two")
    assert [run.ask(one)[0] for one in (own, own, key, key)] == [200, 429, 200, 429]
    run.put(LimitsEntry("counted", "tenant", "", {"rpm": 3, "monthly_tokens": 100_000}))
    until(lambda: run.ask(key)[0] == 200)
    until(lambda: Known(shown(run.gateway, "counted")).used("monthly_tokens") > 0)  # settled, and by the new limit
    rows_shown = shown(run.gateway, "counted")
    assert rows_shown["rpm"]["cap"] == 3
    assert rows_shown["rpm:key=key_own"]["scope"] == {"key": "key_own"}
    unknown = headgate("limits", "show", "countet", "--state", str(run.gateway.state))
    assert (unknown.returncode, 'did you mean "counted"' in unknown.stderr) == (1, True), unknown.stderr


class Known(dict[str, dict[str, Any]]):
    def used(self, name: str) -> int:
        return int(self[name]["used"]) if name in self else 0


def test_a_tenant_of_the_file_has_keys_of_the_database_with_limits_of_their_own(run: Administered) -> None:
    key = make_key()
    run.put(key_row(key, "key_acme", "acme", limits={"rpm": 1}), GrantEntry("acme", "abroad"))
    assert [run.ask(key)[0], run.ask(key)[0]] == [200, 429]
    assert run.ask(run.file_key) == (200, "near")
    assert run.models(key) == run.models(run.file_key) == ["chat"]


async def test_a_key_that_is_confined_to_models(run: Administered) -> None:
    key = run.tenant("confined")
    run.put(key_row(key, "key_confined", "confined", models=("abroad",)))
    until(lambda: run.models(key) == ["abroad"])
    assert [run.ask(key), run.ask(key, "abroad")] == [(404, "model_not_found"), (200, "far")]
    url = f"ws://{run.gateway.http}/v1/responses"
    async with connect(url, additional_headers={"authorization": f"Bearer {key}"}, compression=None) as socket:
        await socket.send(create(model="chat"))
        (refused,) = await until_end(socket)
        assert json.dumps(refused).count("model_not_found") == 1
        await socket.send(create(model="abroad"))
        assert (await until_end(socket))[-1]["type"] == "response.completed"
