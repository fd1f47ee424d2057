"""What the pages show of limits can be written into a file as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from headgate.limits import KINDS

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [
    pytest.param(block, id=f"{page}-{number}")
    for page in ("alerts.md", "configuration.md", "limits.md")
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL))
]
AROUND = """\
providers: {local: {api: openai, endpoints: ["http://127.0.0.1:8000"]}}
models:
  chat: {targets: [{provider: local, model: llama}], price: {input: 0.15, output: 0.60}}
  big: {targets: [{provider: local, model: llama-70b}], price: {input: 2.50, output: 10}}
"""


def whole_file(block: str) -> dict[str, Any]:
    """The block, what it refers to, and a tenant for each plan that the block gives nobody."""
    digests = iter(range(1, 100))
    block = re.sub("…", lambda _: f"{next(digests):064x}", block)
    document: dict[str, Any] = yaml.safe_load(AROUND)
    for section, entries in yaml.safe_load(block).items():
        document.setdefault(section, {}).update(entries)
    tenants = document.setdefault("tenants", {})
    for plan in set(document.get("plans", {})) - {tenant.get("plan") for tenant in tenants.values()}:
        tenants[f"of-{plan}"] = {"plan": plan, "models": ["chat", "big"]}
    return document


SECRETS = (  # what the examples refer to
    *("HEADGATE_WEBHOOK_SECRET", "OPENAI_API_KEY", "FIRST", "SECOND"),
    *("HEADGATE_PEPPER", "HEADGATE_OLD_PEPPER", "HEADGATE_SERVICE_KEY"),
)
ENVIRONMENT = {name: name.ljust(40, "x") for name in SECRETS} | {"HEADGATE_ADAPTER_KEY": "A" * 43}


@pytest.mark.parametrize("block", BLOCKS)
def test_the_yaml_shown_is_valid(block: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(whole_file(block)))
    checked = subprocess.run(
        [Path(sys.executable).with_name("headgate"), "check", file],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "warning" not in checked.stdout + checked.stderr


def test_every_kind_is_shown() -> None:
    shown = "".join(block for param in BLOCKS for block in map(str, param.values))
    assert {kind for kind in KINDS if re.search(rf"\b{kind}:", shown)} == set(KINDS)
