"""What `auth.oidc` and `auth.clients` become: rows of the workers' tables, and a file for an issuer's CA."""

from pathlib import Path

from headgate.clients import ClientRow
from headgate.compile import compile_snapshot
from headgate.config.check import check
from headgate.config.model import Gateway
from headgate.edge.secrets import own_files, secret_files, secret_sources
from headgate.issuers import IssuerRow
from tests.certificates import Authority

SMALL = """
providers: {a: {api: openai, base_url: "http://a/v1"}}
models: {m: {targets: [{provider: a, model: x}]}}
tenants: {acme: {models: [m]}}
"""
LISTEN = 'listen: {https: {address: "127.0.0.1:0", cert: server.pem, key: server-key.pem, client_ca: ca.pem}}\n'


def gateway(folder: Path, text: str) -> Gateway:
    (folder / "gateway.yaml").write_text(text)
    checked = check(folder / "gateway.yaml", {})
    assert [str(problem) for problem in checked.problems] == []
    assert checked.gateway is not None
    return checked.gateway


def test_one_issuer_needs_no_list(tmp_path: Path) -> None:
    found = gateway(tmp_path, SMALL + "auth: {oidc: {issuer: 'https://Login.example/x/', audience: api}}")
    row = IssuerRow("https://Login.example/x/", ("api",))  # to the letter: a token is compared with it
    assert compile_snapshot(found, 1).issuers == (row,)


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    authority = Authority()
    authority.issue("x").write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    auth = """
auth:
  oidc:
    - issuer: https://a.example
      audience: [api, web]
      tenant_claim: https://example.com/tenant
      roles_claim: realm_access.roles
      roles: {boss: owner, 'ops, all': admin}
      jwks_uri: https://keys.example/v2?p=b2c
      ca: ca.pem
      clock_skew: 0s
      algorithms: [ES256]
    - {issuer: "http://localhost:9000/", audience: api, clock_skew: 5m}
  clients:
    - {san: "dns:App.Example", tenant: acme}
    - {san: "spiffe://example.org/ns/x", tenant: of-the-database, role: read-only}
    - {san: "uri:https://example.org/x", tenant: acme, role: owner}
"""
    found = gateway(tmp_path, SMALL + LISTEN + auth)
    tables = compile_snapshot(found, 1)
    first, second = tables.issuers
    assert first.ca
    assert first == IssuerRow(
        "https://a.example",
        ("api", "web"),
        ("ES256",),
        0.0,
        "https://keys.example/v2?p=b2c",
        first.ca,
        "https://example.com/tenant",
        "realm_access.roles",
        {"boss": "owner", "ops, all": "admin"},
    )
    assert (second.issuer, second.clock_skew_s, second.ca) == ("http://localhost:9000/", 300.0, None)
    assert tables.clients == (
        ClientRow("dns:app.example", "acme", "developer"),
        ClientRow("spiffe://example.org/ns/x", "of-the-database", "read-only"),
        ClientRow("uri:https://example.org/x", "acme", "owner"),
    )
    name = Path(first.ca).name
    assert secret_files(found, tmp_path, {})[name] == authority.pem
    assert name in own_files(found)
    assert tmp_path / "ca.pem" in secret_sources(found, tmp_path)


def test_without_any_of_it_there_is_none(tmp_path: Path) -> None:
    for auth in ("", "auth: {}\n"):
        tables = compile_snapshot(gateway(tmp_path, SMALL + auth), 1)
        assert (tables.issuers, tables.clients) == ((), ())
