"""Versions on their way in and out over the admin API: checked, stored and signed, or refused with what is wrong."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from adapter_rows import HERE
from admin import Caller, api
from msgspec.structs import replace
from rows import ADMIN, write_tenant

from control.store.store import Store
from control.store.tenants import insert_grant
from control.store.values import Grant
from headgate.adapters.layout import AdapterId
from headgate.adapters.manifest import digest_of
from headgate.adapters.opening import AdapterAccess
from headgate.adapters.publishing import fetch_manifest, versions
from headgate.contract import ADAPTER_KEY, UPLOADS
from tests.adapters.made import config_of, lora_shapes, safetensors

VERSIONS = "/tenants/acme/adapters/bot/versions"
BYTES = {"content-type": "application/octet-stream"}
WEIGHTS = safetensors(lora_shapes())


@pytest.fixture
def state(tmp_path: Path) -> Path:
    key = tmp_path / ADAPTER_KEY
    key.parent.mkdir(parents=True)
    key.write_text(base64.b64encode(b"k" * 32).decode())
    return tmp_path


@pytest.fixture
async def admin(store: Store, state: Path) -> Caller:
    write_tenant(store, "acme")
    write_tenant(store, "other")
    with store.write(ADMIN) as unit:
        insert_grant(unit, Grant(tenant_id="acme", model="chat", created_by=ADMIN.id))
        unit.record("grant.create", "grant", "chat", tenant_id="acme")
    declared = replace(HERE, adapters=replace(HERE.adapters, max_size_bytes=100_000))
    caller = Caller(api(store, declared, state=state))
    await caller.post("/tenants/acme/adapters", {"name": "bot", "base_model": "chat"})
    return caller


def body_of(weights: bytes = WEIGHTS, **config: Any) -> bytes:
    return json.dumps(config_of(**{"base_model_name_or_path": "llama", **config})).encode() + b"\n" + weights


async def push(caller: Caller, body: bytes | None = None, path: str = VERSIONS, **headers: str) -> Any:
    return await caller.ask("POST", path, body_of() if body is None else body, BYTES | headers)


async def test_a_version_is_stored_and_signed(admin: Caller, state: Path) -> None:
    pushed = await push(admin)
    assert pushed.status_code == 201, pushed.text
    said = pushed.json()
    assert (said["version"], said["state"], said["rank"], said["size_bytes"]) == (1, "validated", 4, len(WEIGHTS))
    access = AdapterAccess(HERE.adapters, state)
    manifest, _, _ = fetch_manifest(access.store(), AdapterId("acme", "bot", 1), access.trusted())
    assert (said["sha256"], said["engine_name"]) == (manifest.weights.sha256, manifest.engine_name)
    assert len(digest_of(manifest)) == 64
    assert (await push(admin)).json()["version"] == 2
    assert list((state / UPLOADS).iterdir()) == []


COMMIT = "c" * 40
METRICS = {"eval/loss": 0.125, "steps": 300.0}


async def test_what_is_said_of_a_version_is_signed_with_it(admin: Caller, state: Path) -> None:
    await push(admin)
    told = {"revision": COMMIT, "parent": 1, "job": "nightly 7", "data_sha256": "d" * 64}
    query = urlencode({**told, "metrics": "eval/loss:0.125,steps:3e+02"})
    pushed = await push(admin, path=f"{VERSIONS}?{query}")
    assert pushed.status_code == 201, pushed.text
    (shown,) = (await admin.get("/tenants/acme/adapters")).json()["data"]
    assert shown["versions"][1]["manifest"] == pushed.json()["manifest"]
    manifest = pushed.json()["manifest"]
    assert (manifest["base"], manifest["metrics"]) == ({"model": "llama", "revision": COMMIT}, METRICS)
    assert manifest["lineage"] == {"parent": 1, "job": "nightly 7", "data_sha256": "d" * 64}
    access = AdapterAccess(HERE.adapters, state)
    signed, _, _ = fetch_manifest(access.store(), AdapterId("acme", "bot", 2), access.trusted())
    assert msgspec.json.decode(msgspec.json.encode(signed)) == manifest


@pytest.mark.parametrize(
    "query",
    [
        {"parent": "1"},  # there is no version yet
        {"parent": "0"},
        {"revision": ""},
        {"data_sha256": "abc"},
        {"metrics": "loss:low"},
        {"metrics": "loss:nan"},
        {"metrics": "loss"},
        {"loss": "1"},
    ],
)
async def test_what_can_not_be_said_of_a_version_makes_none(admin: Caller, query: dict[str, str]) -> None:
    refused = await push(admin, path=f"{VERSIONS}?{urlencode(query)}")
    assert refused.status_code == 422, refused.text
    assert [error["at"] for error in refused.json()["errors"]] == [f"query.{next(iter(query))}"]
    assert (await admin.get("/tenants/acme/adapters/bot")).json()["versions"] == []


async def test_a_commit_that_the_engine_does_not_have_is_refused(store: Store, state: Path, admin: Caller) -> None:
    folder = state / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    declared = replace(HERE, adapters=replace(HERE.adapters, model_folders={"llama": (str(folder),)}))
    caller = Caller(api(store, declared, state=state))
    refused = await push(caller, path=f"{VERSIONS}?revision={'e' * 40}")
    assert f'engines have "{COMMIT}" of llama' in refused.json()["detail"]
    assert (await push(caller)).json()["manifest"]["base"]["revision"] == COMMIT


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (body_of(r=64), "r"),
        (body_of(base_model_name_or_path="mistral"), "mistral"),
        (body_of(b"\x80\x04pickle" * 9), "adapter.safetensors"),
        (b"{\n" + WEIGHTS, "adapter_config.json"),
    ],
)
async def test_what_is_no_adapter_of_this_model_is_refused_and_says_why(
    admin: Caller, state: Path, body: bytes, found: str
) -> None:
    refused = await push(admin, body)
    assert (refused.status_code, refused.json()["code"]) == (422, "adapter_not_acceptable")
    assert found in refused.json()["detail"]
    (version,) = (await admin.get("/tenants/acme/adapters/bot")).json()["versions"]
    assert (version["state"], version["failure"]) == ("uploaded", refused.json()["detail"][:1000])
    assert versions(AdapterAccess(HERE.adapters, state).store(), "acme", "bot") == []
    assert (await admin.delete(f"{VERSIONS}/1")).status_code == 204


async def test_what_is_no_upload_makes_no_version(admin: Caller, state: Path) -> None:
    for answer, status in (
        (await push(admin, body_of(b"x" * 100_001)), 413),
        (await push(admin, b"{}"), 422),
        (await push(admin, b"x" * 70_000), 422),
        (await push(admin, **{"content-type": "application/json"}), 415),
        (await push(admin, path="/tenants/acme/adapters/none/versions"), 404),
        (await push(Caller(admin.app, id="key_o", tenant="other", role="owner")), 403),
        (await push(Caller(admin.app, id="key_r", tenant="acme", role="read-only")), 403),
    ):
        assert answer.status_code == status, answer.text
    assert (await admin.get("/tenants/acme/adapters/bot")).json()["versions"] == []
    assert list((state / UPLOADS).iterdir()) == []


async def test_a_version_goes_with_its_files_but_not_while_it_is_live(admin: Caller, state: Path) -> None:
    await push(admin)
    store = AdapterAccess(HERE.adapters, state).store()
    assert versions(store, "acme", "bot") == [1]
    assert (await admin.delete(f"{VERSIONS}/1")).status_code == 204
    assert (versions(store, "acme", "bot"), list(store.listed("adapters/acme/"))) == ([], [])
    assert (await admin.delete(f"{VERSIONS}/1")).status_code == 404
    assert (await push(admin)).json()["version"] == 2
    await admin.delete(f"{VERSIONS}/2")
    assert (await admin.delete("/tenants/acme/adapters/bot")).status_code == 204


async def test_without_the_store_of_objects_or_the_key_nothing_is_accepted(admin: Caller, state: Path) -> None:
    (state / ADAPTER_KEY).unlink()
    assert (await push(admin)).json()["code"] == "secret_away"
    (state / "objects").rename(state / "elsewhere")
    (state / "objects").write_bytes(b"no folder")
    away = await push(admin)
    assert away.json()["code"] in ("objects_away", "secret_away")
    found = (await admin.get("/tenants/acme/adapters/bot")).json()["versions"]
    assert [one["state"] for one in found] == ["uploaded", "uploaded"]
    assert all(one["failure"] for one in found)
