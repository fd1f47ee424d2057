"""What a process has used, as the kernel counts it. Raises OSError once the process has ended."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

_CPUCLOCK_SCHED = 2  # clock_getcpuclockid(3): the run time of all threads, ended ones too, in ns


def cpu_ns(pid: int) -> int:
    """CPU time of the process so far. /proc/PID/stat counts the same in steps of 10 ms, too coarse for a batch."""
    return time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED)


def pss_bytes(pid: int) -> int:
    """Its memory; pages that several processes share count in equal parts."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/{pid}/smaps_rollup has no Pss")


def resident_bytes(pid: int, what: Literal["VmRSS", "VmHWM"] = "VmRSS") -> int:
    """Its memory now, or the most that it had; shared pages count whole."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/{pid}/status has no {what}")


def sockets(pid: int) -> int:
    """Sockets that it has open, to whomever."""
    found = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found += os.readlink(entry.path).startswith("socket:")  # noqa: PTH115 - no path, a description
    return found


def descriptors(pid: int) -> int:
    """Those that it has open, but for the files in which the kernel tells of its own threads.

    ClickHouse keeps three of these open for each thread that asks what it used, for as long as the thread lives.
    """
    found = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found += not os.readlink(entry.path).startswith(f"/proc/{pid}/task/")  # noqa: PTH115 - sockets are no path
    return found
