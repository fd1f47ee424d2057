"""What the machine gives us, measured against what gateway.yaml promises: open files and memory.

What is too small is a line in the log, not a refusal.
"""

import os
import resource
from pathlib import Path

import structlog

from headgate.config.model import Listen

log = structlog.get_logger()

# A client's connection may need one to a provider; logs, workers and the rest come on top.
FILES_PER_CONNECTION = 2
OTHER_FILES = 1000
MEMORY_SHARE = 0.75  # of the machine; more leaves nothing for workers, counters and the page cache

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def tell_what_is_short(listen: Listen, open_files: int) -> None:
    """Log what `listen` allows and this machine cannot give."""
    needed = listen.max_connections * FILES_PER_CONNECTION + OTHER_FILES
    if open_files != resource.RLIM_INFINITY and needed > open_files:
        log.warning("listen.max_connections needs more open files", needed=needed, allowed=open_files)
    memory = memory_bytes()
    if listen.max_memory_bytes > memory * MEMORY_SHARE:
        log.warning("listen.max_memory is too much for this machine", bytes=listen.max_memory_bytes, machine=memory)


def memory_bytes() -> int:
    """The memory of the machine, or of the container that we run in."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(limit for path in _CGROUP_LIMITS if (limit := _limit_in(path)))])


def _limit_in(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max" is none
