"""The command line as a shell sees it: what is printed where, and the exit code."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from headgate import __version__
from headgate.cli import main
from headgate.config.check import check

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "examples" / "gateway.yaml")
ENVIRON = {"OPENAI_API_KEY": "sk-openai-secret", "ANTHROPIC_API_KEY": "sk-ant-secret"}
BAD = 'providers: {p: {api: opnai, base_url: "http://p.test"}}\nmodels:\n  m: {targets: [{provider: q, model: m}]}\n'
MINIMAL = "providers: {}\nmodels: {}\n"


def headgate(*arguments: str, **environ: str | None) -> Result:
    return CliRunner().invoke(main, arguments, env={**ENVIRON, **environ})


def process(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headgate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)


def commands(group: click.Group = main, *path: str) -> list[list[str]]:
    context = click.Context(group)
    found: list[list[str]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        found.append([*path, name])
        if isinstance(command, click.Group):
            found += commands(command, *path, name)
    return found


@pytest.fixture
def bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(BAD)
    return "bad.yaml"


def test_check_says_what_is_in_a_good_file(tmp_path: Path) -> None:
    result = headgate("check", EXAMPLE)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{EXAMPLE}: ok: 3 providers, 3 models, 2 tenants\n"
    file = tmp_path / "gateway.yaml"
    file.write_text(MINIMAL + "services: {vectors: http://vectors.test}\n")
    result = headgate("check", str(file))
    assert (result.exit_code, result.stdout) == (0, f"{file}: ok: 0 providers, 0 models, 0 tenants\n")
    assert result.stderr == f"{file}:3: services.vectors: not used by this version (warning)\n"


def test_check_names_every_problem(bad: str) -> None:
    result = headgate("check", bad)
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["bad.yaml:1", "providers.p.api"],
        ["bad.yaml:3", "models.m.targets[0].provider"],
    ]


def test_check_as_json(bad: str) -> None:
    result = headgate("check", "--json", bad)
    assert (result.exit_code, result.stderr) == (1, "")
    found = json.loads(result.stdout)
    assert found["warnings"] == []
    assert [(problem["line"], problem["path"]) for problem in found["problems"]] == [
        (1, "providers.p.api"),
        (3, "models.m.targets[0].provider"),
    ]
    assert all(problem["file"] == bad and problem["text"] for problem in found["problems"])
    good = headgate("check", "--json", EXAMPLE)
    assert (good.exit_code, json.loads(good.stdout)["problems"]) == (0, [])


def test_check_without_the_secrets_environment() -> None:
    result = headgate("check", EXAMPLE, OPENAI_API_KEY=None)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "OPENAI_API_KEY" in result.stderr


@pytest.mark.parametrize("command", ["check", "render"])
def test_a_file_that_is_not_there(command: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.yaml")
    result = headgate(command, missing)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{missing}: ")
    assert result.stderr.count("\n") == 1


def test_render_of_a_bad_file_prints_its_problems_and_nothing_else(bad: str) -> None:
    result = headgate("render", bad)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == headgate("check", bad).stderr


def test_render_prints_yaml() -> None:
    result = headgate("render", EXAMPLE, "--workers", "3")
    assert (result.exit_code, result.stderr) == (0, "")
    clusters = yaml.safe_load(result.stdout)["static_resources"]["clusters"]
    assert len(clusters[0]["load_assignment"]["endpoints"][0]["lb_endpoints"]) == 3
    assert not any(secret in result.stdout for secret in ENVIRON.values())


def test_a_new_key_and_its_line(tmp_path: Path) -> None:
    result = headgate("keys", "new", "--name", 'my "key"')
    assert (result.exit_code, result.stderr) == (0, "")
    found = re.fullmatch(r"key        (hg-[A-Za-z0-9_-]{43})\nyaml line  (- \{.+\})\n", result.stdout)
    assert found
    (line,) = yaml.safe_load(found[2])
    assert line == {"name": 'my "key"', "sha256": hashlib.sha256(found[1].encode()).hexdigest()}
    file = tmp_path / "gateway.yaml"
    file.write_text(f"{MINIMAL}tenants:\n  t:\n    models: []\n    keys:\n      {found[2]}\n")
    assert check(file, {}).problems == []


def test_a_new_key_as_json() -> None:
    answers = [json.loads(headgate("keys", "new", "--json").stdout) for _ in range(2)]
    assert answers[0]["key"] != answers[1]["key"]
    for answer in answers:
        assert set(answer) == {"key", "name", "sha256"}
        assert answer["name"] == "key"
        assert hashlib.sha256(answer["key"].encode()).hexdigest() == answer["sha256"]


@pytest.mark.parametrize("name", ["", "\n", "x" * 5000, "hg-" + "A" * 43, "a,b", "a=b"])
def test_a_key_name_that_gateway_yaml_refuses_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    keys = json.dumps([{"name": name, "sha256": "0" * 64}])
    file.write_text(f"{MINIMAL}tenants: {{t: {{models: [], keys: {keys}}}}}\n")
    accepted = not check(file, {}).problems
    result = headgate("keys", "new", "--name", name)
    assert (result.exit_code == 0) is accepted


@pytest.mark.parametrize("part", ["filters", "authz", "extproc"])
def test_serve_without_tables(part: str, tmp_path: Path) -> None:
    result = headgate("serve", part, "--state", str(tmp_path), HEADGATE_CONFIG=None)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"{tmp_path}/snapshot.json is not there: give --config, or start `headgate up` with this state folder first"
    ]


def test_serve_with_broken_tables(tmp_path: Path) -> None:
    (tmp_path / "snapshot.json").write_text('{"generation":1')
    result = headgate("serve", "filters", "--state", str(tmp_path), HEADGATE_CONFIG=None)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{tmp_path}/snapshot.json: ")
    assert result.stderr.count("\n") == 1


def test_serve_with_a_bad_file(bad: str) -> None:
    result = headgate("serve", "filters", "-c", bad)
    assert result.exit_code == 1
    assert result.stderr == headgate("check", bad).stderr


@pytest.mark.parametrize("path", commands(), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(path: list[str], option: str) -> None:
    result = headgate(*path, option)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: main {' '.join(path)} ")
    described = result.stdout.split("\n\n")[1].strip()
    assert described
    assert not described.startswith("Options:")


def test_help_lists_every_command_of_the_design() -> None:
    shown = headgate("--help").stdout
    for name in ("bench", "check", "keys", "render", "serve", "status", "up"):
        assert re.search(rf"^  {name}  +\S", shown, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [
        ["chek"],
        ["check"],
        ["check", "a", "b"],
        ["check", "--jsn", "a"],
        ["keys", "mint"],
        ["serve", "everything"],
        ["render", "--workers", "0", EXAMPLE],
        ["serve", "filters", "--drain-timeout", "soon"],
        ["serve", "filters", "--worker", "256"],
        ["up", "--drain-timeout", "-1s"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line(arguments: list[str]) -> None:
    result = headgate(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")
    assert "Error: " in result.stderr


def test_status_without_a_gateway() -> None:
    result = headgate("status", "--admin", "127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("no gateway answers at 127.0.0.1:1: ")
    assert result.stderr.count("\n") == 1


def test_status_at_something_that_is_no_address() -> None:
    result = headgate("status", "--admin", "nonsense")
    assert result.exit_code in (1, 2)
    assert result.stderr.count("\n") >= 1


def test_processes(tmp_path: Path) -> None:
    version = process("--version", cwd=tmp_path)
    assert (version.returncode, version.stdout) == (0, f"headgate, version {__version__}\n")
    unknown = process("chek")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "Traceback" not in unknown.stderr


def test_check_counts_engines_and_says_which_gpus_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    file = tmp_path / "gateway.yaml"
    (tmp_path / "config.json").write_text("{}")
    file.write_text(
        "providers: {a: {api: openai, base_url: 'http://a'}}\n"
        "engines: {m: {kind: vllm, model: ., gpus: 7}}\n"
        "models: {m: {targets: [{provider: m, model: m}]}}\n"
    )
    result = headgate("check", str(file))
    assert (result.exit_code, result.stdout) == (0, f"{file}: ok: 1 providers, 1 engines, 1 models, 0 tenants\n")
    text = "needs 7 (7 for each replica), and CUDA_VISIBLE_DEVICES names 2 (warning)"
    assert result.stderr == f"{file}:2: engines.m.gpus: {text}\n"


@pytest.mark.parametrize("words", [("list",), ("restart", "llama")])
def test_engines_where_no_gateway_runs(
    tmp_path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path / "none"):
        result = headgate("engines", *words, "--state", str(folder))
        assert (result.exit_code, result.output) == (1, f"no gateway runs on {folder}: give its --state\n")


def test_status_of_a_folder_where_nothing_runs(tmp_path: Path) -> None:
    result = headgate("status", "--state", str(tmp_path))
    assert result.exit_code == 1
    assert result.stderr == f"no gateway runs on {tmp_path}: give its --state, or --admin\n"
