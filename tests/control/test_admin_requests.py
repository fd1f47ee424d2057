"""What every request to the admin API has to be like, whatever it asks for, and what becomes of one that is not."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from admin import Caller, api, client, tools
from fastapi import FastAPI

from control import body as body_reading
from control.app import make_app
from control.audit_chain import Actor
from control.store import failures
from control.store.store import Store
from headgate.auth_secrets import SecretAway
from headgate.contract import IDENTITY_HEADER
from headgate.declared import Declared


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


class TestIdentity:
    """The header that authz signs."""

    async def test_one_that_is_another_requests_or_too_old_or_of_another_key(self, app: FastAPI) -> None:
        admin = Caller(app)
        good = admin.signed("GET", "/admin/v1/tenants?limit=1")
        for method, path, header, status in (
            ("GET", "/tenants?limit=1", good, 200),
            ("GET", "/tenants?limit=2", good, 401),
            ("GET", "/tenants", good, 401),
            ("POST", "/tenants?limit=1", good, 401),
            ("GET", "/tenants?limit=1", good[:-1], 401),
            ("GET", "/tenants?limit=1", "", 401),
            ("GET", "/tenants", Caller(app, key=b"x" * 32).signed("GET", "/admin/v1/tenants"), 401),
            ("GET", "/tenants", Caller(app, age_ms=31_000).signed("GET", "/admin/v1/tenants"), 401),
        ):
            answer = await admin.ask(method, path, headers={IDENTITY_HEADER: header})
            assert answer.status_code == status, (method, path)

    async def test_two_of_them_are_none(self, app: FastAPI) -> None:
        signed = Caller(app).signed("GET", "/admin/v1/me")
        async with client(app) as http:
            answer = await http.get("/admin/v1/me", headers=[(IDENTITY_HEADER, signed), (IDENTITY_HEADER, signed)])
        assert answer.status_code == 401

    @pytest.mark.parametrize(
        "path", ["/nothing", "/tenants/%00", "/tenants/a/keys/%2e%2e", "/tenants/ü?plan=ü&limit=3"]
    )
    async def test_the_path_is_signed_as_it_was_sent(self, app: FastAPI, path: str) -> None:
        answer = await Caller(app).get(path)
        assert answer.status_code in (404, 422)
        async with client(app) as http:
            assert (await http.get(f"/admin/v1{path}")).status_code == 401

    async def test_another_service_key_counts_at_once(self, store: Store) -> None:
        keys = [b"s" * 32]
        app = make_app(store, lambda: keys[0], lambda: Declared(1), tools())
        assert (await Caller(app).get("/me")).status_code == 200
        keys[0] = b"t" * 32
        assert (await Caller(app).get("/me")).status_code == 401


class TestBodies:
    """JSON in one meaning, announced as what it is."""

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/json;a=b"])
    async def test_other_kinds_than_json(self, admin: Caller, kind: str) -> None:
        for method, path in (("POST", "/tenants"), ("PATCH", "/tenants/acme"), ("PUT", "/tenants/acme/limits")):
            answer = await admin.ask(method, path, b'{"id":"acme"}', {"content-type": kind})
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
        answer = await admin.ask("POST", "/tenants", b"", {"content-type": kind})
        assert answer.status_code == 415, "not even without a body"

    async def test_a_charset_may_be_said(self, admin: Caller) -> None:
        kind = {"content-type": 'Application/JSON; charset="UTF-8"'}
        assert (await admin.ask("POST", "/tenants", b'{"id":"acme"}', kind)).status_code == 201

    @pytest.mark.parametrize(
        "said",
        [
            b"{",
            b'{"id":"a","id":"b"}',
            b'{"id":NaN}',
            b'{"id":"\\ud800"}',
            b'{"\\udfff":1}',
            b'{"id":"\xff"}',
            b"\xef\xbb\xbf{}",
            b'{"id":' + b"[" * 60 + b"]" * 60 + b"}",
            b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b'{"id":' + b"9" * 5000 + b"}",
            b'{"id":1.' + b"9" * 5000 + b"}",
            b'{"id":1e99999999999999999999}',
            b'{"id":-1e-99999999999999999999}',
            b'{"id":1e999999}',
            b"1e999999",
        ],
    )
    async def test_what_is_no_json_or_two_kinds_of_it(self, admin: Caller, said: bytes) -> None:
        answer = await admin.ask("POST", "/tenants", said)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_json")

    @pytest.mark.parametrize("said", [b"[]", b'"x"', b"null", b"1", b"1e99", b'{"id":1e400}', b""])
    async def test_what_is_no_object(self, admin: Caller, said: bytes) -> None:
        answer = await admin.ask("POST", "/tenants", said)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text

    async def test_what_is_asked_for_without_a_body_has_none(self, admin: Caller) -> None:
        assert (await admin.ask("GET", "/me", b"1e99999999999999999999")).status_code == 200

    @pytest.mark.parametrize("path", ["/tenants%2facme%2Fkeys", "/tenants/acme%2Fkeys", "/tenants/acme%5Ckeys"])
    async def test_a_name_is_never_two(self, admin: Caller, path: str) -> None:
        assert (await admin.ask("POST", "/tenants", b'{"id":"acme"}')).status_code == 201
        answer = await admin.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    async def test_many_faults_are_not_all_told(self, admin: Caller) -> None:
        answer = await admin.get("/tenants?" + "&".join(f"q{number}=1" for number in range(3000)))
        assert (answer.status_code, len(answer.json()["errors"])) == (422, 50)

    async def test_too_large_by_its_length_or_as_it_comes(self, admin: Caller) -> None:
        large = b'{"id":"' + b"a" * body_reading.MOST_BYTES + b'"}'
        announced = await admin.ask("POST", "/tenants", large)
        assert (announced.status_code, announced.json()["code"]) == (413, "body_too_large")
        path = "/admin/v1/tenants"

        async def pieces() -> Any:
            for at in range(0, len(large), 10_000):
                yield large[at : at + 10_000]

        headers = {"content-type": "application/json", IDENTITY_HEADER: admin.signed("POST", path)}
        async with client(admin.app) as http:
            assert (await http.post(path, content=pieces(), headers=headers)).status_code == 413

    async def test_one_that_does_not_come(self, admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(body_reading, "LONGEST_S", 0.2)
        path = "/admin/v1/tenants"

        async def never() -> Any:
            yield b"{"
            await asyncio.sleep(60)

        sent: list[Any] = []
        came = never()

        async def receive() -> Any:
            return {"type": "http.request", "body": await anext(came), "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [
            (b"content-type", b"application/json"),
            (IDENTITY_HEADER.encode(), admin.signed("POST", path).encode()),
        ]
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
        await admin.app({**scope, "headers": headers, "http_version": "1.1", "scheme": "http"}, receive, send)
        assert sent[0]["status"] == 408

    async def test_several_mistakes_are_named_at_once(self, admin: Caller) -> None:
        said = {"id": "-", "plan": 3, "disabled": "yes", "zones": [], "metadata": {"a b": "c"}, "plam": "x"}
        errors = {error["at"]: error for error in (await admin.post("/tenants", said)).json()["errors"]}
        assert errors.keys() == {"id", "plan", "disabled", "zones", "metadata", "plam"}
        assert errors["disabled"] == {"at": "disabled", "expected": "true or false", "found": '"yes"'}
        assert errors["id"]["found"] == '"-"'
        missing = (await admin.post("/tenants", {})).json()["errors"]
        assert missing == [{"at": "id", "expected": "a value", "found": None}]


class TestQueries:
    """A filter that is misspelt would show everything."""

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("limit=200", 200),
            ("limit=0", 422),
            ("limit=201", 422),
            ("limit=1.0", 422),
            ("limit=%201", 422),
            ("limit=1&limit=2", 422),
            ("disabled=1", 422),
            ("disabled=true", 200),
            ("plam=x", 422),
            ("after=nonsense", 400),
            ("after=" + "x" * 3000, 422),
        ],
    )
    async def test_parameters(self, admin: Caller, query: str, status: int) -> None:
        answer = await admin.get(f"/tenants?{query}")
        assert answer.status_code == status, answer.text

    async def test_a_cursor_of_another_list(self, admin: Caller) -> None:
        for name in ("a", "b"):
            await admin.post("/plans", {"id": name})
        cursor = (await admin.get("/plans?limit=1")).json()["next"]
        assert (await admin.get(f"/tenants?after={cursor}")).json()["code"] == "bad_cursor"


class TestOnce:
    """Idempotency keys."""

    async def test_a_request_that_comes_twice_is_done_once(self, admin: Caller) -> None:
        one = await admin.post("/keys", {"name": "x"}, idempotency_key="a-b")
        two = await admin.post("/keys", {"name": "x"}, idempotency_key="a-b")
        assert one.status_code == two.status_code == 201
        assert one.json() == two.json(), "with the key, which is shown once"
        assert two.headers["idempotency-replayed"] == "true"
        assert two.headers["etag"] == one.headers["etag"]
        assert len(await admin.all("/keys")) == 1
        assert (await admin.post("/keys", {"name": "x"}, idempotency_key="c")).json()["id"] != one.json()["id"]

    async def test_another_body_another_caller_another_path(self, admin: Caller, app: FastAPI) -> None:
        await admin.post("/tenants", {"id": "acme"}, idempotency_key="k")
        other = await admin.post("/tenants", {"id": "b"}, idempotency_key="k")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        assert (await admin.post("/keys", {"name": "x"}, idempotency_key="k")).status_code == 201
        somebody = Caller(app, id="key_other")
        assert (await somebody.post("/tenants", {"id": "acme"}, idempotency_key="k")).json()["code"] == "exists"

    async def test_a_refusal_is_not_kept(self, admin: Caller) -> None:
        said = {"id": "acme", "plan": "gold"}
        assert (await admin.post("/tenants", said, idempotency_key="k")).status_code == 409
        await admin.post("/plans", {"id": "gold"})
        assert (await admin.post("/tenants", said, idempotency_key="k")).status_code == 201

    async def test_many_at_once(self, admin: Caller) -> None:
        answers = await asyncio.gather(*(admin.post("/keys", {"name": "x"}, idempotency_key="k") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["key"] for answer in answers}) == 1
        assert len(await admin.all("/keys")) == 1

    @pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256])
    async def test_what_is_no_such_key(self, admin: Caller, key: str) -> None:
        headers = [("idempotency-key", key.encode())]
        answer = await admin.ask("POST", "/keys", {"name": "x"}, dict(headers))  # type: ignore[arg-type]
        assert answer.status_code == 422

    async def test_the_key_lies_sealed_in_the_database(self, admin: Caller, migrated: Any) -> None:
        made = (await admin.post("/keys", {"name": "x"}, idempotency_key="k")).json()
        ((kept,),) = migrated.execute("SELECT answer FROM idempotency_keys")
        assert made["key"].encode() not in bytes(kept)
        assert made["id"].encode() not in bytes(kept)

    async def test_an_answer_under_another_service_key_is_not_given_again(self, store: Store) -> None:
        keys = [b"s" * 32]
        app = make_app(store, lambda: keys[0], lambda: Declared(1), tools())
        assert (await Caller(app).post("/keys", {"name": "x"}, idempotency_key="k")).status_code == 201
        keys[0] = b"t" * 32
        again = await Caller(app, key=keys[0]).post("/keys", {"name": "x"}, idempotency_key="k")
        assert (again.status_code, again.json()["code"]) == (409, "answer_unreadable")


class TestFailures:
    """The store, and bugs of ours."""

    @pytest.mark.parametrize(
        ("raised", "status", "code", "retry"),
        [
            (failures.StoreBusy("busy"), 503, "store_busy", "1"),
            (failures.StoreAway("away"), 503, "store_away", "5"),
            (failures.StoreFull("full"), 507, "store_full", None),
            (failures.StoreDamaged("damaged"), 503, "store_damaged", None),
        ],
    )
    async def test_the_store_can_not(
        self,
        admin: Caller,
        store: Store,
        monkeypatch: pytest.MonkeyPatch,
        raised: Any,
        status: int,
        code: str,
        retry: Any,
    ) -> None:
        def fails(*_: Any) -> Any:
            raise raised

        monkeypatch.setattr(store, "write", fails)
        monkeypatch.setattr(store, "read", fails)
        for answer in (await admin.post("/tenants", {"id": "a"}), await admin.get("/tenants")):
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.headers.get("retry-after") == retry
            assert answer.headers["content-type"] == "application/problem+json"

    async def test_a_store_that_is_locked_says_so_and_answers_reads(self, admin: Caller, store: Store) -> None:
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with store.write(Actor("system", "test")):
                held.set()
                release.wait(30)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        try:
            before = time.monotonic()
            busy = await admin.post("/tenants", {"id": "a"})
            assert (busy.status_code, busy.json()["code"]) == (503, "store_busy")
            assert time.monotonic() - before < 20
            assert (await admin.get("/tenants")).status_code == 200
        finally:
            release.set()
            thread.join()
        assert (await admin.post("/tenants", {"id": "a"})).status_code == 201

    async def test_a_bug_is_500_without_details_and_in_the_log(
        self, admin: Caller, store: Store, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
    ) -> None:
        monkeypatch.setattr(store, "read", lambda: 1 / 0)
        answer = await admin.get("/tenants")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "division" not in answer.text
        (line,) = [line for line in logged if line["event"] == "the admin API failed"]
        assert line["request_id"] == answer.json()["request_id"] == "req-1"

    async def test_a_secret_that_is_away_is_said_and_nobody_is_let_in(self, store: Store, logged: list[Any]) -> None:
        def away(*_: Any) -> Any:
            raise SecretAway("secrets/auth-file-x")

        nobody = Caller(make_app(store, away, lambda: Declared(1), tools()))
        no_pepper = Caller(api(store, make_digest=away))
        for answer in (await nobody.get("/me"), await no_pepper.post("/keys", {"name": "x"})):
            assert (answer.status_code, answer.json()["code"]) == (503, "secret_away")
            assert "auth-file" not in answer.text
        assert [line["file"] for line in logged if "file" in line] == ["secrets/auth-file-x"]

    async def test_other_methods_and_paths(self, admin: Caller) -> None:
        answer = await admin.ask("PUT", "/tenants/acme")
        assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, PATCH")
        assert (await admin.ask("HEAD", "/me")).status_code == 405
        for path in ("/nothing", "/tenants/", "/openapi.json/x"):
            missing = await admin.get(path)
            assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_every_answer_keeps_browsers_from_doing_anything_with_it(admin: Caller) -> None:
    async with client(admin.app) as http:
        nobody = await http.get("/admin/v1/me", headers={"origin": "https://evil.example"})
    for answer in (await admin.get("/me"), await admin.get("/nothing"), nobody):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert not [name for name in answer.headers if name.startswith("access-control") or name == "set-cookie"]
    preflight = await admin.ask("OPTIONS", "/tenants", headers={"origin": "https://evil.example"})
    assert preflight.status_code == 405


async def test_who_did_it_is_recorded(app: FastAPI, store: Store) -> None:
    person = Caller(app, kind="user", id="user_1", role="read-only", memberships={"filed": "owner"})
    await person.post("/tenants/filed/keys", {"name": "x"})
    await Caller(app, id="key_admin").post("/tenants/filed/keys", {"name": "y"})
    theirs, ours = (await Caller(app).get("/audit?tenant=filed")).json()["data"][::-1]
    assert (theirs["actor_kind"], theirs["actor_id"], theirs["actor_tenant_id"]) == ("user", "user_1", "filed")
    assert (theirs["source"], theirs["request_id"], theirs["action"]) == ("192.0.2.9", "req-1", "key.create")
    assert (ours["actor_id"], ours["actor_tenant_id"], ours["source"]) == ("key_admin", None, "192.0.2.9")
    assert theirs["after"]["digest"] == "***"
    seen = (await person.get("/tenants/filed/audit")).json()["data"][::-1]
    assert [entry["source"] for entry in seen] == ["192.0.2.9", None], "an admin's address is the platform's"
    assert (await person.get("/tenants/filed/audit?actor=user_1")).json()["data"] == [seen[0]]
    lines = (await Caller(app).get("/audit/export")).text.splitlines()
    assert len(lines) == 2
    head = (await Caller(app).get("/audit/verify")).json()["head"]
    noted = f"{head['seq']}:{head['hash']}"
    assert (await Caller(app).get(f"/audit/verify?head={noted}")).json()["bad"] is None
    other = (await Caller(app).get(f"/audit/verify?head=2:{'0' * 64}")).json()
    assert other["bad"]["seq"] == 2
