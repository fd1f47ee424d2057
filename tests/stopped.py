"""Processes that are made to hang: stopped in all their threads, so that nothing of them answers once it is said."""

import os
import signal
import time
from pathlib import Path


def stop(pid: int) -> None:
    """SIGSTOP, and wait: threads on another core go on for a moment after the signal was sent."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 60
    while not _is_stopped(pid):
        assert time.monotonic() < deadline, f"{pid} does not stop"
        time.sleep(0.001)


def _is_stopped(pid: int) -> bool:
    states = {_state(task) for task in Path(f"/proc/{pid}/task").iterdir()}
    return states <= {"T", "t"}


def _state(task: Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]
