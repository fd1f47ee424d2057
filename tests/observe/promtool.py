"""Prometheus' own tool: what it thinks of our files and texts."""

import shutil
import subprocess
from pathlib import Path


def promtool(*arguments: str, folder: Path | None = None, stdin: bytes | None = None) -> str:
    """What it says; it must have nothing against it. Debian's package `prometheus` has it."""
    program = shutil.which("promtool")
    assert program, "promtool is missing: deploy/debian-packages test"
    found = subprocess.run(
        [program, *arguments], cwd=folder, input=stdin, capture_output=True, timeout=60, check=False
    )
    said = (found.stdout + found.stderr).decode()
    assert found.returncode == 0, said
    return said
