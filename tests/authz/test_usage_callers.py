"""Who asks what is used: any role of the tenant, and control is told as whom; nobody reaches another tenant."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from headgate.contract import IDENTITY_HEADER, SERVICE_KEY
from headgate.directory.rows import MembershipEntry, TenantEntry, UserEntry
from headgate.identity import Identity, verify
from headgate.virtual_key import make_key
from headgate.wire.ext_authz_pb2 import CheckRequest, CheckResponse
from tests.authz.asking import FILE_KEY, SERVICE, Asked, bearer, digest, error_of, key_row, metadata, snapshot_of
from tests.authz.test_token_check import write_keys
from tests.certificates import Authority
from tests.issuer import Signer, claims

KEY, ADMIN = make_key(), make_key()
ISSUER = "https://claims.example"
SIGNER = Signer("ES256")
AUTHORITY = Authority("clients")
CONFIG = f"""
listen: {{https: {{address: "127.0.0.1:0", cert: server.pem, key: server-key.pem, client_ca: ca.pem}}}}
tenants: {{acme: {{models: [m], keys: [{{name: ci, sha256: {digest(FILE_KEY)}}}]}}}}
auth:
  oidc:
    - issuer: {ISSUER}
      audience: headgate
      tenant_claim: tenant
      roles_claim: groups
      roles: {{users: developer, looks: read-only, staff: admin}}
  clients:
    - {{san: "spiffe://example/looks", tenant: acme, role: read-only}}
