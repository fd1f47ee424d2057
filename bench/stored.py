"""Whether the usage store of a gateway has all that the ledger has, and to have it so.

Rows are gathered until somebody asks, or for half a minute: what storing them costs comes after the requests, and
belongs to them all the same.
"""

import asyncio
import os
import time
from pathlib import Path

from bench.failure import Failure
from headgate import contract
from headgate.usage_client import UsageClient, UsageError
from headgate.usage_questions import Sums
from ledger.journal.backlog import Backlog
from ledger.journal.progress import Progress, read_progress
from ledger.journal.reader import JournalReader
from ledger.store.writer import CONSUMER, LINGER_S

_WITHIN_S, _POLL_S = 120.0, 0.05


class Stored:
    """Of the gateway with this state directory."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._journal = JournalReader(state / contract.LEDGER / "usage.db")
        self._backlog = Backlog(self._journal)

    def is_all(self) -> bool:
        """Whether it has all rows of the journal."""
        return self._progress().seq >= self._journal.newest()

    def waiting(self) -> int:
        """Rows of the journal that it has not got."""
        return self._backlog.rows(self._progress().seq)

    def ask(self) -> None:
        """Ask it something, so that it gathers no longer. Raises UsageError."""
        now_s = int(time.time())
        question = Sums(tenant=None, since_s=now_s - 1, until_s=now_s, limit=1)
        folder = os.open(self._state, os.O_PATH | os.O_DIRECTORY)
        try:  # the path of a socket has 107 bytes at most, whatever folder the bench is run in
            asyncio.run(UsageClient(Path(f"/proc/self/fd/{folder}") / contract.USAGE_SOCKET).ask(question))
        finally:
            os.close(folder)

    def until_all(self) -> None:
        """Raises Failure after two minutes, and when it does not answer."""
        deadline = time.monotonic() + _WITHIN_S
        while not self.is_all():
            if time.monotonic() > deadline:
                raise Failure(f"the usage store has not got {self.waiting()} rows")
            asks_at = time.monotonic() + LINGER_S  # who asks earlier gets no block that is as young
            while time.monotonic() < asks_at and not self.is_all():
                time.sleep(_POLL_S)
            self._ask_for_the_rest()

    def _ask_for_the_rest(self) -> None:
        if self.is_all():
            return
        try:
            self.ask()
        except UsageError as error:
            raise Failure(f"the usage store does not answer: {error}") from error

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def _progress(self) -> Progress:
        return read_progress(CONSUMER, self._state / contract.LEDGER)
