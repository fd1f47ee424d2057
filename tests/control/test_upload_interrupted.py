"""Uploads whose store of objects hangs and whose gateway is killed: nothing else waits, and nothing stays behind."""

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import httpx2
import pytest
from adapter_rows import HERE
from control_process import ControlProcess, control_process
from msgspec.structs import replace

from control.audit_chain import Actor
from control.store.adapters import delete_version, find_version
from control.store.engine import sqlite_url
from control.store.store import Store
from headgate.adapter_row import AdapterRow
from headgate.contract import ADAPTER_KEY, DATABASE, DECLARED, UPLOADS
from headgate.declared import write_declared
from tests.adapters.made import config_of, lora_shapes, safetensors
from tests.objects.moto import BUCKET, CREDENTIALS, NOWHERE, Moto, moto

ADAPTER = "/admin/v1/tenants/acme/adapters/bot"
BODY = json.dumps(config_of(base_model_name_or_path="llama")).encode() + b"\n" + safetensors(lora_shapes())


@pytest.fixture(scope="module")
def bucket() -> Iterator[Moto]:
    with moto() as server:
        yield server


@pytest.fixture
def control(
    bucket: Moto, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ControlProcess]:
    """In a folder with a short name: a Unix socket's path ends at 107 bytes. With an adapter of acme's."""
    for name, value in {**CREDENTIALS, **NOWHERE}.items():
        monkeypatch.setenv(name, value)
    state = tmp_path_factory.mktemp("u")
    (state / "identity").mkdir()
    (state / ADAPTER_KEY).write_text(base64.b64encode(b"k" * 32).decode())
    objects = f"s3://{BUCKET}/{state.name}?endpoint={bucket.endpoint}&region=us-east-1"
    write_declared(replace(HERE, adapters=AdapterRow(objects=objects)), state / DECLARED)
    with control_process(state) as running:
        running.until_state("up")
        for path, said in (
            ("tenants", {"id": "acme"}),
            ("tenants/acme/adapters", {"name": "bot", "base_model": "chat"}),
        ):
            if path.endswith("adapters"):
                assert running.ask("PUT", "/admin/v1/tenants/acme/grants/chat").status_code < 300
            made = running.ask("POST", f"/admin/v1/{path}", said)
            assert made.status_code == 201, made.text
        yield running


def versions(control: ControlProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = control.ask("GET", ADAPTER).json()["versions"]
    return found


def pushing(control: ControlProcess) -> Future[httpx2.Response]:
    """In a thread; its version is in the database when this returns."""
    answer: Future[httpx2.Response] = Future()

    def push() -> None:
        try:
            answer.set_result(control.ask("POST", f"{ADAPTER}/versions", BODY))
        except httpx2.HTTPError as error:
            answer.set_exception(error)

    before = len(versions(control))
    threading.Thread(target=push, daemon=True).start()
    control.until(lambda: len(versions(control)) > before)
    return answer


def objects_of(bucket: Moto, control: ControlProcess, version: int) -> list[str]:
    store = bucket.store(control.state, prefix=f"{control.state.name}/")
    return [entry.name for entry in store.listed(f"adapters/acme/bot/{version}/")]


def test_a_killed_gateways_upload_is_checked_by_the_next_one(control: ControlProcess, bucket: Moto) -> None:
    with bucket.hanging():
        answer = pushing(control)
        assert [one["state"] for one in versions(control)] == ["uploaded"], "the API answers meanwhile"
        control.kill()
        assert isinstance(answer.exception(30), httpx2.HTTPError)
        assert len(list((control.state / UPLOADS).iterdir())) == 1
    control.start()
    control.until_state("up")
    control.until(lambda: [one["state"] for one in versions(control)] == ["validated"])
    control.until(lambda: not list((control.state / UPLOADS).iterdir()))
    assert len(objects_of(bucket, control, 1)) == 4
    assert versions(control)[0]["failure"] is None
    assert control.ask("POST", f"{ADAPTER}/promote", {"version": 1}).status_code == 200


def test_a_version_that_goes_while_it_is_pushed_leaves_no_files(control: ControlProcess, bucket: Moto) -> None:
    with bucket.hanging():
        answer = pushing(control)
        retired = control.ask("POST", f"{ADAPTER}/versions/1/retire", {})
        assert retired.status_code == 200
    pushed = answer.result(60)
    assert (pushed.status_code, pushed.json()["code"]) == (409, "wrong_state")
    assert objects_of(bucket, control, 1) == []
    assert not list((control.state / UPLOADS).iterdir())


def test_a_version_that_was_deleted_before_the_gateway_came_back_leaves_no_files(
    control: ControlProcess, bucket: Moto
) -> None:
    with bucket.hanging():
        pushing(control)
        control.kill()
    store = Store.at(sqlite_url(control.state / DATABASE))
    with store.write(Actor("system", "another host")) as unit:
        version = find_version(unit, "acme", "bot", 1)
        assert version
        delete_version(unit, version)
        unit.record("adapter_version.delete", "adapter", "acme/bot@1", tenant_id="acme")
    store.close()
    control.start()
    control.until_state("up")
    control.until(lambda: not list((control.state / UPLOADS).iterdir()))
    assert (versions(control), objects_of(bucket, control, 1)) == ([], [])
