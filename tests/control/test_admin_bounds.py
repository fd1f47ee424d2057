"""What one tenant's keys can't do to the admin API: write large documents, take its memory, threads and disk."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from admin import Caller, api
from fastapi import FastAPI

from control.audit_chain import Actor
from control.problems import Problem
from control.roles import Asker
from control.store.store import Store
from control.store.unit import Reader
from control.traffic import AT_ONCE, WORKING, WRITES_AT_ONCE, Traffic
from headgate.identity import Identity


@pytest.fixture
def app(store: Store) -> FastAPI:
    return api(store)


@pytest.fixture
async def admin(app: FastAPI) -> Caller:
    caller = Caller(app)
    await caller.post("/tenants", {"id": "acme", "plan": "starter"})
    return caller


def owner(app: FastAPI, tenant: str = "acme", person: str = "user_owner") -> Caller:
    return Caller(app, kind="user", id=person, tenant=tenant, role="owner")


def notes(size: int) -> dict[str, str]:
    """Of so many bytes of JSON."""
    found = {f"n{number:02}": "x" * 480 for number in range(17)}
    return found | {"n00": "x" * (480 + size - 8314)}


class TestDocuments:
    """They are bounded as a whole: each change has the audit log keep them twice."""

    async def test_metadata(self, admin: Caller) -> None:
        for path, said in (
            ("/tenants/acme/keys", {"name": "k"}),
            ("/keys", {"name": "k"}),
            ("/tenants", {"id": "b"}),
        ):
            large = await admin.post(path, said | {"metadata": notes(8193)})
            assert large.status_code == 422
            assert large.json()["errors"] == [
                {"at": "metadata", "expected": "at most 8192 bytes of JSON", "found": None}
            ]
            assert (await admin.post(path, said | {"metadata": notes(8192)})).status_code == 201

    @pytest.mark.parametrize(
        ("limits", "at"),
        [
            ({"per": [{"by": ["key"], "rpm": 1}] * 65}, "limits.per"),
            ({"per": [{"by": ["key"], "rpm": 1, "models": ["chat" + "t" * 40_000]}]}, "limits"),
        ],
    )
    async def test_limits(self, admin: Caller, limits: Any, at: str) -> None:
        for answer in (
            await admin.put("/tenants/acme/limits", {"limits": limits}),
            await admin.post("/plans", {"id": "large", "limits": limits}),
        ):
            assert answer.status_code == 422
            assert [error["at"] for error in answer.json()["errors"]] == [at]


class TestLists:
    """An answer takes about a MiB, whatever was written."""

    async def test_audit_entries_and_keys(self, admin: Caller, store: Store) -> None:
        with store.write(Actor("system", "test")) as unit:  # as before metadata was bounded
            for number in range(40):
                unit.record("key.update", "key", str(number), tenant_id="acme", after={"note": "x" * 65_000})
        for number in range(130):
            said = {"name": f"k{number}", "metadata": notes(8192)}
            assert (await admin.post("/tenants/acme/keys", said)).status_code == 201
        asker = owner(admin.app)
        for path, number in (("audit", 171), ("keys", 130)):
            first = await asker.get(f"/tenants/acme/{path}?limit=200")
            assert 900_000 < len(first.content) < 1_400_000
            found = await asker.all(f"/tenants/acme/{path}", limit=200)
            assert len(found) == len({one["seq" if path == "audit" else "id"] for one in found}) == number


class TestTraffic:
    """No tenant takes the API away from others, and none from platform admins."""

    async def test_so_many_of_a_tenant_at_once(
        self, admin: Caller, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await admin.post("/tenants", {"id": "other"})
        release, reading, most = threading.Event(), [0], [0]
        read, lock, full = store.read, threading.Lock(), threading.Event()

        @contextmanager
        def slow() -> Iterator[Reader]:
            with lock:
                reading[0] += 1
                most[0] = max(most[0], reading[0])
                if reading[0] == WORKING:
                    full.set()
            try:
                release.wait(4)
                with read() as reader:
                    yield reader
            finally:
                with lock:
                    reading[0] -= 1

        monkeypatch.setattr(store, "read", slow)
        asked = [
            asyncio.create_task(owner(admin.app, person=f"user_{number}").get("/tenants/acme"))
            for number in range(AT_ONCE)
        ]
        assert await asyncio.to_thread(full.wait, 4)
        beyond = await owner(admin.app, person="user_x").ask("PATCH", "/tenants/acme/keys/k", b"no JSON")
        assert (beyond.status_code, beyond.json()["code"]) == (429, "too_many_requests")
        assert beyond.headers["retry-after"] == "1"
        others = asyncio.create_task(owner(admin.app, "other").get("/tenants/other"))
        await asyncio.sleep(0)
        monkeypatch.setattr(store, "read", read)
        assert (await admin.get("/tenants/acme")).status_code == 200
        assert not any(task.done() for task in [*asked, others])
        release.set()
        assert [answer.status_code for answer in await asyncio.gather(*asked, others)] == [200] * (AT_ONCE + 1)
        assert most == [WORKING]
        assert (await owner(admin.app).get("/tenants/acme")).status_code == 200

    async def test_a_request_that_is_refused_or_fails_is_over(self, admin: Caller) -> None:
        for number in range(3 * AT_ONCE):
            answer = await owner(admin.app).get(f"/tenants/acme/keys/k{number}")
            assert answer.status_code == 404
            assert (await owner(admin.app).get("/tenants/acme?odd=1")).status_code == 422

    async def test_a_rate_of_writes_over_all_of_a_tenants_keys(
        self, admin: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("control.traffic.WRITES_PER_S", 0.001)
        answers = [
            await owner(admin.app, person=f"user_{number}").delete("/tenants/acme/keys/none")
            for number in range(WRITES_AT_ONCE + 20)
        ]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == 20
        assert all(900 < int(answer.headers["retry-after"]) <= 1000 for answer in refused)
        assert (await owner(admin.app).get("/tenants/acme")).status_code == 200
        assert (await owner(admin.app, "other").delete("/tenants/other/keys/none")).status_code == 404
        assert (await admin.delete("/tenants/acme/keys/none")).status_code == 404

    def test_the_rate(self) -> None:
        now = [0.0]
        traffic = Traffic(lambda: now[0])

        def taken(number: int) -> int:
            return sum(map(_is_let_in, [traffic] * number))

        assert taken(WRITES_AT_ONCE + 5) == WRITES_AT_ONCE
        now[0] += 1.0
        assert taken(10) == 5
        now[0] += 3600.0
        assert taken(WRITES_AT_ONCE + 5) == WRITES_AT_ONCE


def _is_let_in(traffic: Traffic) -> bool:
    identity = Identity("key", "key_a", "acme", "owner", {}, "req", "192.0.2.9", "POST", "/", 0)
    try:
        with traffic.asking(Asker(identity, "acme", "owner", "all"), writes=True):
            return True
    except Problem:
        return False


class TestKeys:
    """They don't fill the database."""

    async def test_of_a_maker(self, admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("control.key_room.MOST_OF_MAKER", 3)
        path, asker = "/tenants/acme/keys", owner(admin.app)
        made = [(await asker.post(path, {"name": "k"})).json()["id"] for _ in range(3)]
        for beyond in (await asker.post(path, {"name": "k"}), await asker.post(f"{path}/{made[0]}/rotate")):
            assert (beyond.status_code, beyond.json()["code"]) == (409, "too_many")
        assert len(await admin.all(path)) == 3
        assert (await owner(admin.app, person="another").post(path, {"name": "k"})).status_code == 201
        assert [(await admin.post(path, {"name": "k"})).status_code for _ in range(4)] == [201] * 4
        assert (await asker.delete(f"{path}/{made[0]}")).status_code == 204
        assert (await asker.post(path, {"name": "k"})).status_code == 201

    async def test_of_a_tenant(self, admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("control.key_room.MOST_OF_TENANT", 3)
        await admin.post("/tenants", {"id": "other"})
        path = "/tenants/acme/keys"
        answers = [await admin.post(path, {"name": "k"}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 409]
        assert answers[3].json()["code"] == "too_many"
        assert (await admin.post("/tenants/other/keys", {"name": "k"})).status_code == 201
        assert [(await admin.post("/keys", {"name": "k"})).status_code for _ in range(4)] == [201] * 4
