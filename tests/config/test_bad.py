"""Each pair in `bad/` is one mistake and what the operator reads about it, to the letter."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.config.check import Checked, check

BAD = Path(__file__).parent / "bad"
CASES = sorted(BAD.glob("*.yaml"))
SECRETS = ("hunter2", "sk-proj", "sk-environment", "sk-file", "sk-first", "sk-second", "hg-B")

Checking = Callable[[str], Checked]


def lines(checked: Checked) -> list[str]:
    return [str(problem) for problem in checked.problems]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_message(case: Path, check_text: Checking) -> None:
    checked = check_text(case.read_text())
    assert lines(checked) == case.with_suffix(".txt").read_text().splitlines()
    assert checked.gateway is None


def test_every_case_has_its_text() -> None:
    assert {path.stem for path in BAD.glob("*.txt")} == {path.stem for path in CASES}
    assert all(case.with_suffix(".txt").read_text() for case in CASES)


def test_every_mistake_in_one_run(check_text: Checking) -> None:
    checked = check_text((BAD / "many_mistakes.yaml").read_text())
    assert len({problem.line for problem in checked.problems}) == 10
    assert checked.problems == sorted(checked.problems, key=lambda problem: problem.line)


@pytest.mark.parametrize(
    "api_key",
    [
        "api_key: sk-proj-hunter2",
        "api_key: [sk-proj-hunter2]",
        "api_key: {sk-proj-hunter2: 1}",
        "api_key: {env: sk-proj-hunter2}",
        "api_key: env:sk-proj-hunter2",
        "api_key: vault:sk-proj-hunter2",
        "api_key: *sk-proj-hunter2",
        "api_key: !sk-proj-hunter2",
        "api_key: '{sk-proj-hunter2'",
        "api_key: 'sk-proj-hunter2",
        "api_key: @sk-proj-hunter2",
        "api_key: sk-proj-hunter2: x",
        "api_key:sk-proj-hunter2: ",
        "'api_key:sk-proj-hunter2': 1, 'api_key:sk-proj-hunter2': 1",
        "apikey: sk-proj-hunter2",
        "api_key: env:TWO_LINES",
        "api_key: file:secrets/two-lines",
        "ca: [hunter2]",
    ],
)
def test_no_secret_is_echoed(api_key: str, check_text: Checking) -> None:
    checked = check_text(
        "models: {}\nproviders:\n  a: {api: openai, base_url: 'https://u:hunter2@h?k=hunter2#hunter2', "
        + api_key
        + "}\n"
        "services:\n  counters: 'http://:hunter2@h'\n  database: 'postgresql://u:hunter2@h:x'\n"
        "  vectors: 'http://u:hunter2@h:99999'\n  secrets: {vault: 'https://hunter2@h', auth: token}\n"
    )
    shown = "\n".join([*lines(checked), repr(checked)])
    assert checked.problems
    assert not [secret for secret in SECRETS if secret in shown]


def test_no_case_echoes_a_secret() -> None:
    shown = "".join(path.read_text() for path in BAD.glob("*.txt"))
    assert not [secret for secret in SECRETS if secret in shown]


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.yaml").write_bytes("listen: {}\n# é\n".encode("latin-1"))
    Path("folder").mkdir()
    assert lines(check(Path("none.yaml"), {})) == ["none.yaml: cannot be read: No such file or directory"]
    assert lines(check(Path("folder"), {})) == ["folder: cannot be read: Is a directory"]
    assert lines(check(Path("latin.yaml"), {})) == ["latin.yaml:2: not UTF-8 text (byte 14 of the file)"]


def test_what_could_exhaust_the_machine_is_a_problem(check_text: Checking) -> None:
    nested = "".join(
        f"{name}: &{name} [{', '.join(['*' + below] * 9)}]\n"
        for below, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert lines(check_text("a: &a [" + "x, " * 9 + "]\n" + nested)) == [
        "gateway.yaml:1: more than 500000 values, aliases included"
    ]
    assert lines(check_text("a: " + "[" * 20_000)) == ["gateway.yaml:1: nested too deeply"]
    assert lines(check_text("models: {}\nproviders: {}\nlisten: {http: a:1, admin: 1e9999}\n")) == [
        "gateway.yaml:3: listen.admin: expected host:port, such as 127.0.0.1:8080 or [::1]:8080, found 1E+9999"
    ]
