"""The commands of the admin API against the API itself: what operators do, and what they are told."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from admin_api import Served, served
from click.testing import Result

from headgate.virtual_key import has_checksum
from tests.control.rows import write_tenant


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def acme(admin: Served) -> Served:
    done(admin.run("tenants", "create", "acme", "--display-name", "Acme Inc."))
    return admin


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def one(result: Result) -> Any:
    return json.loads(done(result))


def rows(result: Result) -> list[list[str]]:
    """The cells of a table, without its head."""
    return [re.split(r" {2,}", line.strip()) for line in done(result).splitlines()[1:]]


def refused(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_tenants_life(admin: Served) -> None:
    made = (
        "tenants",
        "create",
        "acme",
        "--plan",
        "starter",
        "--zone",
        "internal",
        "--usage-retention",
        "30d",
        "--pricing",
        "{discount: 10%, models: {big: {markup: 5%}}}",
        "--metadata",
        "contract=7",
        "--json",
    )
    assert one(admin.run(*made)) | {"created_at": "", "updated_at": ""} == {
        "id": "acme",
        "display_name": "acme",
        "plan": "starter",
        "zones": ["internal"],
        "pin_targets": False,
        "store_prompts": False,
        "usage_retention": "30d",
        "pricing": {"discount": "10%", "models": {"big": {"markup": "5%"}}},
        "disabled": False,
        "metadata": {"contract": "7"},
        "created_at": "",
        "created_by": "key:key_admin",
        "updated_at": "",
        "deleting_at": None,
        "managed_by": "database",
    }
    changed = (
        "tenants",
        "update",
        "acme",
        "--no-plan",
        "--no-zones",
        "--no-usage-retention",
        "--no-pricing",
        "--disable",
        "--display-name",
        "Acme",
        "--json",
    )
    found = one(admin.run(*changed))
    assert (found["plan"], found["zones"], found["disabled"], found["display_name"]) == (None, None, True, "Acme")
    assert (found["metadata"], found["usage_retention"], found["pricing"]) == ({"contract": "7"}, None, None)
    listed = rows(admin.run("tenants", "list"))
    assert [row[0] for row in listed] == ["acme", "filed"]
    assert [row[0] for row in rows(admin.run("tenants", "list", "--disabled"))] == ["acme"]
    shown = done(admin.run("tenants", "show", "acme"))
    assert re.search(r"^display_name +Acme$", shown, re.MULTILINE)
    deleted = one(admin.run("tenants", "delete", "acme", "--yes", "--wait", "--json"))
    assert deleted["finished_at"]
    assert refused(admin.run("tenants", "show", "acme")) == "there is no such tenant (request req-cli)\n"
    assert one(admin.run("deletions", "show", deleted["id"], "--json")) == deleted
    assert [row["id"] for row in one(admin.run("deletions", "list", "--finished", "--json"))["data"]] == [
        deleted["id"]
    ]


def test_models_are_granted_and_taken_back(acme: Served) -> None:
    assert "acme may use org/name:8b" in acme.run("tenants", "grant", "acme", "org/name:8b").stderr
    done(acme.run("tenants", "grant", "acme", "chat"))
    assert [row[0] for row in rows(acme.run("tenants", "models", "acme"))] == ["chat", "org/name:8b"]
    done(acme.run("tenants", "ungrant", "acme", "org/name:8b"))
    assert [row[0] for row in rows(acme.run("tenants", "models", "acme"))] == ["chat"]
    assert "there is no such model" in refused(acme.run("tenants", "grant", "acme", "none"))
    assert [row[0] for row in rows(acme.run("models", "list"))] == ["big", "chat", "org/name:8b"]


def test_a_keys_life(acme: Served) -> None:
    made = acme.run(
        *("keys", "create", "--tenant", "acme", "--name", "ci", "--role", "developer", "--endpoint", "chat"),
        *("--set-limit", "rpm=5", "--expires", "90d", "--metadata", "team=a"),
    )
    key = done(made).removesuffix("\n")
    assert has_checksum(key)
    (row,) = rows(acme.run("keys", "list", "--tenant", "acme"))
    key_id, name, prefix, role = row[:4]
    assert (name, prefix, role) == ("ci", key[:8], "developer")
    assert key_id in made.stderr
    assert key not in made.stderr
    known = one(acme.run("keys", "show", key_id, "--tenant", "acme", "--json"))
    assert (known["endpoints"], known["limits"], known["metadata"]) == (["chat"], {"rpm": 5}, {"team": "a"})
    changed = one(
        acme.run(
            "keys",
            "update",
            key_id,
            "--all-endpoints",
            "--no-limits",
            "--never-expires",
            "--json",
            "--tenant",
            "acme",
        )
    )
    assert (changed["endpoints"], changed["limits"], changed["expires_at"]) == (None, None, None)
    successor = one(acme.run("keys", "rotate", key_id, "--overlap", "1h", "--tenant", "acme", "--json"))
    assert successor["rotated_from"] == key_id
    assert has_checksum(successor["key"])
    assert one(acme.run("keys", "show", key_id, "--tenant", "acme", "--json"))["valid_until"]
    assert done(acme.run("keys", "revoke", key_id, "--tenant", "acme", "--yes")) == ""
    assert "there is no such" in refused(acme.run("keys", "show", key_id, "--tenant", "acme"))
    everything = json.dumps(one(acme.run("audit", "list", "--json")))
    assert key not in everything
    assert successor["key"] not in everything


def test_an_owner_administers_the_own_tenant_without_naming_it(acme: Served) -> None:
    owner = acme.member("owner")
    key = done(acme.run("keys", "create", "--name", "mine", key=owner)).strip()
    assert has_checksum(key)
    assert [row[1] for row in rows(acme.run("keys", "list", key=owner))] == ["owner", "mine"]
    assert rows(acme.run("audit", "list", "--action", "key.create", key=owner))[0][5] == "acme"
    text = refused(acme.run("tenants", "update", "acme", "--disable", key=owner))
    assert text.startswith("expected one of the roles admin")
    assert "`headgate whoami`" in text
    assert "no role in this tenant" in refused(acme.run("keys", "list", "--tenant", "filed", key=owner))
    assert "HEADGATE_ADMIN_KEY" in refused(acme.run("whoami", key="hg-nobody"))
    me = one(acme.run("whoami", "--json", key=acme.member("analyst")))
    assert (me["kind"], me["tenant"], me["role"], me["memberships"]) == ("key", "acme", "analyst", {})


def test_keys_are_ended_with_what_was_made_by_them(acme: Served) -> None:
    owner = acme.member("owner")
    me = one(acme.run("whoami", "--json", key=owner))["id"]
    for name in ("one", "two"):
        done(acme.run("keys", "create", "--name", name, key=owner))
    assert [row[1] for row in rows(acme.run("keys", "list", "--tenant", "acme", "--created-by", f"key:{me}"))] == [
        "one",
        "two",
    ]
    said = acme.run("keys", "revoke", me, "--with-made", "--tenant", "acme", "--yes")
    assert done(said) == ""
    assert f"{me} and all keys that it has made are revoked" in said.stderr
    assert rows(acme.run("keys", "list", "--tenant", "acme")) == []


def test_the_platforms_own_keys(admin: Served) -> None:
    made = one(admin.run("keys", "create", "--platform", "--name", "root", "--json"))
    assert (made["role"], has_checksum(made["key"])) == ("admin", True)
    assert [row[1] for row in rows(admin.run("keys", "list", "--platform"))] == ["root"]
    assert admin.run("keys", "create", "--name", "oops").exit_code == 2
    done(admin.run("keys", "revoke", made["id"], "--platform", "--yes"))


def test_people_and_their_roles(acme: Served) -> None:
    person = one(
        acme.run(
            "users",
            "create",
            "--issuer",
            "https://id.example",
            "--subject",
            "ada",
            "--email",
            "a@b.example",
            "--json",
        )
    )["id"]
    done(acme.run("members", "set", "acme", person, "--role", "analyst"))
    assert rows(acme.run("members", "list", "acme"))[0][:2] == [person, "analyst"]
    done(acme.run("members", "set", "acme", person, "--role", "owner"))
    assert one(acme.run("users", "show", person, "--json"))["memberships"] == {"acme": "owner"}
    assert [row[0] for row in rows(acme.run("users", "list", "--tenant", "acme"))] == [person]
    changed = one(acme.run("users", "update", person, "--platform-admin", "--disable", "--json"))
    assert (changed["platform_role"], changed["disabled"]) == ("admin", True)
    assert one(acme.run("users", "update", person, "--no-platform-admin", "--json"))["platform_role"] is None
    done(acme.run("members", "remove", "acme", person))
    assert acme.run("members", "list", "acme").stderr == "none\n"
    done(acme.run("users", "delete", person, "--yes"))
    assert "there is no such user" in refused(acme.run("users", "show", person))


def test_plans_and_limits(acme: Served) -> None:
    plan = ("plans", "create", "small", "rpm=60", "tpm={limit: 40000, burst: 10000}", "monthly_usd=25.50", "--json")
    made = one(acme.run(*plan, "--pricing", "{markup: 2.5%}"))
    assert made["pricing"] == {"markup": "2.5%"}
    assert one(acme.run("plans", "update", "small", "--no-pricing", "--json"))["pricing"] is None
    assert one(acme.run("plans", "update", "small", "--pricing", "discount: 10%", "--json"))["pricing"] == {
        "discount": "10%"
    }
    assert "pricing.discount: expected a percentage" in refused(
        acme.run("plans", "update", "small", "--pricing", "{discount: 10}")
    )
    wrong = acme.run("plans", "update", "small", "--pricing", "10%")
    assert wrong.exit_code == 2
    assert "expected terms as in gateway.yaml" in wrong.stderr
    assert made["limits"]["rpm"] == 60
    assert made["limits"]["tpm"]["burst"] == 10000
    assert made["limits"]["monthly_usd"] == "25.50"
    assert one(acme.run("plans", "update", "small", "rpm=70", "--json"))["limits"] == {"rpm": 70}
    done(acme.run("tenants", "update", "acme", "--plan", "small"))
    refused(acme.run("plans", "delete", "small", "--yes"))  # a tenant has it
    assert one(acme.run("limits", "set", "acme", "rpm=600", "concurrency=4", "--json"))["limits"] == {
        "rpm": 600,
        "concurrency": 4,
    }
    assert one(acme.run("limits", "set", "acme", "rpm=5", "--json"))["limits"] == {"rpm": 5, "concurrency": 4}
    assert one(acme.run("limits", "unset", "acme", "rpm", "--json"))["limits"] == {"concurrency": 4}
    assert acme.run("limits", "unset", "acme", "tpm").exit_code == 2
    done(acme.run("limits", "unset", "acme", "--all"))
    assert one(acme.run("limits", "list", "acme", "--json"))["limits"] == {}
    text = refused(acme.run("limits", "set", "acme", "rpn=5"))
    assert "rpn" in text
    assert "expected" in text


def test_what_stands_in_the_file_is_changed_there(admin: Served) -> None:
    for command in (
        ("tenants", "update", "filed", "--disable"),
        ("tenants", "delete", "filed", "--yes"),
        ("tenants", "grant", "filed", "big"),
        ("limits", "set", "filed", "rpm=1"),
        ("plans", "delete", "starter", "--yes"),
        ("keys", "revoke", "ci", "--tenant", "filed", "--yes"),
    ):
        assert "change it in gateway.yaml" in refused(admin.run(*command)), command
    made = done(admin.run("keys", "create", "--tenant", "filed", "--name", "another"))
    assert has_checksum(made.strip())


def test_the_audit_log_is_exported_and_verified(acme: Served, tmp_path: Path) -> None:
    for number in range(30):
        done(acme.run("keys", "create", "--tenant", "acme", "--name", f"key-{number}"))
    head = done(acme.run("audit", "verify")).strip()
    file = tmp_path / "audit.ndjson"
    assert one(acme.run("audit", "export", "-o", str(file), "--json")) == {"entries": 31, "file": str(file)}
    assert done(acme.run("audit", "verify", "--file", str(file), "--head", head)).strip() == head
    assert one(acme.run("audit", "verify", "--head", head, "--json")) == one(
        acme.run("audit", "verify", "--file", str(file), "--head", head, "--json")
    )
    assert done(acme.run("audit", "export")).encode() == file.read_bytes()
    other = f"3:{'0' * 64}"
    for result in (
        acme.run("audit", "verify", "--head", other),
        acme.run("audit", "verify", "--file", str(file), "--head", other),
    ):
        assert refused(result).startswith("entry 3 is not the entry that the noted head is of")
    assert [row[0] for row in rows(acme.run("audit", "list", "--limit", "2"))] == ["31", "30"]
    assert [row[0] for row in rows(acme.run("audit", "list", "--action", "tenant.create"))] == ["1"]
    assert acme.run("audit", "list", "--until", "1h").stderr == "none\n"


def test_where_providers_credentials_are(admin: Served) -> None:
    assert rows(admin.run("providers", "list")) == [["local", "openai", "internal", "http://127.0.0.1:8000"]]
    assert rows(admin.run("providers", "credentials", "list", "local")) == [["api_key", "env"]]
    text = refused(admin.run("providers", "credentials", "set", "local", "api_key", stdin="sk-secret\n"))
    assert "change it in gateway.yaml" in text
    assert "sk-secret" not in text


def test_lists_of_many_pages(acme: Served) -> None:
    for number in range(450):
        write_tenant(acme.store, f"t-{number:04}")
    assert len(one(acme.run("tenants", "list", "--json"))["data"]) == 452
    first = one(acme.run("tenants", "list", "--json", "--limit", "300"))
    rest = one(acme.run("tenants", "list", "--json", "--after", first["next"]))
    names = [row["id"] for row in first["data"] + rest["data"]]
    assert len(first["data"]) == 300
    assert names == sorted(set(names))
    assert len(names) == 452
