from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.config.check import Checked, check

ENVIRON = {
    "OPENAI_API_KEY": "sk-environment-value",
    "EMPTY": "",
    "PEPPER": "sk-environment-pepper-of-40-characters--",
    "TWO_LINES": "sk-first-line\nsk-second-line",
}

Checking = Callable[[str], Checked]


@pytest.fixture
def check_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checking:
    """Checks a text as gateway.yaml in a folder that has some secrets."""
    monkeypatch.chdir(tmp_path)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "anthropic").write_text("sk-file-value\n")
    (secrets / "pepper").write_text(f"{ENVIRON['PEPPER']}\n")
    (secrets / "empty").write_text("\n")
    (secrets / "two-lines").write_text("sk-first-line\nsk-second-line\n")

    def run(text: str) -> Checked:
        Path("gateway.yaml").write_text(text, encoding="utf-8")
        return check(Path("gateway.yaml"), ENVIRON)

    return run
