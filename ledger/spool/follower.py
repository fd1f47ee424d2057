"""The follower: reads what Envoy appends, settles it, remembers how far it is. Reader, queue, settlement.

Reading stops while too much waits to be settled, so memory is bounded whatever the backlog; what was settled is
remembered only after it was, so a crash settles some lines twice, which changes nothing. What is counted, the
database knows: a file of which it has counted less is read again from there.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from headgate import metrics
from headgate.contract import DIRECTORY, SPOOL
from headgate.counters.client import Failed
from headgate.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Watch
from headgate.ticks import until_next
from ledger.settling.books import Books
from ledger.settling.estimates import Estimates
from ledger.settling.settlement import Settlement
from ledger.settling.usage import FileId
from ledger.spool import epochs, recorder, rotation
from ledger.spool.attempt_files import AttemptFiles
from ledger.spool.epochs import LivingEnvoy
from ledger.spool.folder import Folder, complete
from ledger.spool.reading import LineReader
from ledger.spool.recovery import Recovery
from ledger.spool.rotation import Rotation
from ledger.spool.settled_until import SettledUntil
from ledger.spool.spool_file import SpoolFile
from ledger.spool.work_queue import Work, WorkQueue, id_of
from ledger.tables import Tables

TICK_S = 1.0
GATHER_S = 0.01  # Envoy writes what it flushes in pieces
# While lines keep coming: a turn has a cost of its own, whatever it finds. The first lines after a pause don't wait.
TURN_EVERY_S = 0.04
WAITS_FOR_BOOKS_S = 2.0
SECOND_CLOSE_S = 5.0  # a reservation may have been under way when its Envoy died

OnTenants = Callable[[frozenset[str]], None]
OnEpoch = Callable[[str], Awaitable[None]]

log = structlog.get_logger()


async def _holds_nothing(_epoch: str) -> None:
    """Where there are no engines' slots."""


class BooksBack(Exception):  # noqa: N818 - what happened, not what went wrong
    """The database can be used at last: who started without it starts again, with it."""


