"""The follower: reads what Envoy appends, settles it, remembers how far it is. Reader, queue, settlement.

Reading stops while too much waits to be settled, so memory is bounded whatever the backlog; what was settled is
remembered only after it was, so a crash settles some lines twice, which changes nothing.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from headgate import metrics
from headgate.contract import SNAPSHOT, SPOOL
from headgate.snapshot import SpoolRow
from ledger import epochs, rotation
from ledger.attempt_files import AttemptFiles
from ledger.epochs import LivingEnvoy
from ledger.folder import Folder, complete
from ledger.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Watch
from ledger.lines import Line, parsed
from ledger.rotation import Rotation
from ledger.settlement import Ended, Settlement, ended
from ledger.spool_file import Batch, SpoolFile

TICK_S = 1.0
GATHER_S = 0.01  # Envoy writes what it flushes in pieces
QUEUED_REQUESTS = 50_000  # about 10 MB
SECOND_CLOSE_S = 5.0  # a reservation may have been under way when its Envoy died

OnLine = Callable[[Line], None]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Work:
    """What one batch leaves to settle, and where its file stands afterwards."""

    file: SpoolFile
    end: int
    ended: Ended

    @property
    def requests(self) -> int:
        """How many."""
        return sum(map(len, self.ended.values()))


class _Settings(msgspec.Struct, frozen=True):
    """The part of the snapshot that is the follower's business."""

    spool: SpoolRow = SpoolRow()


