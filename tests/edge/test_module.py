"""Our module and Envoy: what `up` says when one does not fit the other."""

import os
import subprocess
from pathlib import Path

import pytest
from rendering import EXAMPLE, SECRETS, SETTINGS

from hatch_build import FLAGS, MODULE_SOURCES, compiler
from headgate.config.check import check
from headgate.edge import filters
from headgate.supervise import Refusal, edge_files
from headgate.supervise.binaries import envoy

MODULE = filters.MODULE


async def refusal(module: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What validation says with this module; nothing when it is content."""
    for user in (filters, edge_files):
        monkeypatch.setattr(user, "MODULE", module)
    monkeypatch.chdir(folder)
    for name in ("secrets", "spool"):
        (folder / name).mkdir()
    gateway = check(EXAMPLE, SECRETS).gateway
    assert gateway
    files = edge_files.EdgeFiles(gateway, SETTINGS, EXAMPLE.parent, SECRETS)
    try:
        await files.validate(envoy(), os.environ)
    except Refusal as refused:
        return str(refused)
    return ""


async def test_ours_is_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await refusal(MODULE, tmp_path, monkeypatch) == ""


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A module for an Envoy to come."""
    module = tmp_path / "module.so"
    command = [*compiler(), *FLAGS, '-DMODULE_ABI_VERSION="v0.9.0"', *MODULE_SOURCES, "-o", module]
    subprocess.run(command, check=True, timeout=120)
    return module


async def test_a_module_for_another_abi_is_refused(
    foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = await refusal(foreign, tmp_path, monkeypatch)
    assert f"cannot run {foreign}, which is made for Envoy 1.40" in text
    assert "v0.9.0" in text


@pytest.mark.parametrize("content", [None, b"", b"not a library"])
async def test_a_module_that_cannot_be_loaded_is_refused(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "module.so"
    if content is not None:
        broken.write_bytes(content)
    assert f"cannot run {broken}" in await refusal(broken, tmp_path, monkeypatch)


def test_another_module_is_another_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a start takes no Envoy over that runs an old one."""
    copy = tmp_path / "module.so"
    monkeypatch.setattr(filters, "MODULE", copy)
    configurations = []
    for more in (b"", b"1"):
        copy.write_bytes(MODULE.read_bytes() + more)
        configurations.append([one.to_json() for one in filters.http_filters("spool", 1)])
    assert configurations[0] != configurations[1]
