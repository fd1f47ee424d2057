"""What was read and is still to be settled, in its order: bounded, and settled in batches, whatever has gathered.

A file is settled up to a batch's end only when nothing of it is owed any more: a crash settles some of it twice.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from headgate import metrics
from ledger.settling.ends import End
from ledger.settling.settlement import Piece, Settlement
from ledger.settling.usage import EndLine, FileId
from ledger.spool.spool_file import SpoolFile

QUEUED_REQUESTS = 20_000  # about 30 MB


@dataclass(slots=True, eq=False)
class Work:
    """What one batch leaves to settle, and where its file stands afterwards."""

    file: SpoolFile
    end: int
    ends: list[End]
    lines: list[EndLine]
    freed: bool = False  # its slots, while nothing can be counted

    @property
    def requests(self) -> int:
        """What it takes of the queue."""
        return max(len(self.ends), len(self.lines))


class WorkQueue:
    """`settled` is called after each batch."""

    def __init__(self, settlement: Settlement, settled: Callable[[], None]) -> None:
        self._settlement = settlement
        self._settled = settled
        self._works: deque[Work] = deque()
        self._requests = 0
        self._ahead: dict[SpoolFile, int] = {}  # settled, but for what a node of the counters is owed
        self._grew = asyncio.Event()
        self._empty = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether no more is to be read for now."""
        return self._requests >= QUEUED_REQUESTS

    def put(self, work: Work) -> None:
        """To be settled after all that is there."""
        self._requests += work.requests
        self._works.append(work)
        self._empty.clear()
        self._grew.set()

    async def run(self) -> None:
        """Settle what comes, until cancelled. Raises what settling fails of."""
        while True:
            if not self._works:
                self._empty.set()
                self._grew.clear()
                await self._grew.wait()
            works = list(self._works)
            await self._settlement.settle(
                [Piece(id_of(work.file), work.end, work.ends, work.lines) for work in works]
            )
            _observe(works)
            for work in works:
                self._works.popleft()
                self._ahead[work.file] = work.end
                self._requests -= work.requests
            self.catch_up()
            self._settled()

    def catch_up(self) -> None:
        """What was settled is done with once nothing of it is owed: else the next process has to settle it again."""
        if not self._settlement.owes:
            for file, end in self._ahead.items():
                file.settled = end
            self._ahead.clear()

    async def until_empty(self) -> None:
        """Wait until `run` has settled all."""
        await self._empty.wait()

    async def free_slots(self) -> None:
        """Give back the slots of what can't be settled yet: what has ended is not to be in others' way."""
        for work in list(self._works):
            if not work.freed:
                work.freed = True
                await self._settlement.free_slots(work.ends)


def id_of(file: SpoolFile) -> FileId | None:
    """What tells a file apart; None while it has no whole line."""
    head = file.first_line_digest()
    return FileId(file.epoch, head) if head else None


def _observe(works: list[Work]) -> None:
    now_ms = time.time() * 1000
    for work in works:
        if row := next((line.row for line in work.lines if line.row), None):
            metrics.SETTLEMENT.observe(max(now_ms - row.ended_ms, 0.0) / 1000)
