"""What the repository promises of its own files: imports one way, nothing generated, nothing of one machine."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = "".join((ROOT / name).read_text() for name in ("requirements.lock", "compiler.lock"))
VLLM_LOCK = (ROOT / "engines/vllm/requirements-cpu.txt").read_text()
REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def tracked() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached"]
    listed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


TRACKED = tracked()


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def dependencies() -> set[str]:
    groups = PROJECT["dependency-groups"].values()
    listed = [*PROJECT["project"]["dependencies"], *(item for group in groups for item in group)]
    return {normal(REQUIREMENT.match(item)[0]) for item in listed}


def test_imports_run_one_way() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert found.returncode == 0, found.stdout


def test_the_directions_that_lint_imports_holds() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    assert all(contract["name"] for contract in contracts)
    forbidden = {(source, target) for contract in contracts for source in contract.get("source_modules", ())
                 for target in contract.get("forbidden_modules", ())}  # fmt: skip
    for part in ("authz", "extproc", "engines", "bench"):
        assert ("headgate", part) in forbidden
    assert {("authz", "extproc"), ("extproc", "authz")} <= forbidden


def test_nothing_of_control_but_its_store_knows_sql() -> None:
    """Also what is new: the contract names the package, and lets off the store alone."""
    (contract,) = [one for one in PROJECT["tool"]["importlinter"]["contracts"] if "admin API" in one["name"]]
    assert contract["source_modules"] == ["control"]
    libraries = {"sqlalchemy", "alembic", "psycopg"}
    assert set(contract["forbidden_modules"]) == libraries
    assert set(contract["ignore_imports"]) == {f"control.store.** -> {library}" for library in libraries}


def test_only_codecs_know_envoys_messages() -> None:
    importing = {
        str(path.relative_to(ROOT))
        for path in TRACKED
        if path.suffix == ".py" and path.parts[len(ROOT.parts)] != "tests"
        and re.search(r"^(?:from|import) headgate\.wire", text_of(path), re.MULTILINE)
    }  # fmt: skip
    assert {"authz/codec.py", "extproc/codec.py", "ratelimit/codec.py"} <= importing
    speaks_with_envoy = {"headgate/supervise/hot_restart.py"}  # a protocol of its own, and no request's
    in_extproc = {f"extproc/{name}.py" for name in ("attempt_codec", "codec", "watch_codec")}
    codecs = {"authz/codec.py", "ratelimit/codec.py"} | in_extproc
    assert importing <= codecs | speaks_with_envoy


def test_nothing_that_is_generated_or_ignored_is_tracked() -> None:
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True).stdout
    assert found == ""
    odd = [
        path for path in TRACKED if path.suffix in (".pyc", ".log", ".orig", ".rej", ".so", ".whl", ".pem", ".key")
    ]
    assert odd == []


@pytest.mark.parametrize(
    "name",
    [
        ".venv/x",
        "a/__pycache__/x.pyc",
        "headgate/wire/x_pb2.py",
        "headgate/wire/x_pb2.pyi",
        "headgate/_envoy/module.so",
    ],
)
def test_what_git_ignores(name: str) -> None:
    command = ["git", "check-ignore", "--quiet", name]
    assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == 0


MACHINE = re.compile(r"(?<![\w.$}~/-])/(?:tmp|root|home|work|Users)/\w")
HERE = Path(__file__)


def test_no_two_modules_of_the_tests_have_the_same_name() -> None:
    """pytest puts the folder of each into the path, and the first of a name would be taken for the other."""
    names = [path.name for path in TRACKED if path.is_relative_to(ROOT / "tests") and path.suffix == ".py"]
    twice = {name for name in names if names.count(name) > 1} - {"conftest.py", "__init__.py"}
    assert twice == set()


def test_no_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in TRACKED
        if path != HERE
        and path.suffix in (".py", ".lua", ".c", ".h", ".toml", ".yaml", ".yml", ".proto", ".md", ".sh", "")
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


def test_files_end_with_one_newline_and_have_no_carriage_returns() -> None:
    texts = [path for path in TRACKED if path.suffix in (".py", ".lua", ".c", ".h", ".toml", ".md", ".proto")]
    assert len(texts) > 50
    bad = [path for path in texts if (data := path.read_bytes()) and (b"\r\n" in data or not data.endswith(b"\n"))]
    assert bad == []


def lock_entries(lock: str = LOCK) -> list[str]:
    joined = re.sub(r" \\\n\s+", " ", lock)
    return [line for line in joined.splitlines() if line and not line.startswith((" ", "#"))]


@pytest.mark.parametrize("lock", [LOCK, VLLM_LOCK], ids=["headgate", "vllm"])
def test_the_locks_pin_everything_by_hash_and_name_no_index(lock: str) -> None:
    entries = lock_entries(lock)
    assert len(entries) > 40
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==\S+ ", entry), entry
        assert re.search(r" --hash=sha256:[0-9a-f]{64}", entry), entry
    assert "://" not in lock
    assert not re.search(r"^\s*(-i|--index-url|--extra-index-url|--find-links|-f)\b", lock, re.MULTILINE)


def test_the_lock_has_every_dependency() -> None:
    locked = {normal(REQUIREMENT.match(entry)[0]) for entry in lock_entries()}
    assert dependencies() <= locked


def test_every_dependency_has_its_reason() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    reasons: dict[str, str] = {}
    for row in rows:
        names, licence, why = (cell.strip() for cell in row.strip("|").split(" | "))
        assert licence
        assert why
        reasons |= {normal(name): why for name in re.findall(r"`([^`]+)`", names)}
    assert set(reasons) == dependencies()


def test_make_has_the_targets_that_the_docs_name() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert {"setup", "up", "test", "check", "lint", "types", "lock", "clean"} <= targets
    phony = set(re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split())
    assert targets <= phony
    pages = [path for path in TRACKED if path.suffix == ".md"]
    named = {target for path in pages for target in re.findall(r"`make ([a-z]+)`", text_of(path))}
    assert named <= targets
    assert "lint types test" in makefile


@pytest.mark.parametrize("target", ["setup", "up", "test", "check", "lint", "types", "lock", "clean"])
def test_make_knows_what_to_do(target: str) -> None:
    command = ["make", "--dry-run", "--always-make", target]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout


@pytest.mark.parametrize("ignored", PROJECT["tool"]["ruff"]["lint"]["ignore"])
def test_every_ignored_rule_has_a_reason(ignored: str) -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    (line,) = [line for line in lines if re.search(rf'^ +.*"{ignored}"', line) and "select" not in line]
    assert "# " in line