class Follower:
    """Follows `spool/` until `stop` is set. `observers` see every line once, but for a crash.

    Drives the one that follows the failed attempts beside the spool, too.
    """

    def __init__(self, settlement: Settlement, attempts: AttemptFiles, observers: tuple[OnLine, ...] = ()) -> None:
        self._settlement = settlement
        self._attempts = attempts
        self._observers = observers
        self._folder = Folder()
        self._queue: asyncio.Queue[Work] = asyncio.Queue()
        self._queued = 0  # requests in it
        self._woken = asyncio.Event()
        self._rescan = True
        self._held_up = False  # something can go on once more is settled
        self._lines: Counter[str] = Counter()
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._rotation = Rotation()
        self._settings = _Settings()
        self._settings_time: int | None = None
        self._last_look = 0.0

    def state(self) -> dict[str, int]:
        """How far it is, for people."""
        return {"behind_bytes": self._folder.behind_bytes(), "lines": sum(self._lines.values()), **self._lines}

    async def run(self, stop: asyncio.Event) -> None:
        """Follow; after `stop`, read what is there and settle it."""
        watch = Watch(self._on_change)
        watch.add(SPOOL, IN_MODIFY | IN_CREATE | IN_MOVED_TO)
        watch.add(Path(), IN_MOVED_TO)  # parts.json and snapshot.json are replaced
        settler = asyncio.create_task(self._settle())
        try:
            while not stop.is_set():
                await self._turn()
                await self._wait(stop)
            await self._turn()
            await self._queue.join()
        finally:
            watch.close()
            for task in (settler, *self._closing.values()):
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

    async def _wait(self, stop: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK_S):
                await self._woken.wait()
        self._woken.clear()
        if not stop.is_set():
            await asyncio.sleep(GATHER_S)

    async def _turn(self) -> None:
        looks = self._rescan or self._held_up or time.monotonic() - self._last_look >= TICK_S
        if looks:
            self._rescan = self._held_up = False
            self._folder.rescan()
            self._attempts.rescan()
        if not self._attempts.read():
            self._woken.set()
        self._read_all()
        if looks:
            self._last_look = time.monotonic()
            await self._look_around()

    def _read_all(self) -> None:
        for file in self._folder.unfinished():
            if not self._read_file(file):
                return

    def _read_file(self, file: SpoolFile) -> bool:
        """Queue all whole lines of a file; False when the queue was full before."""
        while self._queued < QUEUED_REQUESTS:
            batch = file.next()
            if batch is None:
                return True
            self._put(Work(file, batch.end, ended(file.epoch, self._read(file, batch))))
        self._held_up = True
        return False

    def _put(self, work: Work) -> None:
        self._queued += work.requests
        self._queue.put_nowait(work)

    def _read(self, file: SpoolFile, batch: Batch) -> list[Line]:
        """The batch's lines, after the observers have seen those that are new to them."""
        lines: list[Line] = []
        types: Counter[str] = Counter()
        at = batch.start
        for text in batch.lines:
            at += len(text) + 1
            line = parsed(text)
            if line is None:
                types["garbage"] += 1
                continue
            lines.append(line)
            if at > file.seen:
                types[line.type if line.type in ("start", "progress", "end") else "garbage"] += 1
                self._show(line)
        if types["garbage"]:
            log.error("spool lines that are none", name=file.path.name, lines=types["garbage"], before_byte=batch.end)
        self._count(types)
        return lines

    def _count(self, types: "Counter[str]") -> None:
        self._lines += types
        for kind, number in types.items():
            metrics.LEDGER_LINES.labels(kind).inc(number)

    def _show(self, line: Line) -> None:
        for observer in self._observers:
            try:
                observer(line)
            except Exception:  # an observer's bug must not keep reservations open
                log.exception("observer failed", request_id=line.request_id)

    async def _settle(self) -> None:
        while True:
            works = [await self._queue.get()]
            while not self._queue.empty():
                works.append(self._queue.get_nowait())
            requests: Ended = {}
            for work in works:
                for tenant, some in work.ended.items():
                    requests.setdefault(tenant, []).extend(some)
            await self._settlement.settle(requests)
            for work in works:
                work.file.settled = work.end
                self._queued -= work.requests
                self._queue.task_done()
            if self._held_up:
                self._woken.set()

    async def _look_around(self) -> None:
        """Once a second, and when files came or went: who lives, what is full, what may go, how far we are."""
        self._read_settings()
        living = epochs.living()
        for epoch, files in self._folder.epochs():
            await self._look_at(epoch, files, living)
        for file in self._folder.files():
            if rotation.may_go(file, self._settings.spool.keep_s):
                self._remove(file)
        await self._attempts.look_around(living, self._settings.spool.rotate_bytes)
        metrics.LEDGER_BEHIND.set(self._folder.behind_bytes())
        try:
            self._folder.save()
        except OSError as error:
            log.warning("checkpoint can't be written", error=str(error))

    async def _look_at(self, epoch: str, files: list[SpoolFile], living: dict[str, LivingEnvoy] | None) -> None:
        alive = living is None or epoch in living or (epoch not in self._folder.closed and _is_open(files))
        if living and epoch in living:
            await self._rotation.keep_small(living[epoch], files, self._settings.spool.rotate_bytes)
        current = files[-1]
        if not alive and not all(self._read_to_end(file) for file in files if file.descriptor >= 0):
            return
        for file in complete(files, alive=alive) if not alive or not current.rotated else ():
            if file.settled == file.read == file.size():
                self._folder.finish(file)
            else:
                self._held_up = True
        if not alive and epoch not in self._folder.closed and all(file.descriptor < 0 for file in files):
            self._close(epoch)

    def _read_to_end(self, file: SpoolFile) -> bool:
        """Read a dead Envoy's file to its last byte; False: not yet. Half a line says nothing to rely on."""
        if not self._read_file(file):
            return False
        if tail := file.tail():
            log.warning("last line of an envoy that ended is cut off", name=file.path.name, size_bytes=len(tail))
            self._count(Counter(garbage=1))
            file.read += len(tail)
            self._put(Work(file, file.read, {}))
        return True

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
        closed = await self._settlement.close_epoch(epoch)
        log.info("envoy has ended, its reservations are closed", epoch=epoch, closed=closed)
        await asyncio.sleep(SECOND_CLOSE_S)
        await self._settlement.close_epoch(epoch)
        self._folder.closed.add(epoch)
        self._closing.pop(epoch, None)

    def _read_settings(self) -> None:
        try:
            changed = SNAPSHOT.stat().st_mtime_ns
            if changed != self._settings_time:
                self._settings = msgspec.json.decode(SNAPSHOT.read_bytes(), type=_Settings)
                self._settings_time = changed
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            log.warning("snapshot can't be read", error=str(error))


def _is_open(files: list[SpoolFile]) -> bool:
    return epochs.is_open_somewhere(file.path for file in files if file.descriptor >= 0)
