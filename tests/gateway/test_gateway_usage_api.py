"""What is asked about usage through a real gateway: Envoy's part, who gets in, and the openai SDK's admin client."""

import contextlib
import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import openai
import pytest
from admin_gateway import AdminGateway, admin_gateway, until
from upstreams import Engine

from headgate.contract import CONTROL_API_SOCKET, LEDGER
from ledger.journal.entries import Draft, append
from ledger.journal.packing import encoded
from ledger.rows import Row
from tests.control.usage_rows import row
from tests.openai_spec.spec import answer_problems

KINDS = ("completions", "embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions")
USAGE_DATABASE = LEDGER / "usage.db"
SURFACES = ("chat", "embeddings", "moderations", "images", "speech", "transcriptions")


@dataclass
class Asked:
    """`keys`: of each tenant. The store has ten days of a key `old` of each, of `other` a thousand times as much."""

    admin: AdminGateway
    keys: dict[str, str]
    since_s: int

    @property
    def until_s(self) -> int:
        return self.since_s + 10 * 86_400

    def get(self, path: str, tenant: str | None = "acme", **options: Any) -> httpx2.Response:
        return self.admin.ask("GET", path, key=self.keys[tenant] if tenant else None, **options)

    def sdk(self, tenant: str = "acme") -> Any:
        key = self.keys[tenant]
        client = openai.OpenAI(
            api_key=key, admin_api_key=key, base_url=f"{self.admin.gateway.url}/v1", max_retries=0, timeout=60
        )
        return client.admin.organization.usage


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Asked]:
    keys = {tenant: f"hg-{token_urlsafe(32)}" for tenant in ("acme", "other")}
    tenants = {
        tenant: {
            "models": ["chat"],
            "limits": {"rpm": 100, "monthly_tokens": 10**6},
            "keys": [{"name": "ci", "sha256": sha256(key.encode()).hexdigest()}],
        }
        for tenant, key in keys.items()
    }
    now_s = int(time.time())
    since_s = now_s - now_s % 86_400 - 9 * 86_400
    rows = [
        row(
            since_s + day * 86_400,
            request_id=f"{tenant}-{surface}-{day}",
            tenant=tenant,
            key_id="old",
            surface=surface,
            units=much,
            prompt_tokens=much,
            price_nano=much,
        )
        for tenant, much in (("acme", 1), ("other", 1000))
        for day in range(10)
        for surface in SURFACES
    ]
    with admin_gateway(tmp_path_factory.mktemp("usage"), engine, tenants=tenants) as admin:
        admin.tenant_key = keys["acme"]
        keys["admin"] = admin.admin_key()
        found = Asked(admin, keys, since_s)
        journal(admin.gateway.state / USAGE_DATABASE, rows)
        until(lambda: counted(found) == len(rows))
        yield found


def journal(path: Path, rows: list[Row]) -> None:
    """As the ledger does, beside it."""
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        append(database, [Draft(one.ended_ms, encoded(one)) for one in rows])
        database.execute("COMMIT")


def counted(asked: "Asked") -> int:
    """Results in the store, of all tenants and surfaces."""
    path = f"/v1/organization/costs?start_time={asked.since_s}&limit=10&group_by=line_item&group_by=tenant_id"
    answer = asked.get(path, "admin")
    return sum(len(bucket["results"]) for bucket in answer.json()["data"]) if answer.status_code == 200 else 0