"""
PATHS = ("/v1/usage", "/v1/organization/costs?start_time=1&group_by[]=model", "/v1/organization/usage/completions")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.chdir(tmp_path)
    AUTHORITY.issue("127.0.0.1").write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    snapshot = snapshot_of(tmp_path, CONFIG)
    for row in snapshot.issuers:
        write_keys(row, SIGNER)
    found = Asked(snapshot)
    found.put(TenantEntry("db"), key_row(KEY, role="analyst"), key_row(ADMIN, "key_2", None, role="admin"))
    return found


def told(answer: CheckResponse, path: str, method: str = "GET") -> Identity:
    """What control gets; nothing that is made for models takes it for a request of its own."""
    assert answer.WhichOneof("http_response") == "ok_response", answer.denied_response.body
    assert not metadata(answer)
    (option,) = answer.ok_response.headers
    assert (option.header.key, option.append_action) == (IDENTITY_HEADER, option.OVERWRITE_IF_EXISTS_OR_ADD)
    now_ms = int(time.time() * 1000)
    return verify(option.header.value, SERVICE.encode(), method=method, path=path, now_ms=now_ms)


def asks(asked: Asked, headers: dict[str, str], path: str) -> Identity:
    return told(asked.ask(headers, path, "GET"), path)


@pytest.mark.parametrize("path", PATHS)
def test_every_role_of_a_tenant_may_ask(asked: Asked, path: str) -> None:
    for role in ("owner", "developer", "analyst", "read-only"):
        asked.put(key_row(KEY, role=role))
        found = asks(asked, bearer(KEY), path)
        assert (found.tenant, found.role, found.models) == ("db", role, None)
    found = asks(asked, bearer(FILE_KEY), path)
    assert (found.id, found.tenant, found.role) == ("ci", "acme", "developer")
    assert asks(asked, bearer(FILE_KEY), f"/tenants/acme{path}").tenant == "acme"
    assert asks(asked, {**bearer(FILE_KEY), "openai-tenant": "acme"}, path).tenant == "acme"


@pytest.mark.parametrize("path", PATHS)
def test_another_tenant_is_403_however_it_is_named(asked: Asked, path: str) -> None:
    for key, other in ((KEY, "acme"), (FILE_KEY, "db"), (FILE_KEY, "nobody"), (FILE_KEY, "")):
        assert error_of(asked.ask({**bearer(key), "openai-tenant": other}, path, "GET")) == (403, "tenant_mismatch")
        if other:
            assert error_of(asked.ask(bearer(key), f"/tenants/{other}{path}", "GET")) == (403, "tenant_mismatch")
    assert error_of(asked.ask({}, path, "GET"))[0] == 401
    assert error_of(asked.ask(bearer(make_key()), path, "GET")) == (401, "invalid_api_key")


def test_an_admin_sees_all_or_whom_it_names(asked: Asked) -> None:
    path = "/v1/organization/costs"
    everybody = asks(asked, bearer(ADMIN), path)
    assert (everybody.tenant, everybody.role) == (None, "admin")
    for headers, asked_path in (({"openai-tenant": "db"}, path), ({}, f"/tenants/db{path}")):
        named = asks(asked, {**bearer(ADMIN), **headers}, asked_path)
        assert (named.id, named.tenant, named.role, named.memberships) == ("key_2", "db", "read-only", {})
    for headers, asked_path in (({"openai-tenant": "acme"}, f"/tenants/db{path}"), ({"openai-tenant": ""}, path)):
        assert error_of(asked.ask({**bearer(ADMIN), **headers}, asked_path, "GET")) == (403, "tenant_mismatch")
    assert asks(asked, bearer(ADMIN), path).tenant is None  # nobody's answer is another's


def test_a_key_with_endpoints_needs_this_one(asked: Asked) -> None:
    for key, more in ((KEY, {}), (ADMIN, {"key_id": "key_2", "tenant": None, "role": "admin"})):
        for endpoints, allowed in ((("chat", "admin"), False), (("usage",), True)):
            asked.put(key_row(key, endpoints=endpoints, **more))
            for path in PATHS:
                answer = asked.ask(bearer(key), path, "GET")
                if allowed:
                    assert told(answer, path).method == "GET"
                else:
                    assert error_of(answer) == (403, "endpoint_not_allowed")


def test_control_is_told_to_which_models_a_key_is_confined(asked: Asked) -> None:
    asked.put(key_row(KEY, models=("m",)))
    assert asks(asked, bearer(KEY), PATHS[1]).models == ("m",)
    asked.put(key_row(KEY, models=()))
    assert asks(asked, bearer(KEY), PATHS[1]).models == ()


def token(**more: Any) -> str:
    return SIGNER.sign(claims(ISSUER, **more))


def test_tokens(asked: Asked) -> None:
    path = "/v1/organization/usage/completions"
    found = asks(asked, bearer(token(tenant="acme", groups=["looks"])), path)
    assert (found.kind, found.tenant, found.role) == ("user", "acme", "read-only")
    staff = bearer(token(groups=["staff"]))
    assert (asks(asked, staff, path).tenant, asks(asked, staff, f"/tenants/db{path}").tenant) == (None, "db")
    mismatch = asked.ask(bearer(token(tenant="acme", groups=["users"])), f"/tenants/db{path}", "GET")
    assert error_of(mismatch) == (403, "tenant_mismatch")


def test_people_of_several_tenants_name_one(asked: Asked) -> None:
    asked.put(UserEntry("user_1", ISSUER, "ann"), MembershipEntry("db", "user_1", "owner"))
    asked.put(MembershipEntry("acme", "user_1", "read-only"))
    path, headers = "/v1/usage", bearer(token())
    assert error_of(asked.ask(headers, path, "GET")) == (403, "tenant_required")
    for tenant, role in (("db", "owner"), ("acme", "read-only")):
        found = asks(asked, headers, f"/tenants/{tenant}{path}")
        assert (found.tenant, found.role) == (tenant, role)
    assert error_of(asked.ask(headers, f"/tenants/other{path}", "GET")) == (403, "tenant_mismatch")


def test_certificates(asked: Asked) -> None:
    def ask(path: str, headers: dict[str, str]) -> CheckResponse:
        request = CheckRequest()
        request.attributes.source.certificate = AUTHORITY.issue("spiffe://example/looks").cert.decode()
        request.attributes.request.http.path, request.attributes.request.http.method = path, "GET"
        request.attributes.request.http.headers.update(headers)
        answer = asked.service.handler(asked.service.decode(request.SerializeToString()), None)
        assert isinstance(answer, bytes)
        return CheckResponse.FromString(answer)

    assert told(ask("/v1/usage", {}), "/v1/usage").role == "read-only"
    assert error_of(ask("/v1/usage", bearer(KEY))) == (403, "tenant_mismatch")
    assert error_of(ask("/v1/usage", bearer(ADMIN))) == (403, "tenant_mismatch")


def test_it_is_openai_s_shape_without_a_service_key(asked: Asked, tmp_path: Path) -> None:
    SERVICE_KEY.unlink()
    asked.holder.swap(snapshot_of(tmp_path, CONFIG, 8))
    answer = asked.ask(bearer(FILE_KEY), "/v1/usage", "GET")
    assert error_of(answer) == (503, "service_key_unavailable")
    assert set(json.loads(answer.denied_response.body)) == {"error"}


def test_models_are_not_for_those_who_only_look(asked: Asked) -> None:
    """What may ask about usage may not therefore ask models."""
    assert error_of(asked.ask(bearer(KEY), "/v1/chat/completions")) == (403, "role_not_allowed")