class Follower:
    """Follows `spool/` until `stop` is set. Files go that were kept for long enough, and whose rows `are_stored`.

    Drives the one that follows the failed attempts beside the spool, too.
    """

    def __init__(
        self,
        settlement: Settlement,
        estimates: Estimates,
        books: Books,
        tables: Tables,
        attempts: AttemptFiles,
        reading: LineReader,
        limits_changed: OnTenants = lambda _: None,
        are_stored: Callable[[FileId, float], bool] = lambda _, __: True,
        free_epoch: OnEpoch = _holds_nothing,
    ) -> None:
        self._estimates = estimates
        self._books = books
        self._tables = tables
        self._attempts = attempts
        self._reading = reading
        self._limits_changed = limits_changed
        self._are_stored = are_stored
        self._free_epoch = free_epoch
        self._folder = Folder()
        self._settled_until = SettledUntil()
        self._queue = WorkQueue(settlement, self._go_on)
        self._woken = asyncio.Event()
        self._rescan = True
        self._held_up = False  # something can go on once more is settled
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._recovery = Recovery(self._look_soon)
        self._rotation = Rotation()
        self._turned_at = 0.0
        self._next_look = 0.0  # on the monotonic clock
        self._watch: Watch | None = None  # until the directory is watched, too

    def state(self) -> dict[str, int]:
        """How far it is, for people."""
        lines = self._reading.lines
        known = {"behind_bytes": self._folder.behind_bytes(), "settled_until_ms": self._settled_until.ms}
        known["unread_files"] = self._folder.unread
        return {**known, "lines": sum(lines.values()), **lines}

    def files(self) -> list[FileId]:
        """What tells its files apart, of those that have a whole line."""
        return [found for file in self._folder.files() if (found := id_of(file))]

    def set_aside(self) -> set[int]:
        """Have all files that are in use set aside soon; the inodes of all that may still be written to or read."""
        self._folder.rescan()
        self._rotation.want(self._folder.unfinished())
        self._rescan = True
        self._woken.set()
        return {file.inode for file in self._folder.unfinished()}

    def unfinished(self) -> set[int]:
        """The inodes of files that are not done with."""
        return {file.inode for file in self._folder.unfinished()}

    def finished(self) -> list[SpoolFile]:
        """The files that are done with, and only kept."""
        return [file for file in self._folder.files() if file.done_at is not None]

    def replace(self, file: SpoolFile, draft: Path) -> None:
        """Put a draft in the place of a finished file, unless it was removed meanwhile. Raises OSError."""
        if file not in self.finished():
            draft.unlink()
            return
        self._folder.replace(file, draft)
        self._folder.save()

    def epochs(self) -> set[str]:
        """The Envoys that have files here."""
        return {epoch for epoch, _ in self._folder.epochs()}

    async def run(self, stop: asyncio.Event) -> None:
        """Follow; after `stop`, read what is there and settle it. Raises BooksBack, or what settling failed of."""
        watch = Watch(self._on_change)
        watch.add(SPOOL, IN_MODIFY | IN_CREATE | IN_MOVED_TO)
        watch.add(Path(), IN_MOVED_TO)  # parts.json and snapshot.json are replaced
        self._watch = watch
        self._look_at_tables()
        beside = [asyncio.create_task(self._free_slots())]
        settler = asyncio.create_task(
            self._queue.run() if await self._knows_what_is_counted() else self._until_books()
        )
        try:
            while not stop.is_set() and not settler.done():
                await self._turn()
                await self._wait(stop)
            await self._turn()
            beside.append(asyncio.create_task(self._queue.until_empty()))
            await asyncio.wait({beside[-1], settler}, return_when=asyncio.FIRST_COMPLETED)
            if settler.done():
                settler.result()
        finally:
            watch.close()
            self._recovery.stop()
            for task in (settler, *beside, *self._closing.values()):
                task.cancel()
            with contextlib.suppress(OSError):
                self._folder.save()
            self._folder.close()
            self._attempts.close()

    def stop(self, stop: asyncio.Event) -> None:
        """Set `stop`, and have it seen now."""
        stop.set()
        self._woken.set()

    def _on_change(self, other_files: bool) -> None:
        self._rescan |= other_files
        self._woken.set()

    def _look_soon(self) -> None:
        self._on_change(other_files=True)

    async def _wait(self, stop: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(until_next(TICK_S)):
                await self._woken.wait()
        self._woken.clear()
        if not stop.is_set():
            await asyncio.sleep(max(GATHER_S, self._turned_at + TURN_EVERY_S - time.monotonic()))

    async def _turn(self) -> None:
        self._turned_at = time.monotonic()
        self._look_at_tables()  # before all: until new limits have sums, they are unknown
        looks = self._rescan or self._held_up or time.monotonic() >= self._next_look
        if looks:
            self._rescan = self._held_up = False
            self._watch_directory()
            self._recovery.look()
            self._folder.rescan()
            self._attempts.rescan()
        if not self._attempts.read():
            self._woken.set()
        self._read_all()
        if looks:
            self._next_look = time.monotonic() + until_next(TICK_S) - TICK_S / 8  # no later than that tick
            await self._look_around()

    def _watch_directory(self) -> None:
        """As soon as it is there: without a database it never is."""
        if self._watch and DIRECTORY.is_dir():
            self._watch.add(DIRECTORY, IN_MODIFY | IN_CREATE | IN_MOVED_TO)
            self._watch = None

    def _read_all(self) -> None:
        for file in self._folder.unfinished():
            if not self._read_file(file):
                return

    def _read_file(self, file: SpoolFile) -> bool:
        """Queue all whole lines of a file; False when the queue was full before, or the next lines have to wait."""
        while not self._queue.is_full:
            batch = file.next()
            left_out = self._reading.leave_out(file)
            if batch is None:
                if left_out:
                    self._queue.put(Work(file, file.read, [], []))
                return True
            ends, lines, file.read = self._reading.read(file, batch)
            if left_out or file.read > batch.start:
                self._queue.put(Work(file, file.read, ends, lines))
            if file.read < batch.end:  # by a line that has to be read again
                return False
        self._held_up = True
        return False

    def _go_on(self) -> None:
        """Something was settled."""
        if self._held_up:
            self._woken.set()

    async def _free_slots(self) -> None:
        """While nothing can be counted: what has ended is not to be in others' way."""
        while True:
            await asyncio.sleep(until_next(TICK_S))
            if self._books.waits:
                await self._queue.free_slots()

    async def _knows_what_is_counted(self) -> bool:
        """Learn how far files are counted; False when the database does not say in time."""
        try:
            async with asyncio.timeout(WAITS_FOR_BOOKS_S):
                self._folder.counted = await self._books.counted()
        except TimeoutError:
            return False
        return True

    async def _until_books(self) -> None:
        """Nothing is settled in this life: what the checkpoint calls settled may not be counted."""
        await self._books.counted()
        raise BooksBack

    async def _look_around(self) -> None:
        """Once a second, and when files came or went: who lives, what is full, what may go, how far we are."""
        self._queue.catch_up()
        living = epochs.living()
        for epoch, files in self._folder.epochs():
            await self._look_at(epoch, files, living)
        for epoch in recorder.epochs() - self.epochs() - (living or {}).keys() if living is not None else ():
            self._recovery.is_done(epoch)  # its spool was taken away
        for file in self._folder.files():
            if rotation.may_go(file, self._tables.spool.keep_s) and self._is_done_with(file):
                self._remove(file)
        await self._attempts.look_around(living, self._tables.spool.rotate_bytes)
        metrics.LEDGER_BEHIND.set(self._folder.behind_bytes())
        if self._folder.unread:
            self._settled_until.hold()
        elif not self._closing and not self._recovery.is_busy:  # what those charge is to come
            self._settled_until.look(self._folder.unfinished())
        try:
            self._folder.save()
        except OSError as error:
            log.warning("checkpoint can't be written", error=str(error))

    async def _look_at(self, epoch: str, files: list[SpoolFile], living: dict[str, LivingEnvoy] | None) -> None:
        alive = living is None or epoch in living or (epoch not in self._folder.closed and _is_open(files))
        if living and epoch in living:
            await self._rotation.keep_small(living[epoch], files, self._tables.spool.rotate_bytes)
        current = files[-1]
        if not alive and not all(self._read_to_end(file) for file in files if file.descriptor >= 0):
            return
        for file in complete(files, alive=alive) if not alive or not current.rotated else ():
            if file.settled == file.read == file.size():
                self._folder.finish(file)
            else:
                self._held_up = True
        if alive or not self._recovery.is_done(epoch) or epoch in self._folder.closed:
            return
        if all(file.descriptor < 0 for file in files):
            self._close(epoch)

    def _read_to_end(self, file: SpoolFile) -> bool:
        """Read a dead Envoy's file to its last byte; False: not yet. Half a line says nothing to rely on."""
        if not self._read_file(file):
            return False
        if tail := file.tail():
            self._reading.cut_off(file, tail)
            file.read += len(tail)
            self._queue.put(Work(file, file.read, [], []))
        return True

    def _is_done_with(self, file: SpoolFile) -> bool:
        is_stored = file.head is None or self._are_stored(FileId(file.epoch, file.head), file.done_at or time.time())
        return is_stored and file.epoch not in self._closing and not self._recovery.is_waiting(file.epoch)

    def _remove(self, file: SpoolFile) -> None:
        try:
            self._folder.remove(file)
        except OSError as error:
            log.warning("spool file could not be removed", name=file.path.name, error=str(error))
        else:
            log.info("spool file removed", name=file.path.name)

    def _close(self, epoch: str) -> None:
        """Close what its requests still hold, in the background: the counters may be away."""
        if epoch not in self._closing:
            self._closing[epoch] = asyncio.create_task(self._close_epoch(epoch))

    async def _close_epoch(self, epoch: str) -> None:
        try:
            await self._free_epoch(epoch)
            closed = await self._estimates.close_epoch(epoch)
            log.info("envoy has ended, its reservations are closed", epoch=epoch, closed=closed)
            await asyncio.sleep(SECOND_CLOSE_S)
            await self._estimates.close_epoch(epoch)
        except Failed as failed:
            log.warning("reservations of an envoy are left to their lease", epoch=epoch, reason=failed.reason)
        self._folder.closed.add(epoch)
        self._closing.pop(epoch, None)

    def _look_at_tables(self) -> None:
        if changed := self._tables.look():
            self._limits_changed(changed)


def _is_open(files: list[SpoolFile]) -> bool:
    return epochs.is_open_somewhere(file.path for file in files if file.descriptor >= 0)
