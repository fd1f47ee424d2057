"""`headgate audit verify --file`: an export is looked at without a gateway, and every change to it is found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from control.audit_chain import Entry, entry_of, lines_of
from control.store.audit_log import entries
from control.store.engine import sqlite_url
from control.store.store import Store
from headgate.cli import main
from tests.control.rows import write_key, write_tenant


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """Of a store of its own: 40 entries."""
    store = Store.open(sqlite_url(tmp_path / "control.db"))
    try:
        write_tenant(store, "acme")
        for number in range(39):
            write_key(store, "acme", name=f"key-{number}")
        with store.read() as reader:
            lines = list(lines_of(entries(reader)))
    finally:
        store.close()
    file = tmp_path / "audit.ndjson"
    file.write_bytes(b"".join(lines))
    return file


def verify(file: Path, *more: str) -> Result:
    nowhere = {"HEADGATE_ADMIN_KEY": None, "HEADGATE_URL": "http://127.0.0.1:1"}
    return CliRunner().invoke(main, ["audit", "verify", "--file", str(file), *more], env=nowhere)


def last(file: Path) -> Entry:
    return entry_of(file.read_bytes().splitlines()[-1])


def test_a_whole_export_needs_no_gateway_and_no_key(exported: Path) -> None:
    result = verify(exported)
    assert (result.exit_code, result.stdout) == (0, f"40:{last(exported).hash.hex()}\n")
    assert result.stderr.startswith("all 40 entries are as they were written")
    as_json = verify(exported, "--json", "--head", result.stdout.strip())
    assert json.loads(as_json.stdout) == {
        "entries": 40,
        "head": {"seq": 40, "hash": last(exported).hash.hex()},
        "bad": None,
    }


@pytest.mark.parametrize("line", [0, 1, 20, 38])
def test_a_changed_line_and_a_missing_line_are_named(exported: Path, line: int) -> None:
    lines = exported.read_bytes().splitlines(keepends=True)
    changed = lines[line].replace(b'"action":"', b'"action":"x', 1)
    for forged, seq in (
        ([*lines[:line], changed, *lines[line + 1 :]], line + 1),
        ([*lines[:line], *lines[line + 1 :]], line + 2),
    ):
        exported.write_bytes(b"".join(forged))
        result = verify(exported)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"entry {seq} ")
        assert json.loads(verify(exported, "--json").stdout)["bad"]["seq"] == seq


def test_a_noted_head_finds_what_was_cut_off(exported: Path) -> None:
    head = verify(exported).stdout.strip()
    lines = exported.read_bytes().splitlines(keepends=True)
    exported.write_bytes(b"".join(lines[:-1]))
    assert verify(exported).exit_code == 0
    result = verify(exported, "--head", head)
    assert result.exit_code == 1
    assert result.stderr.startswith("entry 40 is missing")


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for text in ("{}\n", "hello\n", "[]\n", "\x00\n"):
        file.write_text(text)
        result = verify(file)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == f"{file}: line 1: no line of an exported audit log\n"
    assert verify(file, "--head", "12:abc").exit_code == 2


def test_other_commands_load_neither_control_nor_an_http_client() -> None:
    program = (
        "import sys, headgate.cli\n"
        "for name in headgate.cli._COMMANDS:\n"
        "    if name not in ('up', 'restart', 'bench', 'render', 'check'):\n"
        "        headgate.cli.main.get_command(None, name)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    heavy = {"control", "httpx2", "tenacity", "sqlalchemy", "fastapi", "rich", "yaml", "pydantic"}
    assert heavy & set(done.stdout.split()) == set()
