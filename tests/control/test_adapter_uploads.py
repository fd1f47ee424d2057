"""Versions on their way in and out over the admin API: checked, stored and signed, or refused with what is wrong."""

import asyncio
import base64
import datetime as dt
import json
import os
import resource
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from adapter_rows import HERE
from admin import Caller, api
from msgspec.structs import replace
from rows import ADMIN, write_tenant

from control.adapters import arriving, registering
from control.adapters.leftovers import INTERRUPTED, tidy
from control.adapters.objects import Objects
from control.store.adapters import find_adapter, insert_version, take_number
from control.store.store import Store
from control.store.tenants import insert_grant
from control.store.values import AdapterVersion, Grant
from headgate.adapter_row import AdapterRow
from headgate.adapters.layout import AdapterId
from headgate.adapters.manifest import digest_of
from headgate.adapters.opening import AdapterAccess
from headgate.adapters.publishing import fetch_manifest, versions
from headgate.contract import ADAPTER_KEY, UPLOADS
from tests.adapters.made import config_of, lora_shapes, safetensors
from tests.objects import moto

VERSIONS = "/tenants/acme/adapters/bot/versions"
BYTES = {"content-type": "application/octet-stream"}
WEIGHTS = safetensors(lora_shapes())
ON_ONE = pytest.mark.parametrize("migrated", ["sqlite"], indirect=True)  # where databases make no difference


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


async def push(caller: Caller, body: Any = None, path: str = VERSIONS, **headers: str) -> Any:
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


def declared_with(**adapters: Any) -> Any:
    return replace(HERE, adapters=replace(HERE.adapters, **adapters))


async def test_a_tenant_and_all_of_them_have_so_many_bytes_of_adapters(
    admin: Caller, store: Store, state: Path
) -> None:
    """What was not accepted does not count, and what is retired does."""
    size = len(WEIGHTS)
    await push(admin, body_of(r=64))
    for row in ({"max_per_tenant_bytes": size * 2}, {"max_total_bytes": size * 2}):
        caller = Caller(api(store, declared_with(**row), state=state))
        assert (await push(caller)).status_code == 201
        await caller.post("/tenants/acme/adapters/bot/versions/2/retire")
        assert (await push(caller)).status_code == 201
        refused = await push(caller)
        assert (refused.status_code, refused.json()["code"]) == (409, "too_many_bytes")
        for version in (await caller.get("/tenants/acme/adapters/bot")).json()["versions"]:
            assert (await caller.delete(f"{VERSIONS}/{version['version']}")).status_code == 204
    assert list((state / UPLOADS).iterdir()) == []


@ON_ONE
async def test_a_disk_keeps_its_room(admin: Caller, store: Store, state: Path) -> None:
    caller = Caller(api(store, declared_with(min_free_bytes=2**60), state=state))
    refused = await push(caller)
    assert (refused.status_code, refused.json()["code"]) == (507, "disk_full")
    assert (await admin.get("/tenants/acme/adapters/bot")).json()["versions"] == []


