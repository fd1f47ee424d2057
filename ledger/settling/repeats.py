"""Tells of lines whose requests were counted by other lines: files that were copied, or delivered again."""

import time
from collections.abc import Collection

import structlog

from headgate import metrics
from ledger.settling.usage import FileId

LOGGED_EVERY_S = 60.0

log = structlog.get_logger()


class Repeats:
    """Counts them all, and logs them now and then."""

    def __init__(self) -> None:
        self._lines = metrics.LEDGER_LINES.labels("duplicate")
        self._unsaid = 0
        self._next = 0.0

    def tell(self, lines: Collection[tuple[FileId | None, int]]) -> None:
        """Each by its file, and where it ends there."""
        if not lines:
            return
        self._lines.inc(len(lines))
        self._unsaid += len(lines)
        if time.monotonic() < self._next:
            return
        file, at = min(lines, key=lambda line: line[1])
        log.warning(
            "lines of requests that were counted before are left out",
            lines=self._unsaid,
            epoch=file.epoch if file else None,
            before_byte=at,
        )
        self._unsaid, self._next = 0, time.monotonic() + LOGGED_EVERY_S
