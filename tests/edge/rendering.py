"""Configurations made from gateway.yaml texts, and the real Envoy's opinion of them."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from headgate.config.check import check
from headgate.edge.render import EdgeSettings, Rendering, render
from headgate.supervise.binaries import envoy

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "gateway.yaml"
SECRETS = {"OPENAI_API_KEY": "sk-openai-very-secret", "ANTHROPIC_API_KEY": "sk-ant-very-secret"}
SETTINGS = EdgeSettings(workers=2, spool="spool/x.ndjson", generation=3)


def rendered(text: str, environ: dict[str, str] = SECRETS, **files: str) -> Rendering:
    """Envoy's files for a gateway.yaml with this text."""
    with TemporaryDirectory() as folder:
        base = Path(folder)
        for name, content in files.items():
            (base / name).write_text(content)
        (base / "gateway.yaml").write_text(text, encoding="utf-8")
        checked = check(base / "gateway.yaml", environ)
        assert checked.gateway, checked.problems
        return render(checked.gateway, SETTINGS, base, environ)


@functools.cache
def headgate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, in a process of its own; run once for the same arguments."""
    return subprocess.run(
        [sys.executable, "-m", "headgate", *arguments],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **SECRETS}, timeout=60, check=False,
    )  # fmt: skip


def validate(config: str, suffix: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Envoy's own check of a whole configuration."""
    (folder / "spool").mkdir(exist_ok=True)  # Envoy opens its access logs, also to validate
    path = folder / f"envoy{suffix}"
    path.write_text(config, encoding="utf-8")
    return subprocess.run(
        [envoy(), "--mode", "validate", "-c", str(path), "--disable-hot-restart", "-l", "warning"],
        capture_output=True, text=True, cwd=folder, timeout=60, check=False,
    )  # fmt: skip


def assert_valid(rendering: Rendering, folder: Path) -> None:
    """Envoy accepts the inline form."""
    found = validate(json.dumps(rendering.inline()), ".json", folder)
    assert found.returncode == 0, found.stderr


def clusters_of(rendering: Rendering) -> dict[str, Any]:
    """The provider clusters by the name that they have in statistics."""
    return {cluster["alt_stat_name"]: cluster for cluster in rendering.clusters["resources"]}


def manager_of(rendering: Rendering) -> dict[str, Any]:
    """The connection manager of the one listener."""
    (listener, _inner) = rendering.bootstrap["static_resources"]["listeners"]
    manager: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return manager


def everything_in(value: Any) -> Iterator[Any]:
    """Every mapping, list and scalar in a document, keys included."""
    yield value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from everything_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from everything_in(inner)
