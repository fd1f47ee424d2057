"""Up to when all that Envoy has written is settled, and so in the journal: what bills wait for.

Under load there is always something that is not settled yet. So a mark is set where the files end now, and what had
ended by then is known to be settled once all of them are settled up to it.
"""

import time
from collections.abc import Callable, Iterable

from ledger.spool.spool_file import SpoolFile

FLUSH_MS = 2000  # Envoy has written by then what ended before: it flushes every 20 ms


class SettledUntil:
    """`ms` is Unix time, 0 until it is known, and again where the clock was put back to before it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.ms = 0
        self._clock = clock
        self._mark: dict[int, int] | None = None  # by inode: how much there was
        self._marked_ms = 0

    def look(self, unfinished: Iterable[SpoolFile]) -> None:
        """At all files that are not done with, once their folder was looked through. A file that is not among them
        any more is settled to its end.
        """
        files = {file.inode: file for file in unfinished}
        now_ms = round(self._clock() * 1000)
        if max(self.ms, self._marked_ms) > now_ms:
            self.ms, self._mark = 0, None
        if self._mark is not None:
            if any(files[inode].settled < size for inode, size in self._mark.items() if inode in files):
                return
            self.ms = max(self.ms, self._marked_ms)
        self._marked_ms = now_ms - FLUSH_MS
        self._mark = {inode: file.size() for inode, file in files.items()}

    def hold(self) -> None:
        """There are files that nobody can look at: what is in them may be older than any mark."""
        self._mark = None
