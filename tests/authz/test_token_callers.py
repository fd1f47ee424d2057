"""Whom a token stands for: by its claims, by the directory, and not at all where either says no."""

import asyncio
import inspect
import time
from pathlib import Path
from typing import Any

import pytest

from headgate.directory.rows import Change, MembershipEntry, TenantEntry, UserEntry
from headgate.identity import Identity, verify
from headgate.issuers import IssuerRow
from headgate.refusals import AUTHZ_REASONS
from headgate.wire.ext_authz_pb2 import CheckResponse
from tests.authz.asking import FILE_KEY, SERVICE, Asked, bearer, digest, error_of, metadata, snapshot_of
from tests.authz.test_token_check import write_keys
from tests.issuer import Signer, claims

CLAIMING, NOTED = "https://claims.example", "https://noted.example"
CONFIG = f"""
tenants:
  acme: {{models: [m], keys: [{{name: ci, sha256: {digest(FILE_KEY)}}}]}}
  globex: {{models: [m]}}
  closed: {{models: [m], disabled: true}}
auth:
  oidc:
    - issuer: {CLAIMING}
      audience: headgate
      tenant_claim: tenant
      roles_claim: groups
      roles: {{users: developer, bosses: owner, looks: read-only, staff: admin}}
    - {{issuer: {NOTED}, audience: headgate, tenant_claim: tenant}}
"""
SIGNER = Signer("ES256")
CHAT = "/v1/chat/completions"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.chdir(tmp_path)
    snapshot = snapshot_of(tmp_path, CONFIG)
    for row in snapshot.issuers:
        write_keys(row, SIGNER)
    found = Asked(snapshot)
    found.put(TenantEntry("db"), TenantEntry("shut", disabled=True))
    return found


def token(issuer: str = CLAIMING, **more: Any) -> str:
    return SIGNER.sign(claims(issuer, **more))


def identity(asked: Asked, credential: str) -> Identity:
    answer = asked.ask(bearer(credential), "/admin/v1/me", "GET")
    (option,) = answer.ok_response.headers
    now_ms = int(time.time() * 1000)
    return verify(option.header.value, SERVICE.encode(), method="GET", path="/admin/v1/me", now_ms=now_ms)


@pytest.mark.parametrize("header", ["authorization", "api-key", "x-api-key"])
def test_claims_name_tenant_and_role(asked: Asked, header: str) -> None:
    text = token(tenant="acme", groups=["other", "users"])
    found = metadata(asked.ask({header: f"Bearer {text}" if header == "authorization" else text}))
    assert found == {"tenant": "acme", "key_id": found["key_id"], "generation": 7, "directory": found["directory"]}
    assert found["key_id"].startswith("oidc_")
    assert len(found["key_id"]) == 25
    again = metadata(asked.ask(bearer(token(tenant="acme", groups="bosses"))))
    assert again["key_id"] == found["key_id"]
    other = metadata(asked.ask(bearer(token(NOTED, tenant="acme"))))
    assert other["key_id"] != found["key_id"]  # the same subject of another issuer


def test_a_tenant_of_the_database(asked: Asked) -> None:
    assert metadata(asked.ask(bearer(token(tenant="db", groups=["users"]))))["tenant"] == "db"


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"tenant": "nowhere", "groups": "users"}, 403, "no_tenant"),
        ({"tenant": "closed", "groups": "users"}, 403, "no_tenant"),
        ({"tenant": "shut", "groups": "users"}, 403, "no_tenant"),
        ({"tenant": "acme"}, 403, "no_tenant"),  # a role is claimed, or nothing is
        ({"tenant": "acme", "groups": ["developer", "owner"]}, 403, "no_tenant"),  # words that mean nothing
        ({"tenant": "acme", "groups": "looks"}, 403, "role_not_allowed"),
        ({"groups": "bosses"}, 403, "no_tenant"),
        ({}, 403, "no_tenant"),
        ({"tenant": "acme", "groups": "staff"}, 403, "role_not_allowed"),
        ({"tenant": ["acme", "db"], "groups": "users"}, 403, "tenant_required"),
        ({"tenant": "acme", "groups": "users", "aud": "x"}, 401, "invalid_token"),
        ({"tenant": "acme", "groups": "users", "exp": 5}, 401, "invalid_token"),
    ],
)
def test_tokens_that_do_not_call_models(asked: Asked, more: dict[str, Any], status: int, code: str) -> None:
    assert error_of(asked.ask(bearer(token(**more)))) == (status, code)


