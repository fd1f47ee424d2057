"""Keys of the database: who they are, what they may, and that every change counts from the next request on."""

import time
from pathlib import Path
from typing import Any

import pytest

from authz.database_keys import LOOKS_PER_S, Looks
from headgate.contract import PEPPER
from headgate.directory.rows import KeyRow, TenantEntry, gone
from headgate.metrics import REFUSALS
from headgate.virtual_key import make_key
from tests.authz.asking import (
    FILE_KEY,
    PEPPERS,
    Asked,
    bearer,
    digest,
    error_of,
    key_row,
    metadata,
    snapshot_of,
)

KEY, OTHER = make_key(), make_key()
WRONG_CHECKSUM = f"{KEY[:-1]}{'A' if KEY[-1] != 'A' else 'B'}"
TENANTS = f"""\
tenants:
  acme: {{models: [m], keys: [{{name: ci, sha256: {digest(FILE_KEY)}}}, {{name: odd, sha256: {digest(OTHER)}}}]}}
  closed: {{models: [m], disabled: true}}
"""
OPEN = TenantEntry("db")
BAD_KEY = (401, "invalid_api_key")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.chdir(tmp_path)
    return Asked(snapshot_of(tmp_path, TENANTS))


def refusals(reason: str) -> float:
    count: float = REFUSALS.labels("authz", reason)._value.get()
    return count


def refused_for(asked: Asked, key: str, reason: str) -> bool:
    """The client learns nothing, the operator this."""
    before = refusals(reason)
    assert error_of(asked.ask(bearer(key))) == BAD_KEY
    return refusals(reason) == before + 1


def test_a_key_is_its_tenants(asked: Asked) -> None:
    asked.put(OPEN, key_row(KEY, "key_1"))
    said = {"tenant": "db", "key_id": "key_1", "generation": 7, "directory": 1}
    assert metadata(asked.ask(bearer(KEY))) == said
    assert metadata(asked.ask({"x-api-key": KEY, "openai-tenant": "db"}, "/tenants/db/v1/models")) == said
    assert error_of(asked.ask(bearer(KEY), "/tenants/acme/v1/models")) == (403, "tenant_mismatch")


def test_a_key_of_a_tenant_of_gateway_yaml(asked: Asked) -> None:
    asked.put(key_row(KEY, tenant="acme"))
    assert metadata(asked.ask(bearer(KEY)))["tenant"] == "acme"
    assert metadata(asked.ask(bearer(FILE_KEY))) == {"tenant": "acme", "key_id": "ci", "generation": 7}


def test_a_key_is_known_as_soon_as_it_was_made(asked: Asked) -> None:
    assert refused_for(asked, KEY, "unknown_key")
    asked.write(OPEN, key_row(KEY))  # and nobody has told the worker
    assert metadata(asked.ask(bearer(KEY)))["key_id"] == "key_1"


def test_what_is_revoked_is_refused_with_the_next_request(asked: Asked) -> None:
    asked.put(OPEN, key_row(KEY))
    assert metadata(asked.ask(bearer(KEY)))
    asked.put(gone(KeyRow, ("key_1",)))
    assert refused_for(asked, KEY, "unknown_key")


def test_a_database_that_was_restored_counts_from_then_on(asked: Asked) -> None:
    asked.put(OPEN, key_row(KEY))
    assert metadata(asked.ask(bearer(KEY)))
    asked.restore(OPEN, key_row(KEY, disabled=True), key_row(OTHER, "key_2"))
    assert refused_for(asked, KEY, "disabled_key")


def test_unknown_keys_make_a_worker_look_at_the_file_so_often_and_no_more() -> None:
    moment = 10.0
    looks = Looks(lambda: moment)
    assert [looks.may() for _ in range(LOOKS_PER_S + 50)] == [True] * LOOKS_PER_S + [False] * 50
    moment = 11.0
    assert looks.may()


NOW = time.time()
ENDS: list[tuple[dict[str, Any], str]] = [
    ({"disabled": True}, "disabled_key"),
    ({"ends_at": NOW - 1}, "expired_key"),
    ({"tenant": "closed"}, "disabled_tenant"),
    ({"tenant": "nowhere"}, "unknown_tenant"),
    ({"tenant": None}, "unknown_key"),  # a developer of nobody
    ({"role": "admin"}, "unknown_key"),  # of all, and of a tenant
]


