"""From the journal to the brokers, entry by entry: nothing is done with before the brokers have it.

A process that dies between the two tells some events again, under the same ids. Brokers that are away delay; what
waits is in the journal, on the disk. Blocks: for one thread.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from tenacity import Retrying, retry_if_exception_type, stop_when_event_set, wait_exponential
from tenacity.nap import sleep_using_event

from headgate import usage_metrics
from ledger.events.event import Message, message_of
from ledger.events.sender import Undelivered
from ledger.journal.backlog import Backlog
from ledger.journal.progress import EVENTS, Progress, read_progress, write_progress
from ledger.journal.reader import JournalAway, JournalReader
from ledger.rows import Row

ENTRIES = 5  # at once: up to 10,000 rows
LOOK_EVERY_S = 0.25
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0

log = structlog.get_logger()


Send = Callable[[Sequence[Message], threading.Event], bool]


@dataclass(frozen=True, slots=True)
class Standing:
    """How it is: rows that wait, None before the first look; and what keeps them, None while nothing does."""

    waiting: int | None = None
    problem: str | None = None


class Outbox:
    """Tells everything that is in the journal, and what comes, until it is stopped."""

    def __init__(self, journal: JournalReader, send: Send, source: str, folder: Path) -> None:
        self._journal = journal
        self._backlog = Backlog(journal)
        self._send = send
        self._source = source
        self._folder = folder
        self._progress = read_progress(EVENTS, folder)
        self.standing = Standing()

    def work(self, stop: threading.Event) -> None:
        """Until `stop` is set. What can't be told or read is tried again, ever more slowly."""
        retrying = Retrying(
            wait=wait_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S),
            retry=retry_if_exception_type((Undelivered, JournalAway, OSError)),
            stop=stop_when_event_set(stop),
            sleep=sleep_using_event(stop),
            before_sleep=lambda state: self._failed(state.outcome.exception() if state.outcome else None),
            retry_error_callback=lambda _: False,
        )
        while not stop.is_set():
            if not retrying(self._turn, stop):
                stop.wait(LOOK_EVERY_S)

    def problem(self, text: str) -> None:
        """Something is in the way, and whoever met it goes on trying."""
        if self.standing.problem is None:
            log.warning("events wait for their brokers", reason=text)
        self.standing = Standing(self.standing.waiting, text)

    def _turn(self, stop: threading.Event) -> bool:
        """Whether there was something to tell."""
        identity = self._journal.identity()
        at = self._progress.of(identity)
        self._look(at)
        entries = self._journal.after(at, ENTRIES)
        if not entries:
            self._solved()  # with nothing to tell, nobody knows how the brokers are
            return False
        messages = [message_of(row, self._source) for row in _told(entry.rows for entry in entries)]
        if not self._send(messages, stop):
            return False
        self._progress = Progress(identity, entries[-1].seq)
        write_progress(EVENTS, self._progress, self._folder)
        usage_metrics.EVENTS.inc(len(messages))
        self._solved()
        return True

    def _solved(self) -> None:
        if self.standing.problem is not None:
            log.info("events wait no more")
        self.standing = Standing(self.standing.waiting)

    def _look(self, at: int) -> None:
        waiting, oldest_ms = self._backlog.rows(at), self._journal.oldest_ms(at)
        usage_metrics.EVENTS_WAITING.set(waiting)
        usage_metrics.EVENTS_LAG.set(0.0 if oldest_ms is None else max(time.time() - oldest_ms / 1000, 0.0))
        self.standing = Standing(waiting, self.standing.problem)

    def _failed(self, error: BaseException | None) -> None:
        usage_metrics.EVENTS_FAILURES.inc()
        self.problem(str(error) if isinstance(error, Undelivered) else type(error).__name__)


def _told(entries: Iterable[Sequence[Row]]) -> Iterable[Row]:
    """What is nobody's is no tenant's usage."""
    return (row for rows in entries for row in rows if row.tenant)
