"""How many rows of the journal somebody has not got, counted once: a long outage leaves gigabytes to look through.

Blocks; raises JournalAway. One thread at a time.
"""

from collections import deque
from typing import NamedTuple

from ledger.journal.reader import JournalReader

PIECE_ENTRIES = 1_000


class _Piece(NamedTuple):
    """So many rows are in the entries up to `until` that come after the piece before."""

    until: int
    rows: int


class Backlog:
    """Remembers what was counted, by pieces: only those at either end are counted again."""

    def __init__(self, journal: JournalReader) -> None:
        self._journal = journal
        self._pieces: deque[_Piece] = deque()
        self._after = 0

    def rows(self, after: int) -> int:
        """Beyond this number; a lower one than before is another journal's."""
        if after < self._after:
            self._pieces.clear()
        self._after = after
        while self._pieces and self._pieces[0].until <= after:
            self._pieces.popleft()
        if self._pieces:
            first = self._pieces[0]
            self._pieces[0] = first._replace(rows=self._journal.count(after, PIECE_ENTRIES, first.until).rows)
        at = self._pieces[-1].until if self._pieces else after
        while (found := self._journal.count(at, PIECE_ENTRIES)).entries == PIECE_ENTRIES:
            self._pieces.append(_Piece(found.until, found.rows))
            at = found.until
        return sum(piece.rows for piece in self._pieces) + found.rows
