"""Whether the spool's disk has room for the records of more requests, looked at twice a second at most."""

import os
import time

import structlog

from headgate.contract import SPOOL

LOOK_EVERY_S = 0.5

log = structlog.get_logger()


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
        try:
            found = os.statvfs(SPOOL)
        except FileNotFoundError:  # a part alone in its container
            return
        free = found.f_bavail * found.f_frsize
        if (free < min_free_bytes) != self._short:
            self._short = not self._short
            if self._short:
                log.error(
                    "spool is short of room: requests are refused", free_bytes=free, min_free_bytes=min_free_bytes
                )
            else:
                log.info("spool has room again", free_bytes=free)
