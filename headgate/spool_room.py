"""Whether the spool's disk has room for the records of more requests, looked at twice a second at most.

A worker on another host than the disk is told by its gateway how much is free.
"""

import os
import time

import structlog

from headgate.contract import SPOOL

LOOK_EVERY_S = 0.5

told_free_bytes: list[int] = []  # by the gateway: one number, or none

log = structlog.get_logger()


def free_bytes() -> int | None:
    """What is left on the spool's disk; None without a spool, as for a part alone in its container."""
    try:
        found = os.statvfs(SPOOL)
    except FileNotFoundError:
        return None
    return found.f_bavail * found.f_frsize


class SpoolRoom:
    """Asks the file system when it is asked itself; an idle worker asks nothing. One log line per change."""

    def __init__(self) -> None:
        self._looked = -LOOK_EVERY_S
        self._short = False

    def is_short(self, min_free_bytes: int) -> bool:
        """True while less than `min_free_bytes` are free. A worker without a spool folder has nothing to look at."""
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._look(min_free_bytes)
        return self._short

    def _look(self, min_free_bytes: int) -> None:
        free = told_free_bytes[0] if told_free_bytes else free_bytes()
        if free is None:
            return
        if (free < min_free_bytes) != self._short:
            self._short = not self._short
            if self._short:
                log.error(
                    "spool is short of room: requests are refused", free_bytes=free, min_free_bytes=min_free_bytes
                )
            else:
                log.info("spool has room again", free_bytes=free)
