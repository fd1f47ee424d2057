"""Becomes the process of one replica: the supervisor's child is the engine itself, and gets its signals."""

import os
import sys
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from engines.simulator import command as simulator
from engines.vllm import command as vllm
from headgate.contract import ENGINES_FOLDER, ENGINES_KEY
from headgate.engine_start import START_ENV, EngineStart


def run() -> NoReturn:
    """Works in the state directory. Exits with a line on stderr where the engine can't be run."""
    environ = dict(os.environ)
    try:
        start = msgspec.json.decode(environ.pop(START_ENV, ""), type=EngineStart)
    except msgspec.DecodeError:
        sys.exit(f"{START_ENV} says no engine: `headgate up` starts this part")
    command, environment = _told(start, environ, ENGINES_KEY.read_text().strip())
    ENGINES_FOLDER.mkdir(mode=0o700, exist_ok=True)
    # A module is looked for where it is started first: not among the state directory's folders.
    os.chdir(ENGINES_FOLDER)
    try:
        os.execve(command[0], command, environment)  # noqa: S606 - the operator's own program, and no shell
    except OSError as error:
        hint = "" if start.python else ": `make setup-vllm` makes it, or the engine's `python` says another"
        sys.exit(f"{command[0]} can't be run: {error.strerror}{hint}")


def _told(start: EngineStart, environ: Mapping[str, str], key: str) -> tuple[tuple[str, ...], dict[str, str]]:
    if start.kind == "vllm":
        return vllm.command(start), vllm.environment(start, environ, key)
    return simulator.command(start), simulator.environment(start, environ, key)
