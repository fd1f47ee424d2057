"""`headgate adapters` against the API itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_api import Served, served

from tests.control.adapter_rows import HERE, add_version, report
from tests.control.rows import write_tenant


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, declared=HERE) as running:
        for name in ("acme", "other"):
            write_tenant(running.store, name)
            running.run("tenants", "grant", name, "chat")
        yield running


def test_an_adapter_is_made_promoted_and_rolled_back(admin: Served) -> None:
    owner = admin.member("owner")
    made = admin.run("adapters", "create", "bot", "--base", "chat", key=owner)
    assert made.exit_code == 0, made.output
    assert "acme/bot" in made.stdout
    for version in (1, 2):
        add_version(admin.store)
        promoted = admin.run("adapters", "promote", "bot", str(version), key=owner)
        assert "goes live when engines have loaded it" in promoted.stderr
        report(admin.store, version)
    (line,) = admin.run("adapters", "list", key=owner).stdout.splitlines()[1:]
    assert "2 (100%)" in line
    back = admin.run("adapters", "rollback", "bot", "--tenant", "acme")
    assert [row.split()[:2] for row in back.stdout.splitlines()[-2:]] == [["1", "live"], ["2", "staged"]]
    shared = json.loads(admin.run("adapters", "promote", "bot", "2", "--weight", "10", "--json", key=owner).stdout)
    assert [(one["version"], one["weight"]) for one in shared["versions"]] == [(1, 90), (2, 10)]
    gone = admin.run("adapters", "retire", "bot", "1", "--yes", "--json", key=owner)
    assert [one["state"] for one in json.loads(gone.stdout)["versions"]] == ["retired", "live"]


def test_what_is_not_allowed_is_one_line(admin: Served) -> None:
    admin.run("adapters", "create", "bot", "--base", "chat", "--tenant", "acme")
    stranger, reader = admin.member("owner", "other"), admin.member("read-only")
    for key, arguments in (
        (stranger, ("show", "bot", "--tenant", "acme")),
        (stranger, ("show", "bot")),
        (stranger, ("list", "--tenant", "shared")),
        (reader, ("rollback", "bot")),
        (reader, ("retire", "bot", "1", "--yes")),
    ):
        result = admin.run("adapters", *arguments, key=key)
        assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert admin.run("adapters", "retire", "bot", "1", "--tenant", "acme").exit_code == 2  # no terminal to ask on
    assert admin.run("adapters", "list").exit_code == 2  # of no tenant
    assert json.loads(admin.run("adapters", "list", "--json", key=stranger).stdout)["data"] == []


def test_a_folder_that_is_no_adapters_is_not_sent(admin: Served, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    push = ("adapters", "push", str(folder), "--name", "bot", "--tenant", "acme", "--base", "chat")
    assert "there is no adapter_config.json" in admin.run(*push).stderr
    (folder / "adapter_config.json").write_text("{")
    assert "adapter_config.json: " in admin.run(*push).stderr
    (folder / "adapter_config.json").write_text("{}")
    for names in ((), ("adapter.safetensors", "adapter_model.safetensors")):
        for name in names:
            (folder / name).write_bytes(b"")
        result = admin.run(*push)
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert "expected one of adapter_model.safetensors and adapter.safetensors" in result.stderr
    assert json.loads(admin.run("adapters", "list", "--tenant", "acme", "--json").stdout)["data"] == []
