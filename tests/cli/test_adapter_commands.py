"""`headgate adapters` against the API itself."""

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from admin_api import Served, served

from control.store.adapters import wanted_versions
from control.store.store import Store
from headgate.commands import table
from headgate.contract import ADAPTER_KEY
from headgate.directory.rows import ADAPTER_NAME_SAID
from tests.adapters.made import files
from tests.control.adapter_rows import HERE, add_version, report, told
from tests.control.rows import write_tenant


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Served]:
    key = tmp_path / ADAPTER_KEY
    key.parent.mkdir()
    key.write_text(base64.b64encode(b"k" * 32).decode())
    with served(tmp_path, declared=HERE, state=tmp_path) as running:
        for name in ("acme", "other"):
            write_tenant(running.store, name)
            running.run("tenants", "grant", name, "chat")
        yield running


def adapter_folder(folder: Path) -> Path:
    files(folder, base_model_name_or_path="llama")
    (folder / "weights").rename(folder / "adapter_model.safetensors")
    (folder / "config").rename(folder / "adapter_config.json")
    return folder


def test_an_adapter_is_made_promoted_and_rolled_back(admin: Served) -> None:
    owner = admin.member("owner")
    made = admin.run("adapters", "create", "bot", "--base", "chat", key=owner)
    assert made.exit_code == 0, made.output
    assert "acme/bot" in made.stdout
    for version in (1, 2):
        add_version(admin.store)
        promoted = admin.run("adapters", "promote", "bot", str(version), key=owner)
        assert "goes live when engines have loaded it" in promoted.stderr
        assert ("none is there", "waits for 1 host")[version - 1] in promoted.stderr
        (line,) = admin.run("adapters", "list", "--tenant", "acme").stdout.splitlines()[1:]
        assert ("none is there", "name of host_1")[version - 1] in line
        report(admin.store, version)
    (line,) = admin.run("adapters", "list", key=owner).stdout.splitlines()[1:]
    assert "2 (100%)" in line
    back = admin.run("adapters", "rollback", "bot", "--tenant", "acme")
    assert [row.split()[:2] for row in back.stdout.splitlines()[-2:]] == [["1", "live"], ["2", "staged"]]
    shared = json.loads(admin.run("adapters", "promote", "bot", "2", "--weight", "10", "--json", key=owner).stdout)
    assert [(one["version"], one["weight"]) for one in shared["versions"]] == [(1, 90), (2, 10)]
    gone = admin.run("adapters", "retire", "bot", "1", "--yes", "--json", key=owner)
    assert [one["state"] for one in json.loads(gone.stdout)["versions"]] == ["retired", "live"]


def test_a_promotion_is_waited_for_and_says_why_it_has_failed(admin: Served) -> None:
    admin.run("adapters", "create", "bot", "--base", "chat", "--tenant", "acme")
    for version, reason in ((1, None), (2, "rank 64 is above 16")):
        add_version(admin.store)

        def engines(version: int = version, reason: str | None = reason) -> None:
            while not wanted(admin.store):
                time.sleep(0.02)
            report(admin.store, version, reason=reason)

        with ThreadPoolExecutor() as threads:
            done = threads.submit(engines)
            result = admin.run("adapters", "promote", "bot", str(version), "--wait", "--tenant", "acme")
            done.result()
        assert result.exit_code == (1 if reason else 0), result.output
        assert (reason or "live") in result.output


def wanted(store: Store) -> bool:
    with store.read() as reader:
        return bool(wanted_versions(reader))


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


def test_a_push_says_what_is_wrong_with_its_name_and_its_base(admin: Served, tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path / "adapter")
    push = ("adapters", "push", str(folder), "--tenant", "acme")
    unknown = admin.run(*push, "--name", "bot")
    assert (unknown.exit_code, "there is no adapter bot: --base MODEL makes it" in unknown.stderr) == (1, True)
    for name in ("../..", "acme/bot", ""):
        refused = admin.run(*push, "--name", name, "--base", "chat")
        assert refused.exit_code == 2
        assert (
            f"expected an adapter's name: {ADAPTER_NAME_SAID}, without its tenant; found {name!r}" in refused.stderr
        )
    assert admin.run(*push, "--name", "bot", "--base", "chat").exit_code == 0
    other = admin.run(*push, "--name", "bot", "--base", "big")
    assert (other.exit_code, len(other.stderr.splitlines())) == (1, 1)
    assert "adapter bot changes the model chat, and --base says big" in other.stderr
    assert admin.run(*push, "--name", "bot").exit_code == 0
    shown = json.loads(admin.run("adapters", "show", "bot", "--tenant", "acme", "--json").stdout)
    assert [one["version"] for one in shown["versions"]] == [1, 2]


def test_tables_fit_80_columns_and_say_what_has_failed_and_what_nobody_serves(
    admin: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_NOT_CUT", 80)
    admin.run("adapters", "create", "bot", "--base", "chat", "--tenant", "acme")
    for _ in range(2):
        add_version(admin.store, manifest_sha256="cd" * 32)
    admin.run("adapters", "promote", "bot", "1", "--tenant", "acme")
    report(admin.store, 1)
    admin.run("adapters", "promote", "bot", "2", "--tenant", "acme")
    report(admin.store, 2, reason="the engine does not load it (400): " + "rank 64 is above its highest rank " * 3)
    told(admin.store, "host_1", unserved={"cd" * 32: 'no replica of engine "llama" is ready'})
    listed, shown = (
        admin.run("adapters", *arguments, "--tenant", "acme").stdout for arguments in (("list",), ("show", "bot"))
    )
    for text in (listed, shown):
        lines = text.splitlines()
        assert max(map(len, lines)) <= 80, text
        words = " ".join(text.split())
        assert "acme/bot" in words
        for said in ("failed:", "no replica"):
            assert said in words
    assert [line.split()[:2] for line in shown.splitlines() if line[:1].isdigit()] == [
        ["1", "live"],
        ["2", "validated"],
    ]


def test_how_good_a_version_is_goes_with_it(admin: Served, tmp_path: Path) -> None:
    folder, results = adapter_folder(tmp_path / "adapter"), tmp_path / "all_results.json"
    results.write_text('{"eval_loss": 0.5, "epoch": 3}')
    push = ("adapters", "push", str(folder), "--name", "bot", "--tenant", "acme", "--base", "chat", "--json")
    numbers = ("--metrics", str(results), "--metric", "eval_loss=0.25")
    pushed = admin.run(*push, "--revision", "v1", "--job", "nightly", *numbers)
    assert pushed.exit_code == 0, pushed.output
    manifest = json.loads(pushed.stdout)["manifest"]
    assert (manifest["base"]["revision"], manifest["lineage"]["job"]) == ("v1", "nightly")
    assert manifest["metrics"] == {"eval_loss": 0.25, "epoch": 3.0}
    listed = json.loads(admin.run("adapters", "list", "--tenant", "acme", "--json").stdout)["data"]
    assert listed[0]["versions"][0]["manifest"] == manifest
    assert "query.parent: expected an earlier version" in admin.run(*push, "--parent", "7").stderr
    assert "expected a number, found 'low'" in admin.run(*push, "--metric", "loss=low").stderr


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