def test_a_tenant_is_named_where_there_are_several(asked: Asked) -> None:
    headers = bearer(token(tenant=["acme", "db", "closed"], groups="users"))
    found = metadata(asked.ask({**headers, "openai-tenant": "db"}))
    assert (found["tenant"], found["directory"]) == ("db", asked.version)
    assert metadata(asked.ask(headers, f"/tenants/acme{CHAT}"))["tenant"] == "acme"
    for tenant in ("globex", "closed", "", "nowhere"):
        assert error_of(asked.ask({**headers, "openai-tenant": tenant})) == (403, "tenant_mismatch")
    assert error_of(asked.ask({**headers, "openai-tenant": "db"}, f"/tenants/acme{CHAT}"))[0] == 403
    one = bearer(token(tenant="acme", groups="users"))
    assert error_of(asked.ask({**one, "openai-tenant": "db"})) == (403, "tenant_mismatch")


def test_without_a_roles_claim_people_are_developers(asked: Asked) -> None:
    assert identity(asked, token(NOTED, tenant="acme")).role == "developer"
    asked.put(UserEntry("user_1", NOTED, "ann"), MembershipEntry("acme", "user_1", "owner"))
    found = identity(asked, token(NOTED, tenant="acme"))
    assert (found.kind, found.id, found.tenant, found.role) == ("user", "user_1", "acme", "owner")


def test_memberships_decide_where_no_tenant_is_claimed(asked: Asked) -> None:
    text = token(NOTED)
    assert error_of(asked.ask(bearer(text))) == (403, "no_tenant")
    asked.write(UserEntry("user_1", NOTED, "ann"), MembershipEntry("db", "user_1", "developer"))
    found = metadata(asked.ask(bearer(text)))  # nobody has told the worker: it looks
    assert (found["tenant"], found["key_id"]) == ("db", "user_1")
    assert found["directory"] <= asked.version
    asked.put(MembershipEntry("acme", "user_1", "read-only"))
    assert error_of(asked.ask(bearer(text))) == (403, "tenant_required")
    assert metadata(asked.ask({**bearer(text), "openai-tenant": "db"}))["tenant"] == "db"
    assert error_of(asked.ask({**bearer(text), "openai-tenant": "acme"})) == (403, "role_not_allowed")
    assert identity(asked, text).memberships == {"db": "developer", "acme": "read-only"}
    assert identity(asked, text).tenant is None
    asked.put(Change("membership", ("db", "user_1")))
    assert error_of(asked.ask(bearer(text))) == (403, "role_not_allowed")  # acme's alone


@pytest.mark.parametrize("issuer", [CLAIMING, NOTED])
def test_who_is_disabled_is_nobody_at_once(asked: Asked, issuer: str) -> None:
    text = token(issuer, tenant="acme", groups="bosses")
    assert metadata(asked.ask(bearer(text)))
    asked.put(UserEntry("user_1", issuer, "ann", disabled=True), MembershipEntry("acme", "user_1", "owner"))
    assert error_of(asked.ask(bearer(text))) == (401, "invalid_token")
    asked.put(UserEntry("user_1", issuer, "ann"))
    assert metadata(asked.ask(bearer(text)))["key_id"] == "user_1"


