"""Where other gateways are installed, and their processes. They are never part of Headgate's own environment."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from bench.child import end, logged
from bench.failure import Failure

FOLDER = Path(str(files("bench"))).parent / ".peers"


def litellm_command() -> Path | None:
    """LiteLLM's command, where it is installed."""
    return _there(FOLDER / "litellm" / "bin" / "litellm")


def portkey_script() -> Path | None:
    """The script of Portkey's gateway, where it is installed."""
    return _there(FOLDER / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js")


def litellm_version() -> str:
    """As its own metadata say."""
    (found,) = FOLDER.glob("litellm/lib/python*/site-packages/litellm-*.dist-info")
    return found.name.removesuffix(".dist-info").partition("-")[2]


def portkey_version() -> str:
    """As its own metadata say."""
    script = portkey_script()
    assert script  # noqa: S101 - who asks has started it
    version: str = json.loads((script.parent.parent / "package.json").read_bytes())["version"]
    return version


@contextmanager
def started(
    command: list[str], environment: Mapping[str, str], folder: Path, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run it in a session of its own; all of its processes have ended afterwards."""
    process = logged(command, log, cwd=folder, env={**os.environ, **environment})
    try:
        yield process
    finally:
        others = [pid for pid in descendants(process.pid) if pid != process.pid]
        end(process)
        _wait_for(others)


def check(process: subprocess.Popen[bytes], name: str, folder: Path) -> None:
    """Raises Failure, with the end of its log, when it has ended."""
    if process.poll() is not None:
        log = (folder / f"{name}.log").read_text(errors="replace")
        raise Failure(f"{name} ended with {process.returncode}:\n{log[-2000:]}")


def descendants(pid: int) -> tuple[int, ...]:
    """The process and all that it started, and those that they did."""
    found, added = {pid}, {pid}
    while added:
        added = {child for child, parent in _parents() if parent in added} - found
        found |= added
    return tuple(sorted(found))


def _parents() -> Iterator[tuple[int, int]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield int(stat.parent.name), int(fields[1])


def _wait_for(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        if time.monotonic() > deadline:
            raise Failure(f"processes that were started have not ended: {', '.join(map(str, left))}")
        time.sleep(0.05)


def _there(path: Path) -> Path | None:
    return path if path.exists() else None
