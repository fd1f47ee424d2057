"""Up to when a consumer of the journal has everything: by what the ledger says that it has settled, and how far the
consumer is. So it goes on where nothing happens, and stands still where anything on the way does.

The ledger's word is taken first, the journal's end after it: what was settled by then is in what was written by then.
"""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

from headgate.contract import LEDGER_SOCKET
from ledger.journal.reader import JournalReader

LOOK_EVERY_S = 2.0
_ANSWER_WITHIN_S = 2.0


class StoredUntil:
    """`ms` is Unix time, 0 until it is known; what is after the clock's is not. `is_done_with`: whether all up to a
    number is kept, of the journal of that identity. `settled_until_ms` asks the ledger; 0 without an answer.
    """

    def __init__(
        self,
        journal: JournalReader,
        is_done_with: Callable[[int, str], bool],
        settled_until_ms: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ms = 0
        self._journal = journal
        self._is_done_with = is_done_with
        self._settled_until_ms = settled_until_ms or asked_of_ledger
        self._clock = clock
        self._mark: tuple[int, int, str] | None = None
        self._next_look = 0.0

    def look(self) -> None:
        """From time to time, from one thread. Raises JournalAway."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_EVERY_S
        self.note()

    def renew(self) -> None:
        """Ahead of storing all that is in the journal: what is settled by now is what the next look is about. Raises
        JournalAway.
        """
        before, self._mark = self._mark, None
        self.note()
        if self._mark is None and before is not None and before[0] > self.ms:
            self._mark = before  # the ledger says nothing
        self._next_look = 0.0

    def note(self) -> None:
        """Now. Raises JournalAway."""
        identity, now_ms = self._journal.identity(), self._clock() * 1000
        if self.ms > now_ms:  # the clock was put back: when that was, nobody knows
            self.ms = 0
        if self._mark is not None and (self._mark[2] != identity or self._mark[0] > now_ms):
            self._mark = None  # another journal: the ledger begins anew
        if self._mark is None:
            until_ms = self._settled_until_ms()
            identity = self._journal.identity()
            if not identity or not self.ms < until_ms <= now_ms:  # there is no journal, or nothing new
                return
            self._mark = (until_ms, self._journal.newest(), identity)
        until_ms, seq, identity = self._mark
        if self._is_done_with(seq, identity):
            self.ms, self._mark = until_ms, None


def asked_of_ledger(path: Path = LEDGER_SOCKET) -> int:
    """What the ledger says on its socket; 0 if it says nothing."""
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(_ANSWER_WITHIN_S)
            asked.connect(str(path))
            with asked.makefile("rb") as lines:
                said = json.loads(lines.readline())
        return int(said["settled_until_ms"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