def test_admins_of_the_platform(asked: Asked) -> None:
    found = identity(asked, token(groups=["users", "staff"]))
    assert (found.tenant, found.role, found.memberships) == (None, "admin", {})
    assert error_of(asked.ask(bearer(token(groups="staff")))) == (403, "role_not_allowed")
    asked.put(UserEntry("user_1", NOTED, "ann", "admin"), MembershipEntry("db", "user_1", "developer"))
    text = token(NOTED)
    assert (identity(asked, text).tenant, identity(asked, text).role) == (None, "admin")
    assert error_of(asked.ask(bearer(text))) == (403, "role_not_allowed")
    assert metadata(asked.ask({**bearer(text), "openai-tenant": "db"}))["tenant"] == "db"
    assert error_of(asked.ask({**bearer(text), "openai-tenant": "acme"})) == (403, "tenant_mismatch")


def test_a_word_like_ours_makes_no_admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rule = f"auth: {{oidc: {{issuer: {CLAIMING}, audience: headgate, tenant_claim: tenant, roles_claim: groups}}}}\n"
    snapshot = snapshot_of(tmp_path, "tenants: {acme: {models: [m]}}\n" + rule)
    write_keys(snapshot.issuers[0], SIGNER)
    asked = Asked(snapshot)
    assert error_of(asked.ask(bearer(token(tenant="acme", groups="admin")))) == (403, "no_tenant")
    assert identity(asked, token(tenant="acme", groups=["admin", "owner"])).role == "owner"


def test_a_token_and_a_key_are_two_credentials(asked: Asked) -> None:
    text = token(tenant="acme", groups="users")
    assert error_of(asked.ask({**bearer(text), "api-key": FILE_KEY})) == (401, "invalid_api_key")
    assert metadata(asked.ask({**bearer(text), "api-key": text}))["tenant"] == "acme"
    assert metadata(asked.ask(bearer(FILE_KEY)))["key_id"] == "ci"


def test_without_issuers_a_token_is_a_bad_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = Asked(snapshot_of(tmp_path, "tenants: {acme: {models: [m]}}\n"))
    assert error_of(asked.ask(bearer(token()))) == (401, "invalid_api_key")


async def test_a_request_waits_for_a_key_that_is_new(asked: Asked) -> None:
    row: IssuerRow = asked.holder.current.snapshot.issuers[0]
    new = Signer("ES256", "two")
    text = new.sign(claims(CLAIMING, tenant="acme", groups="users"))
    assert error_of(asked.ask(bearer(text))) == (401, "invalid_token")  # fetched just now: no reason to wait
    write_keys(row, SIGNER, tried_s=31)
    await asyncio.sleep(1.1)
    waiting = [asked.begin(bearer(text), CHAT, "POST", "") for _ in range(3)]
    assert metadata(asked.ask(bearer(token(tenant="acme", groups="users"))))  # nobody else waits
    later = asyncio.gather(*[one for one in waiting if inspect.isawaitable(one)])
    await asyncio.sleep(0.1)
    write_keys(row, SIGNER, new)
    answers = [metadata(CheckResponse.FromString(answer)) for answer in await asyncio.wait_for(later, 60)]
    assert [found["tenant"] for found in answers] == ["acme"] * 3


async def test_a_ledger_that_is_away_holds_nobody_up_for_long(asked: Asked) -> None:
    write_keys(asked.holder.current.snapshot.issuers[0], SIGNER, tried_s=31)
    junk = Signer("ES256", "junk").sign(claims(CLAIMING))
    began = time.monotonic()
    answer = asked.begin(bearer(junk), CHAT, "POST", "")
    assert inspect.isawaitable(answer)
    assert error_of(CheckResponse.FromString(await answer)) == (401, "invalid_token")
    assert time.monotonic() - began < 3.5  # Envoy waits for four seconds


def test_keys_that_are_too_old_are_our_fault(asked: Asked) -> None:
    write_keys(asked.holder.current.snapshot.issuers[0], SIGNER, age_s=86_500, tried_s=1)
    time.sleep(1.1)
    answer = asked.ask(bearer(token(tenant="acme", groups="users")))
    assert error_of(answer) == (503, "issuer_unavailable")


def test_every_reason_is_counted() -> None:
    from authz.token_refusals import REFUSALS

    assert set(REFUSALS) <= set(AUTHZ_REASONS)
