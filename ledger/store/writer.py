"""From the journal into the store, in blocks: each row once, whatever is killed, breaks off or comes again.

The journal may forget what `write_progress` says is kept, so that is written last. Whatever has not been answered is
in doubt, a new process's first batch as well: nothing new is begun before it is known to be done, or never to come.
Store away: the journal grows, nothing else. Memory is bounded by a block, whatever the backlog. One thread.

A block costs nearly the same with one row as with hundreds. Nobody else can see what is in chdb, so that rows are
gathered for it until somebody asks; a ClickHouse may be asked past us, and gets them every few seconds.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from headgate.contract import ERASURES, LEDGER
from headgate.erasures import asked
from headgate.usage_metrics import (
    USAGE_BACKLOG,
    USAGE_INSERT,
    USAGE_KNOWN_ROWS,
    USAGE_LAG,
    USAGE_REFUSED_ROWS,
    USAGE_STORE_ERRORS,
    USAGE_STORED_ROWS,
)
from headgate.usage_questions import Mark
from ledger.journal.backlog import Backlog
from ledger.journal.progress import Progress, read_progress, write_progress
from ledger.journal.reader import JournalAway, JournalReader
from ledger.rows import Row
from ledger.store import batches, marks
from ledger.store.batches import FENCE_S
from ledger.store.client import Store, StoreAway, StoreError, StoreRefused, StoreTooNew, is_of_values
from ledger.store.rounds import Rounds

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

CONSUMER = "store"
BLOCK_ROWS = 20_000  # 25,000 rows a second and core; with 100,000 half as many again, and 300 MB more
ENTRIES_AT_ONCE = 10  # of 2,000 rows at most: what a block may be larger
LOOK_EVERY_S = 1.0
SHOW_EVERY_S = 2.0  # what waits
LINGER_S = 3.0  # between blocks that are not full: each costs 80 ms, and is merged with others later
GATHER_S = 30.0  # likewise, where nobody asks chdb
FRESH_WITHIN_S = 2.0  # that a question waits for what it could have in its answer; a full block takes half a second
AGAIN_S = 5.0  # after something that was away

log = structlog.get_logger()


class Writer:
    """`step` by `step`, or `run`, until `rounds` are stopped. What it holds up is itself alone."""

    def __init__(
        self, store: Store, journal: JournalReader, gateway: str, folder: Path = LEDGER, erasures: Path = ERASURES
    ) -> None:
        self._store = store
        self._journal = journal
        self._backlog = Backlog(journal)
        self._gateway = gateway
        self._folder = folder
        self._erasures = erasures
        self._progress = read_progress(CONSUMER, folder)
        self._last = batches.Last()
        self._run = 0  # none is begun
        self._mark: Mark | None = None
        self._in_doubt = True
        self._not_before = 0.0 if store.is_embedded else time.monotonic() + FENCE_S
        self._lingers_until = 0.0
        self._gathers_until = 0.0
        self._before: Callable[[], None] = lambda: None
        self.rounds = Rounds()
        self._has_begun_anew = False
        self._shown = 0.0
        for kind in (StoreAway, StoreTooNew, StoreRefused, JournalAway):
            USAGE_STORE_ERRORS.labels(kind.__name__)  # what is shown as 0 before can be seen to grow
        for is_estimated in ("false", "true"):
            USAGE_STORED_ROWS.labels(is_estimated)

    @property
    def stored_until_ms(self) -> int:
        """What had ended by then is in the store; 0 where that is not known."""
        return self._last.ended_ms

    def run(self, beside: Callable[[], None] = lambda: None, before: Callable[[], None] = lambda: None) -> None:
        """Until it is stopped; the block that it is at comes to its end. `beside` is called between blocks, `before`
        ahead of one that has all that waits: before it is read.
        """
        self._before = before
        while not self.rounds.is_stopped:
            is_asked, fails, wait_s = self.rounds.begin(), False, LOOK_EVERY_S
            try:
                if self.step(is_asked=is_asked):
                    wait_s = 0.0
                beside()
            except (StoreError, JournalAway, OSError) as error:
                self._on_error(error)
                fails, wait_s = True, AGAIN_S
            self.rounds.end(fails=fails)
            self.rounds.pause(wait_s)

    def freshen(self) -> None:
        """For another thread, about to ask the store: what has been in the journal for LINGER_S is there then, unless
        that fails or takes too long.
        """
        if self._store.is_embedded and time.monotonic() >= self._lingers_until:
            self.rounds.wait_for_one(FRESH_WITHIN_S)

    def step(self, *, is_asked: bool = True) -> bool:
        """Store a block, if there is one; whether another may be waiting. Raises StoreError, JournalAway, OSError.

        `is_asked`: somebody waits for it, so that nothing is gathered.
        """
        progress = self._where()
        waiting = self._backlog.rows(progress.seq)
        self._show(progress, waiting)
        if not self._is_due(waiting, is_asked=is_asked):
            return False
        if waiting < BLOCK_ROWS:
            self._before()
        rows, seq = self._block(progress)
        is_full = len(rows) >= BLOCK_ROWS
        began = time.monotonic()
        with self._store.client() as client:
            if self._is_behind(progress):
                return True
            with self._fenced():
                self._look_for_mark(client)
                self._clear_doubt(client)
                self._in_doubt = True
                self._keep(client, rows)
                self._in_doubt = False
        self._progress = Progress(progress.identity, seq, self._progress.anew_ms)
        write_progress(CONSUMER, self._progress, self._folder)
        now = time.monotonic()
        USAGE_INSERT.observe(now - began)
        self._lingers_until, self._gathers_until = now + LINGER_S, now + GATHER_S
        if not is_full:
            self._show(self._progress, self._backlog.rows(seq), at_once=True)
        return is_full

    def _is_due(self, waiting: int, *, is_asked: bool) -> bool:
        now = time.monotonic()
        if not waiting or now < self._not_before:
            return False
        gathers = self._store.is_embedded and not is_asked
        return waiting >= BLOCK_ROWS or now >= (self._gathers_until if gathers else self._lingers_until)

    @property
    def gateway(self) -> str:
        """Whose rows it stores."""
        return self._gateway

    @property
    def mark(self) -> Mark | None:
        """How far the store is by its own word; None before this process has looked."""
        return self._mark

    def settle(self, client: "Client") -> bool:
        """Have nothing in doubt, for who changes what is stored; False: not yet. Raises what the client raises."""
        if self._in_doubt and time.monotonic() < self._not_before:
            return False
        with self._fenced():
            self._clear_doubt(client)
        return True

    def is_done_with(self, seq: int, identity: str) -> bool:
        """Whether all up to there is in the store."""
        return self._progress.of(identity) >= seq

    def _where(self) -> Progress:
        identity = self._journal.identity()
        if identity and identity != self._progress.identity:
            if self._progress.identity:
                log.warning("the journal is another one: it is read from its beginning, what is stored is left out")
            self._progress = Progress(identity, anew_ms=time.time_ns() // 1_000_000)
        return Progress(identity, self._progress.of(identity))

    def _block(self, progress: Progress) -> tuple[list[Row], int]:
        rows: list[Row] = []
        seq = progress.seq
        while len(rows) < BLOCK_ROWS:
            entries = self._journal.after(seq, ENTRIES_AT_ONCE)
            if not entries:
                break
            for entry in entries:
                rows += entry.rows
            seq = entries[-1].seq
        return rows, seq

    def _is_behind(self, progress: Progress) -> bool:
        """The store was made anew: what the journal still has goes there again."""
        if not self._store.was_empty or self._has_begun_anew:
            return False
        self._has_begun_anew = True
        self._progress = Progress(progress.identity)
        return progress.seq > 0

    @contextlib.contextmanager
    def _fenced(self) -> Iterator[None]:
        """What breaks off in here may still be done by a server: until FENCE_S later nothing is decided."""
        try:
            yield
        except BaseException:
            self._not_before = 0.0 if self._store.is_embedded else time.monotonic() + FENCE_S + 1
            raise

    def _look_for_mark(self, client: "Client") -> None:
        """Another store in the place of ours is begun anew, in a run of its own."""
        if self._mark is not None and not marks.has_mark(client, self._mark):
            log.error("the usage store has less than it had: it was put back, or made anew")
            self._in_doubt = True

    def _clear_doubt(self, client: "Client") -> None:
        if not self._in_doubt:
            return
        if not self._store.is_embedded:
            batches.end_own_statements(client, self._gateway)
        last = batches.finish(client, self._gateway)
        self._last = batches.Last(max(last.batch, self._last.batch), max(last.ended_ms, self._last.ended_ms))
        self._run = 0
        if last.batch:  # its mark may be what was left undone
            self._note_mark(client, Mark(gateway=self._gateway, run=last.batch, month=last.month, batch=last.batch))
        self._in_doubt = False

    def _note_mark(self, client: "Client", mark: Mark) -> None:
        marks.note_mark(client, mark)
        self._mark = mark

    def _keep(self, client: "Client", rows: Sequence[Row]) -> None:
        """Those that are not there yet."""
        by_key = {batches.key_of(row): row for row in map(batches.in_time, rows)}
        # Rows of a tenant that is being erased may be there under its name, and come again under the deletion's.
        names = {erasure.id: erasure.tenant for erasure in asked(self._erasures)}
        known = batches.known_keys(client, list(by_key.values()), names)
        fresh = [row for key, row in by_key.items() if key not in known]
        if len(fresh) < len(rows):
            USAGE_KNOWN_ROWS.inc(len(rows) - len(fresh))
            log.info("rows that the store has came again", rows=len(rows) - len(fresh))
        fresh = self._told_apart(client, fresh)
        for month in batches.months(fresh):
            self._insert(client, month)
        for is_estimated in (False, True):
            count = sum(row.estimated is is_estimated for row in fresh)
            USAGE_STORED_ROWS.labels(str(is_estimated).lower()).inc(count)

    def _told_apart(self, client: "Client", rows: list[Row]) -> list[Row]:
        """Without those that the store may have had and forgotten: summed up again, they would count twice."""
        anew_ms = self._progress.anew_ms
        if not any(row.ended_ms < anew_ms for row in rows):
            return rows
        now_s = batches.clock_ms(client) // 1000
        kept = [row for row in rows if row.ended_ms >= anew_ms or batches.kept_until_s(row) > now_s]
        if len(kept) < len(rows):
            USAGE_REFUSED_ROWS.inc(len(rows) - len(kept))
            text = "rows of a journal made anew are left out: the store would have forgotten them, had it had them"
            log.error(text, rows=len(rows) - len(kept))
        return kept

    def _insert(self, client: "Client", rows: Sequence[Row]) -> None:
        batch = batches.next_batch(client, self._last.batch)
        rows = [batches.staying(row, batch) for row in rows]
        try:
            batches.insert(client, rows, self._gateway, batch)
        except Exception as error:
            if not is_of_values(error):
                raise
            log.error("rows have numbers that no column takes: they are stored with the nearest ones")  # noqa: TRY400
            rows = [batches.fitting(row) for row in rows]
            batch = batches.next_batch(client, batch)
            batches.insert(client, rows, self._gateway, batch)
        times = [row.began_ms for row in rows]
        batches.roll_up(client, (min(times), max(times)), self._gateway, batch)
        year, month = batches.month_of(rows[0])
        self._last = batches.Last(batch, max(self._last.ended_ms, *(row.ended_ms for row in rows)))
        self._run = self._run or batch
        self._note_mark(client, Mark(gateway=self._gateway, run=self._run, month=100 * year + month, batch=batch))

    def _show(self, progress: Progress, waiting: int, *, at_once: bool = False) -> None:
        if not at_once and time.monotonic() < self._shown + SHOW_EVERY_S:
            return
        self._shown = time.monotonic()
        oldest_ms = self._journal.oldest_ms(progress.seq) if waiting else None
        USAGE_BACKLOG.set(waiting)
        USAGE_LAG.set(max(0.0, time.time() - oldest_ms / 1000) if oldest_ms else 0.0)

    def _on_error(self, error: Exception) -> None:
        USAGE_STORE_ERRORS.labels(type(error).__name__).inc()
        if isinstance(error, StoreError):
            self._store.stand("away" if self._store.standing.state != "unusable" else "unusable", str(error))
        else:
            log.error("usage can't be stored", reason=str(error) or type(error).__name__)