@ON_ONE
async def test_a_disk_that_is_full_in_the_middle_is_said(admin: Caller, store: Store, state: Path) -> None:
    """The kernel refuses to write past the limit, as it does where no room is left."""
    caller = Caller(api(store, declared_with(), state=state))
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, limits[1]))
    try:
        refused = await push(caller, body_of(bytes(3 * 2**20)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (refused.status_code, refused.json()["code"]) == (507, "disk_full")
    assert (await admin.get("/tenants/acme/adapters/bot")).json()["versions"] == []
    assert list((state / UPLOADS).iterdir()) == []


@ON_ONE
@pytest.mark.parametrize("too_slow", ["for_all", "for_a_block"])
async def test_a_client_that_sends_ever_less_is_sent_away(
    admin: Caller, store: Store, state: Path, monkeypatch: pytest.MonkeyPatch, too_slow: str
) -> None:
    """It goes on for as long as it is let: a byte, and another one."""
    if too_slow == "for_a_block":
        monkeypatch.setattr(arriving, "BLOCK_WITHIN_S", 0.2)
    caller = Caller(api(store, declared_with(upload_timeout_s=0.2 if too_slow == "for_all" else 60.0), state=state))

    async def trickle() -> AsyncIterator[bytes]:
        yield body_of()[:-50]
        while True:
            await asyncio.sleep(0.01)
            yield b"x"

    async with asyncio.timeout(30):
        refused = await push(caller, trickle())
    assert (refused.status_code, refused.json()["code"]) == (408, "body_too_slow")
    assert list((state / UPLOADS).iterdir()) == []
    assert (await push(caller)).status_code == 201, "and takes nobody's place"


@ON_ONE
async def test_an_upload_that_stalls_holds_its_tenants_place_for_a_minute_and_nobody_elses(
    admin: Caller, store: Store, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert arriving.BLOCK_WITHIN_S == 60.0  # as documented
    monkeypatch.setattr(arriving, "BLOCK_WITHIN_S", 2.0)
    begun = asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield body_of()[:-50]
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(30):
        stalled = asyncio.create_task(push(admin, stalls()))
        await begun.wait()
        refused = await push(admin)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
        assert "an upload of this tenant is under way" in refused.json()["detail"]
        assert int(refused.headers["retry-after"]) >= 1
        elsewhere = await push(admin, path=VERSIONS.replace("acme", "other"))
        assert elsewhere.status_code == 404, "it has no such adapter, and a place"
        ended = await stalled
    assert (ended.status_code, ended.json()["code"]) == (408, "body_too_slow")
    assert (await push(admin)).status_code == 201


@ON_ONE
async def test_others_are_answered_while_the_store_hangs(
    admin: Caller, store: Store, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**moto.CREDENTIALS, **moto.NOWHERE}.items():
        monkeypatch.setenv(name, value)
    with moto.moto() as server:
        url = f"s3://{moto.BUCKET}?endpoint={server.endpoint}&region=us-east-1"
        app = api(store, replace(HERE, adapters=AdapterRow(objects=url)), state=state)
        owner = Caller(app, id="key_o", tenant="acme", role="owner")
        for _ in range(6):
            assert (await push(owner)).status_code == 201
        monkeypatch.setattr(registering, "REMOVED_WITHIN_S", 5.0)
        with server.hanging():
            removing = [asyncio.create_task(owner.delete(f"{VERSIONS}/{number}")) for number in range(1, 7)]
            while (await owner.get("/tenants/acme/adapters/bot")).json()["versions"][5]["state"] != "retired":
                assert not removing[0].done()
            assert (await owner.get("/tenants/acme/adapters")).status_code == 200
            assert not any(task.done() for task in removing)
            answers = [await task for task in removing]
        assert {answer.json()["code"] for answer in answers} == {"objects_away"}
        assert (await owner.delete(f"{VERSIONS}/1")).status_code == 204


async def test_what_is_nobodys_goes_after_a_day(admin: Caller, store: Store, state: Path) -> None:
    """Objects without a version, and versions whose files went with the gateway that took them."""
    await push(admin)
    await push(admin)
    objects = Objects(store, lambda: HERE.adapters, state)
    with store.write(ADMIN) as unit:
        adapter = find_adapter(unit, "acme", "bot")
        assert adapter
        number = take_number(unit, adapter).last_number
        named: dict[str, Any] = {"tenant_id": "acme", "name": "bot", "number": number, "created_by": "somebody"}
        unit.now -= dt.timedelta(days=2)
        insert_version(unit, AdapterVersion(**named, sha256="ab" * 32, size_bytes=1, facts={}))
        unit.record("test.version", "adapter", None)
    stored = objects.to_read()
    for lost in ("adapters/acme/bot/9/manifest.json", "adapters/gone/bot/1/adapter.safetensors", "adapters/notes"):
        stored.put(lost, [b"x"], 1)
    tidy(store, objects)
    assert {one.name for one in stored.listed("adapters/gone/")}, "somebody may just be writing it"
    for path in (state / "objects" / "adapters").rglob("*"):
        os.utime(path, (time.time() - 90_000,) * 2)
    tidy(store, objects)
    assert not list(stored.listed("adapters/gone/"))
    assert versions(stored, "acme", "bot") == [1, 2]
    assert {one.name for one in stored.listed("")} >= {"adapters/notes", "store.json"}
    found = (await admin.get("/tenants/acme/adapters/bot")).json()["versions"]
    assert [(one["state"], one["failure"]) for one in found[2:]] == [("uploaded", INTERRUPTED)]


@ON_ONE
async def test_another_databases_store_is_left_alone(admin: Caller, store: Store, state: Path) -> None:
    await push(admin)
    (state / "objects" / "store.json").write_text(json.dumps({"database": "ab" * 32}))
    refused = await push(admin)
    assert (refused.status_code, refused.json()["code"]) == (503, "objects_away")
    assert "another database" in refused.json()["detail"]
    (state / "objects" / "store.json").write_text("{}")
    assert (await push(admin)).status_code == 201, "an operator says that it is to be taken"


@ON_ONE
async def test_nothing_is_stored_where_a_store_is_to_be_mounted(admin: Caller, state: Path) -> None:
    await push(admin)
    (state / "objects").rename(state / "disk")
    (state / "objects").mkdir()
    for answer in (await push(admin), await admin.delete(f"{VERSIONS}/1")):
        assert (answer.status_code, answer.json()["code"]) == (503, "objects_away")
        assert "not mounted" in answer.json()["detail"]
    assert list((state / "objects").iterdir()) == []
    (state / "objects").rmdir()
    (state / "disk").rename(state / "objects")
    assert (await admin.delete(f"{VERSIONS}/1")).status_code == 204
