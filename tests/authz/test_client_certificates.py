"""Clients with certificates: Envoy has verified them, their names say whom they act for, headers say nothing."""

import datetime as dt
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.directory.rows import TenantEntry
from headgate.wire.ext_authz_pb2 import CheckRequest, CheckResponse
from tests.authz.asking import FILE_KEY, Asked, bearer, digest, error_of, metadata, snapshot_of
from tests.certificates import Authority

CHAT = "/v1/chat/completions"
AUTHORITY = Authority("clients")
CONFIG = f"""
listen: {{https: {{address: "127.0.0.1:0", cert: server.pem, key: server-key.pem, client_ca: ca.pem}}}}
tenants:
  acme: {{models: [m], keys: [{{name: ci, sha256: {digest(FILE_KEY)}}}]}}
  closed: {{models: [m], disabled: true}}
auth:
  clients:
    - {{san: "dns:batch.example", tenant: acme}}
    - {{san: "spiffe://example/looks", tenant: acme, role: read-only}}
    - {{san: "uri:urn://example/odd", tenant: db, role: owner}}
    - {{san: "dns:closed.example", tenant: closed}}
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.chdir(tmp_path)
    AUTHORITY.issue("127.0.0.1").write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    found = Asked(snapshot_of(tmp_path, CONFIG))
    found.put(TenantEntry("db"))
    return found


def shown(*names: str, ends: dt.timedelta = dt.timedelta(days=1)) -> str:
    """As Envoy hands it over."""
    return quote(AUTHORITY.issue(*names, ends=ends).cert.decode(), safe="")


def ask(asked: Asked, certificate: str, headers: dict[str, str] | None = None, path: str = CHAT) -> CheckResponse:
    request = CheckRequest()
    request.attributes.source.certificate = certificate
    request.attributes.request.http.path = path
    request.attributes.request.http.headers.update(headers or {})
    answer = asked.service.handler(asked.service.decode(request.SerializeToString()), None)
    assert isinstance(answer, bytes)
    return CheckResponse.FromString(answer)


def test_a_name_says_whom_it_acts_for(asked: Asked) -> None:
    found = metadata(ask(asked, shown("batch.example")))
    assert (found["tenant"], found["key_id"]) == ("acme", "dns:batch.example")
    assert metadata(ask(asked, shown("BATCH.example")))["tenant"] == "acme"
    assert metadata(ask(asked, shown("urn://example/odd")))["tenant"] == "db"
    assert metadata(ask(asked, shown("other.example", "batch.example")))["tenant"] == "acme"
    assert error_of(ask(asked, shown("spiffe://example/looks"))) == (403, "role_not_allowed")


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("batch.example.org",),
        ("x.batch.example",),
        ("*.example",),
        ("batch.example.",),
        ("urn://batch.example",),
        ("spiffe://example/looks/more",),
        ("127.0.0.1",),
        ("other.example,dns:batch.example",),
    ],
)
def test_other_names_are_nobodys(asked: Asked, names: tuple[str, ...]) -> None:
    assert error_of(ask(asked, shown(*names))) == (401, None)
    assert metadata(ask(asked, shown(*names), bearer(FILE_KEY)))["key_id"] == "ci"


def test_the_common_name_does_not_count(asked: Asked) -> None:
    certificate = shown("batch.example", "x")  # its common name is the first one
    assert metadata(ask(asked, certificate))
    assert error_of(ask(asked, shown("x", "y"))) == (401, None)


def test_names_of_two_callers(asked: Asked) -> None:
    for names in (("batch.example", "spiffe://example/looks"), ("batch.example", "urn://example/odd")):
        assert error_of(ask(asked, shown(*names))) == (403, "ambiguous_certificate")
        assert error_of(ask(asked, shown(*names), bearer(FILE_KEY))) == (403, "ambiguous_certificate")


def test_a_credential_beside_it_is_of_the_same_tenant(asked: Asked) -> None:
    found = metadata(ask(asked, shown("batch.example"), bearer(FILE_KEY)))
    assert (found["tenant"], found["key_id"]) == ("acme", "ci")
    assert metadata(ask(asked, shown("spiffe://example/looks"), bearer(FILE_KEY)))["key_id"] == "ci"
    for path in (CHAT, "/admin/v1/me"):
        answer = ask(asked, shown("urn://example/odd"), bearer(FILE_KEY), path)
        assert answer.denied_response.status.code == 403
    assert error_of(ask(asked, shown("batch.example"), bearer("hg-bad"))) == (401, "invalid_api_key")


def test_a_tenant_that_it_is_not_of(asked: Asked) -> None:
    assert error_of(ask(asked, shown("batch.example"), {"openai-tenant": "db"})) == (403, "tenant_mismatch")
    assert metadata(ask(asked, shown("batch.example"), {"openai-tenant": "acme"}))["tenant"] == "acme"
    assert error_of(ask(asked, shown("closed.example"))) == (403, "no_tenant")


def test_one_that_expires_while_it_is_shown(asked: Asked) -> None:
    expired = shown("batch.example", ends=-dt.timedelta(seconds=1))
    assert error_of(ask(asked, expired)) == (401, "certificate_expired")


def test_no_header_counts(asked: Asked) -> None:
    forged = {"x-forwarded-client-cert": f"Cert={shown('batch.example')};DNS=batch.example", "x-client": "batch"}
    assert error_of(ask(asked, "", forged)) == (401, None)


def test_a_websocket_needs_more(asked: Asked) -> None:
    upgrade = {"upgrade": "websocket"}
    assert error_of(ask(asked, shown("batch.example"), upgrade, "/v1/responses")) == (401, None)
    assert metadata(ask(asked, shown("batch.example"), upgrade | bearer(FILE_KEY), "/v1/responses"))


def test_without_clients_a_certificate_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = Asked(snapshot_of(tmp_path, "tenants: {acme: {models: [m]}}\n"))
    assert error_of(ask(asked, shown("batch.example"))) == (401, None)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), text=st.text(st.characters(codec="utf-8"), max_size=20), whole=st.booleans())
def test_what_is_no_certificate_is_nobodys(asked: Asked, cut: int, text: str, whole: bool) -> None:
    good = shown("x.example")
    certificate = text if whole else good[:cut] + text + good[cut:]
    assert error_of(ask(asked, certificate))[0] == 401
