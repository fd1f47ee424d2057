"""The bench's own child processes: each ends when its standard input does, so none outlives the bench."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.failure import Failure

_END_WITHIN_S = 5.0


class Child:
    """`python -m MODULE ARGUMENTS`, spoken to line by line."""

    def __init__(self, module: str, process: subprocess.Popen[bytes]) -> None:
        self._module = module
        self._process = process

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ask(self, line: bytes) -> bytes:
        """Send a line, return the answer's line."""
        pipe = _there(self._process.stdin)
        pipe.write(line + b"\n")
        pipe.flush()
        return self.line()

    def line(self) -> bytes:
        """Its next line. Raises Failure when it has ended."""
        found = _there(self._process.stdout).readline()
        if not found:
            raise Failure(f"python -m {self._module} ended: {self._process.wait(_END_WITHIN_S)}")
        return found.strip()


@contextmanager
def running(module: str, *arguments: str) -> Iterator[Child]:
    """Run a module of ours for as long as the context lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Child(module, process)
    finally:
        with process:  # closes the pipes, which ends it
            end(process, lifeline=True)


def logged(
    command: Sequence[str | Path], log: Path, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a server that writes into `log`, in a session of its own. Whoever starts it ends it."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], *, lifeline: bool = False, within_s: float = _END_WITHIN_S) -> bool:
    """End a process that we started, by force when it takes longer; whether it went by itself."""
    if lifeline:
        _there(process.stdin).close()
    else:
        process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe  # noqa: S101 - Popen was asked for it
    return pipe