@pytest.mark.parametrize(("ended", "reason"), ENDS)
def test_whatever_ends_a_key_its_client_learns_the_same(asked: Asked, ended: dict[str, Any], reason: str) -> None:
    asked.put(OPEN, key_row(KEY, ends_at=NOW + 3600))
    assert metadata(asked.ask(bearer(KEY)))
    asked.put(key_row(KEY, **ended))
    assert refused_for(asked, KEY, reason)
    asked.put(key_row(KEY))
    assert metadata(asked.ask(bearer(KEY)))


@pytest.mark.parametrize(
    "tenant", [TenantEntry("db", disabled=True), TenantEntry("db", deleting=True), gone(TenantEntry, ("db",))]
)
def test_a_tenant_that_is_closed_closes_its_keys(asked: Asked, tenant: Any) -> None:
    asked.put(OPEN, key_row(KEY))
    assert metadata(asked.ask(bearer(KEY)))
    asked.put(tenant)
    assert error_of(asked.ask(bearer(KEY))) == BAD_KEY
    asked.put(OPEN)
    assert metadata(asked.ask(bearer(KEY)))


def test_a_key_ends_while_nothing_else_changes(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    ends_at = time.time() + 3600  # a whole run may lie between the import and this test
    asked.put(OPEN, key_row(KEY, ends_at=ends_at))
    assert metadata(asked.ask(bearer(KEY)))
    monkeypatch.setattr(time, "time", lambda: ends_at)
    assert refused_for(asked, KEY, "expired_key")


def test_gateway_yaml_closes_a_tenant_that_it_shadows(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.put(OPEN, key_row(KEY))
    asked.holder.swap(snapshot_of(tmp_path, "tenants: {db: {models: [m], disabled: true}}\n", 8))
    assert refused_for(asked, KEY, "disabled_tenant")
    asked.holder.swap(snapshot_of(tmp_path, "tenants: {db: {models: [m]}}\n", 9))
    assert metadata(asked.ask(bearer(KEY)))["generation"] == 9


def test_an_overlap_of_two_keys(asked: Asked) -> None:
    fresh = make_key()
    asked.put(OPEN, key_row(KEY, "key_1", ends_at=NOW + 3600), key_row(fresh, "key_2"))
    assert [metadata(asked.ask(bearer(key)))["key_id"] for key in (KEY, fresh)] == ["key_1", "key_2"]
    asked.put(key_row(KEY, "key_1", ends_at=NOW - 1))
    assert refused_for(asked, KEY, "expired_key")
    assert metadata(asked.ask(bearer(fresh)))


def test_models_of_a_key_go_with_the_request(asked: Asked) -> None:
    asked.put(OPEN, key_row(KEY, models=("m", "n/o")))
    assert metadata(asked.ask(bearer(KEY)))["key_models"] == ["m", "n/o"]
    asked.put(key_row(KEY, models=()))
    assert metadata(asked.ask(bearer(KEY)))["key_models"] == []
    asked.put(key_row(KEY))
    assert "key_models" not in metadata(asked.ask(bearer(KEY)))


@pytest.mark.parametrize(
    ("endpoints", "path", "may"),
    [
        (None, "/v1/anything", True),
        (("chat",), "/v1/chat/completions", True),
        (("chat",), "/tenants/db/v1/chat/completions?x=/v1/embeddings", True),
        (("chat",), "/v1/models/m", True),
        (("chat",), "/v1/completions", False),
        (("chat",), "/v1/embeddings?x=/v1/chat", False),
        (("chat",), "/v1/chatter", False),
        (("chat",), "/v1/", False),
        (("chat",), "/v2/chat/completions", False),
        (("chat",), "/x/v1/chat/completions", False),
        (("chat",), "/v1/%63hat/completions", False),
        (("images", "audio"), "/v1/audio/speech", True),
        (("admin",), "/v1/chat/completions", False),
        ((), "/v1/chat/completions", False),
    ],
)
def test_endpoints_of_a_key(asked: Asked, endpoints: tuple[str, ...] | None, path: str, may: bool) -> None:
    asked.put(OPEN, key_row(KEY, endpoints=endpoints))
    answer = asked.ask(bearer(KEY), path)
    if may:
        assert metadata(answer)
    else:
        assert error_of(answer) == (403, "endpoint_not_allowed")


ROLES = [("owner", True), ("developer", True), ("analyst", False), ("read-only", False), ("admin", False)]


@pytest.mark.parametrize(("role", "may"), ROLES)
def test_roles_that_call_models(asked: Asked, role: str, may: bool) -> None:
    asked.put(OPEN, key_row(KEY, tenant=None if role == "admin" else "db", role=role))
    answer = asked.ask(bearer(KEY))
    if may:
        assert metadata(answer)
    else:
        assert error_of(answer) == (403, "role_not_allowed")


def test_a_wrong_checksum_never_gets_to_the_directory(asked: Asked) -> None:
    asked.put(OPEN, key_row(WRONG_CHECKSUM))
    assert refused_for(asked, WRONG_CHECKSUM, "unknown_key")


def test_what_gateway_yaml_says_of_a_key_counts(asked: Asked) -> None:
    asked.put(OPEN, key_row(OTHER, "key_9"))
    assert metadata(asked.ask(bearer(OTHER))) == {"tenant": "acme", "key_id": "odd", "generation": 7}


def test_peppers_that_are_being_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    snapshot = snapshot_of(tmp_path, "auth: {previous_peppers: [env:OLD_PEPPER]}\n")
    Path("secrets").mkdir()
    Path(snapshot.auth.previous_peppers[0]).write_text(PEPPERS[1])
    asked = Asked(snapshot)
    asked.put(OPEN, key_row(KEY, "key_1"), key_row(OTHER, "key_2", pepper=PEPPERS[1]))
    assert [metadata(asked.ask(bearer(key)))["key_id"] for key in (KEY, OTHER)] == ["key_1", "key_2"]
    asked.holder.swap(snapshot_of(tmp_path, "", 8))
    assert metadata(asked.ask(bearer(KEY)))
    assert refused_for(asked, OTHER, "unknown_key")


def test_a_key_under_a_pepper_that_is_new_too(asked: Asked) -> None:
    assert refused_for(asked, KEY, "unknown_key")
    PEPPER.write_text(PEPPERS[1])
    asked.write(OPEN, key_row(KEY, pepper=PEPPERS[1]))
    assert metadata(asked.ask(bearer(KEY)))


def test_without_a_pepper_only_keys_of_gateway_yaml_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = Asked(snapshot_of(tmp_path, TENANTS))
    PEPPER.unlink()
    asked.put(OPEN, key_row(KEY))
    assert refused_for(asked, KEY, "no_pepper")
    assert metadata(asked.ask(bearer(FILE_KEY)))


def test_the_answer_is_made_anew_when_something_of_it_changes(asked: Asked) -> None:
    asked.put(OPEN, key_row(KEY))
    assert metadata(asked.ask(bearer(KEY)))["directory"] == 1
    asked.put(key_row(OTHER, "key_8"))
    assert metadata(asked.ask(bearer(KEY)))["directory"] == 1
    asked.put(TenantEntry("db", plan="gold"))
    assert metadata(asked.ask(bearer(KEY)))["directory"] == 3
    asked.holder.swap(asked.holder.current.snapshot.__class__(8, 0, 1, keys=[], tenants={}, models={}))
    assert metadata(asked.ask(bearer(KEY))) == {"tenant": "db", "key_id": "key_1", "generation": 8, "directory": 3}


def test_no_answer_tells_a_key_or_its_digest(asked: Asked) -> None:
    row = key_row(KEY)
    asked.put(OPEN, row)
    for path in ("/v1/models", "/tenants/acme/v1/models"):
        answer = asked.ask(bearer(KEY), path).SerializeToString()
        assert KEY.encode() not in answer
        assert row.digest not in answer
        assert row.digest.hex().encode() not in answer