def error(answer: httpx2.Response, status: int, code: str | None) -> dict[str, Any]:
    """In OpenAI's shape, whoever says it, and of no provider."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text[:500]
    assert answer.headers["x-headgate-error-source"] == "gateway"
    assert answer.headers["x-request-id"]
    assert not {"x-headgate-target", "x-headgate-attempts"} & set(answer.headers)
    said: dict[str, Any] = answer.json()["error"]
    assert set(said) == {"message", "type", "param", "code"}
    assert said["code"] == code
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_the_sdk_reads_every_kind_page_by_page(asked: Asked, kind: str) -> None:
    for tenant, much in (("acme", 1), ("other", 1000)):
        ask = getattr(asked.sdk(tenant), kind)
        buckets: list[Any] = []
        page: dict[str, str] = {}
        while True:
            groups, names = ["model", "api_key_id"], {"models": ["chat"], "api_key_ids": ["old"]}
            said = ask(start_time=asked.since_s, end_time=asked.until_s, limit=3, group_by=groups, **names, **page)
            buckets += said.data
            if not said.has_more:
                break
            page = {"page": said.next_page}
        assert [bucket.start_time for bucket in buckets] == [asked.since_s + day * 86_400 for day in range(10)]
        assert {result.object for bucket in buckets for result in bucket.results} == {
            f"organization.usage.{kind}.result"
        }
        figure = {"images": "images", "audio_speeches": "characters", "audio_transcriptions": "seconds"}
        name = figure.get(kind, "input_tokens")
        assert [getattr(result, name) for bucket in buckets for result in bucket.results] == [much] * 10
        assert {(one.model, one.api_key_id) for bucket in buckets for one in bucket.results} == {("chat", "old")}


def test_the_sdk_reads_costs(asked: Asked) -> None:
    times = {"start_time": asked.since_s, "end_time": asked.until_s}
    said = asked.sdk().costs(**times, limit=180, group_by=["line_item"], api_key_ids=["old"])
    assert (len(said.data), said.has_more) == (10, False)
    results = [result for bucket in said.data for result in bucket.results]
    assert {(one.amount.value, one.amount.currency) for one in results} == {(1e-9, "usd")}
    assert {one.line_item for one in results} == {f"chat, {surface}, tokens" for surface in SURFACES}


def test_the_sdk_says_what_is_wrong(asked: Asked) -> None:
    with pytest.raises(openai.BadRequestError) as wrong:
        asked.sdk().completions(start_time=asked.since_s, limit=32)
    assert (wrong.value.param, wrong.value.code) == ("limit", "invalid_value")
    with pytest.raises(openai.BadRequestError) as unrecorded:
        asked.sdk().completions(start_time=asked.since_s, group_by=["service_tier"])
    assert (unrecorded.value.param, unrecorded.value.code) == ("group_by", "not_recorded")
    with pytest.raises(openai.NotFoundError):
        asked.sdk().vector_stores(start_time=asked.since_s)


def test_answers_are_as_specified_and_say_how_fresh_they_are(asked: Asked) -> None:
    for endpoint in (*(f"/organization/usage/{kind}" for kind in KINDS), "/organization/costs"):
        for prefix in ("", "/tenants/acme"):
            answer = asked.get(f"{prefix}/v1{endpoint}?start_time={asked.since_s}&limit=9")
            assert answer.status_code == 200, answer.text
            assert answer_problems(f"GET {endpoint}", answer.json()) == []
            assert re.fullmatch(r"20\d\d-\d\d-\d\dT[0-9:.]{12}Z", answer.headers["x-headgate-usage-until"])
            assert answer.headers["cache-control"] == "no-store"
            assert not {"x-headgate-target", "x-headgate-attempts", "x-headgate-error-source"} & set(answer.headers)


def test_each_sees_its_own_and_an_admin_sees_all(asked: Asked) -> None:
    path = f"/v1/organization/usage/embeddings?start_time={asked.since_s}&limit=1&group_by=tenant_id"

    def told(tenant: str, prefix: str = "", **headers: str) -> dict[str, int]:
        url = asked.admin.gateway.url + prefix + path
        headers = {"authorization": f"Bearer {asked.keys[tenant]}", **headers}
        answer = httpx2.get(url, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return {one["tenant_id"]: one["input_tokens"] for one in answer.json()["data"][0]["results"]}

    acme, other = {"acme": 1}, {"other": 1000}
    assert (told("acme"), told("other"), told("admin")) == (acme, other, acme | other)
    assert (told("admin", "/tenants/other"), told("admin", **{"openai-tenant": "acme"})) == (other, acme)
    for at in (path, "/v1/usage", f"/v1/organization/costs?start_time={asked.since_s}"):
        error(asked.get(f"/tenants/other{at}"), 403, "tenant_mismatch")
        error(asked.get(at, None), 401, None)
    error(asked.get(f"{path}&tenant_ids=other"), 403, "tenant_mismatch")


def test_how_the_limits_stand(asked: Asked) -> None:
    """Of a real request, as the ledger has settled it; the periods are the store's."""
    before = asked.get("/v1/usage").json()
    assert (before["object"], before["tenant_id"]) == ("usage", "acme")
    assert asked.admin.chat().status_code == 200

    def used(tenant: str, name: str = "monthly_tokens") -> Any:
        said = asked.get("/v1/usage", tenant).json()
        return next(limit for limit in said["limits"] if limit["limit"] == name)["used"]

    until(lambda: used("acme") > 0)
    assert used("other") == 0
    said = asked.get("/tenants/acme/v1/usage").json()
    month = next(limit for limit in said["limits"] if limit["limit"] == "monthly_tokens")
    assert month["left"] + month["used"] + month["reserved"] == month["cap"] == 10**6
    assert said["periods"]["month"].keys() == said["periods"]["day"].keys()
    month = asked.get("/v1/usage", "other").json()["periods"]["month"]
    costs = asked.get(f"/v1/organization/costs?start_time={month['start_time']}&limit=180", "other").json()["data"]
    paid = [Decimal(str(one["amount"]["value"])) for bucket in costs for one in bucket["results"]]
    assert Decimal(month["cost_usd"]) == sum(paid) > 0


