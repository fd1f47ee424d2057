"""Who asks the admin API: control is told in one header, and nobody gets there whom authz does not know."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from headgate.contract import IDENTITY_HEADER, SERVICE_KEY
from headgate.directory.rows import TenantEntry
from headgate.identity import BadIdentity, Identity, verify
from headgate.virtual_key import make_key
from headgate.wire.ext_authz_pb2 import CheckResponse
from tests.authz.asking import FILE_KEY, SERVICE, Asked, bearer, digest, headers_of, key_row, metadata, snapshot_of

KEY, ADMIN = make_key(), make_key()
PATH = "/admin/v1/tenants?limit=2"
OPENAPI = "/admin/v1/openapi.json"
TENANTS = f"tenants: {{acme: {{models: [m], keys: [{{name: ci, sha256: {digest(FILE_KEY)}}}]}}}}\n"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.chdir(tmp_path)
    found = Asked(snapshot_of(tmp_path, TENANTS))
    found.put(TenantEntry("db"), key_row(KEY, role="read-only"), key_row(ADMIN, "key_2", None, role="admin"))
    return found


def header_of(answer: CheckResponse) -> str:
    """What control gets."""
    assert answer.WhichOneof("http_response") == "ok_response", answer.denied_response.body
    (option,) = answer.ok_response.headers
    assert (option.header.key, option.append_action) == (IDENTITY_HEADER, option.OVERWRITE_IF_EXISTS_OR_ADD)
    return option.header.value


def said(asked: Asked, headers: dict[str, str], path: str = PATH, method: str = "GET") -> Identity:
    answer = asked.ask({**headers, "x-request-id": "r-1"}, path, method, "192.0.2.7")
    assert set(answer.ok_response.headers_to_remove) >= {"authorization", "api-key", "x-api-key", "openai-tenant"}
    assert not metadata(answer)  # no tenant: nothing that is made for models takes it for a request of its own
    now_ms = int(time.time() * 1000)
    return verify(header_of(answer), SERVICE.encode(), method=method, path=path, now_ms=now_ms)


def problem_of(answer: CheckResponse) -> dict[str, Any]:
    problem: dict[str, Any] = json.loads(answer.denied_response.body)
    assert headers_of(answer)["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert problem["status"] == answer.denied_response.status.code
    return problem


@pytest.mark.parametrize(
    ("key", "key_id", "tenant", "role"),
    [(ADMIN, "key_2", None, "admin"), (KEY, "key_1", "db", "read-only"), (FILE_KEY, "ci", "acme", "developer")],
    ids=["admin", "database", "file"],  # keys are others in each process that collects
)
def test_control_is_told_who_asks(asked: Asked, key: str, key_id: str, tenant: str | None, role: str) -> None:
    found = said(asked, bearer(key), method="PATCH")
    assert (found.kind, found.id, found.tenant, found.role) == ("key", key_id, tenant, role)
    assert (found.request_id, found.source_address) == ("r-1", "192.0.2.7")
    assert (found.method, found.path, found.memberships) == ("PATCH", PATH, {})
    assert abs(found.issued_ms / 1000 - time.time()) < 60


def test_it_is_for_that_request_alone(asked: Asked) -> None:
    text = header_of(asked.ask(bearer(ADMIN), PATH, "GET"))
    with pytest.raises(BadIdentity):
        verify(text, SERVICE.encode(), method="DELETE", path=PATH, now_ms=int(time.time() * 1000))


@pytest.mark.parametrize("path", [PATH, "/admin/v1", "/admin/v1/", "/admin/v1?x", f"{OPENAPI}/", f"{OPENAPI}?x"])
def test_without_a_key_nothing_is_looked_at(asked: Asked, path: str) -> None:
    missing = asked.ask({"x-request-id": "r-1"}, path, "GET")
    assert problem_of(missing)["code"] == "unauthorized"
    assert problem_of(missing)["request_id"] == "r-1"
    assert headers_of(missing)["www-authenticate"] == "Bearer"
    unknown = problem_of(asked.ask(bearer(make_key()), path, "GET"))
    assert (unknown["status"], unknown["code"]) == (401, "invalid_api_key")


def test_what_the_admin_api_is_anybody_may_read(asked: Asked) -> None:
    for headers in ({}, bearer("hg-bad"), {IDENTITY_HEADER: "mine"}):
        answer = asked.ask(headers, OPENAPI, "GET")
        assert answer.status.code == 0
        assert not answer.ok_response.headers
        assert IDENTITY_HEADER in answer.ok_response.headers_to_remove
    for method in ("POST", "HEAD", "get"):
        assert problem_of(asked.ask({}, OPENAPI, method))["status"] == 401


def test_the_tenant_that_a_request_names_elsewhere_is_nothing_here(asked: Asked) -> None:
    assert said(asked, {**bearer(KEY), "openai-tenant": "acme"}).tenant == "db"


def test_a_key_with_endpoints_needs_this_one(asked: Asked) -> None:
    asked.put(key_row(KEY, endpoints=("chat",)))
    assert problem_of(asked.ask(bearer(KEY), PATH, "GET"))["code"] == "endpoint_not_allowed"
    asked.put(key_row(KEY, endpoints=("admin",)))
    assert said(asked, bearer(KEY)).id == "key_1"


def test_without_a_service_key_nobody_gets_there(asked: Asked, tmp_path: Path) -> None:
    SERVICE_KEY.unlink()
    asked.holder.swap(snapshot_of(tmp_path, TENANTS, 8))
    problem = problem_of(asked.ask(bearer(ADMIN), PATH, "GET"))
    assert (problem["status"], problem["code"]) == (503, "service_key_unavailable")
    assert metadata(asked.ask(bearer(FILE_KEY)))


def test_other_paths_are_no_admin_ones(asked: Asked) -> None:
    for path in ("/admin/v2/tenants", "/admin/v1x", "/ADMIN/v1/tenants", "/v1/admin/v1/", "/tenants/acme/admin/v1/x"):
        assert metadata(asked.ask(bearer(FILE_KEY), path))["tenant"] == "acme"
        assert not asked.ask(bearer(FILE_KEY), path).ok_response.headers
