"""Whether Envoy can watch as many files as it would have to: it aborts, streams and all, when it cannot.

Each watched file of Envoy's takes an inotify instance of its own, and a user has `fs.inotify.max_user_instances` of
them over all processes. How many are taken nobody can be asked, so as many as are needed are opened and closed again.
"""

import ctypes
import os
from pathlib import Path

from headgate.supervise.refusal import Refusal

OWN = 4  # clusters, routes, and what Envoy opens for itself

_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")


def require(count: int) -> None:
    """Raise Refusal when this user cannot have `count` more instances."""
    libc, limit = ctypes.CDLL(None), _LIMIT.read_text().strip()
    opened: list[int] = []
    try:
        while len(opened) < count:
            descriptor = libc.inotify_init1(os.O_CLOEXEC)
            if descriptor < 0:
                raise Refusal(
                    f"Envoy has {count} more files to watch, and this user can have {len(opened)} more inotify "
                    f"instances: raise fs.inotify.max_user_instances (sysctl), which is {limit}"
                )
            opened.append(descriptor)
    finally:
        for descriptor in opened:
            os.close(descriptor)