def test_a_real_request_is_in_it(asked: Asked) -> None:
    path = f"/v1/organization/usage/completions?start_time={asked.since_s}&limit=31&api_key_ids=ci&group_by=user_id"

    def requests(tenant: str) -> int:
        said = asked.get(path, tenant).json()
        return sum(one["num_model_requests"] for bucket in said["data"] for one in bucket["results"])

    before = requests("acme")
    assert asked.admin.chat().status_code == 200
    until(lambda: requests("acme") > before)
    assert requests("other") == 0
    assert error(asked.get("/v1/usage?model=none"), 404, "not_found")["param"] == "model"
    error(asked.get("/v1/usage", "admin"), 400, "tenant_required")


def test_what_envoy_says_itself(asked: Asked) -> None:
    url, headers = asked.admin.gateway.url, {"authorization": f"Bearer {asked.keys['acme']}"}
    large = httpx2.request("GET", f"{url}/v1/usage", content=b" " * (2**20 + 1), headers=headers, timeout=60)
    error(large, 413, "request_too_large")
    websocket = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    upgraded = httpx2.get(f"{url}/v1/usage", headers={**headers, **websocket, "sec-websocket-key": "x"})
    error(upgraded, 403, "gateway_refused")
    error(httpx2.post(f"{url}/v1/usage", json={}, headers=headers, timeout=60), 405, "method_not_allowed")
    for path in ("/v1/organization", "/v1/organization/projects", "/v1/usage/"):
        error(asked.get(path), 404, "unknown_url")
    for path in ("/v1/usages", "/v1/organizations"):  # these are for models
        assert asked.get(path).headers["x-headgate-attempts"] == "0"
    for header in ("x-headgate-identity", "x-headgate-admin"):
        error(httpx2.get(f"{url}/v1/usage", headers={header: "e30.AAAA"}), 401, None)


def test_nothing_of_it_is_recorded(asked: Asked) -> None:
    ids = [asked.get("/v1/usage", tenant).headers["x-request-id"] for tenant in ("acme", "admin", None)]
    asked.admin.gateway.end_line(asked.admin.chat().headers["x-request-id"])
    spooled = [path.read_bytes() for path in (asked.admin.gateway.state / "spool").iterdir()]
    assert not [one for one in ids for data in spooled if one.encode() in data]


def test_the_admin_api_s_description_has_none_of_it(asked: Asked) -> None:
    paths = asked.get("/admin/v1/openapi.json", None).json()["paths"]
    assert not [path for path in paths if not path.startswith("/admin/v1/")]


def test_without_control_it_is_503_in_openai_s_shape(asked: Asked) -> None:
    gateway = asked.admin.gateway
    socket = gateway.state / CONTROL_API_SOCKET
    socket.rename(socket.with_name("aside"))
    socket.mkdir()  # nothing can listen there
    os.kill(gateway.pids("control")["control"], signal.SIGKILL)
    try:
        until(lambda: "control" not in gateway.pids("control"))
        for path in ("/v1/usage", f"/tenants/acme/v1/organization/costs?start_time={asked.since_s}"):
            said = error(asked.get(path), 503, "control_unavailable")
            assert (said["type"], said["param"]) == ("server_error", None)
        with pytest.raises(openai.InternalServerError):
            asked.sdk().completions(start_time=asked.since_s)
        assert asked.admin.chat().status_code == 200
    finally:
        socket.rmdir()
        socket.with_name("aside").unlink()
    until(lambda: asked.get("/v1/usage").status_code == 200)
