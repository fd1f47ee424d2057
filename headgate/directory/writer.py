"""Who writes the directory's file: one process on a host, which holds the lock.

A killed writer leaves the file as it was, or with an incomplete frame at its end, which is cut off by the next one.
Whatever else is wrong with the file, a new one takes its place. A write that fails is taken back.
"""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

import structlog

from headgate.directory import frames
from headgate.directory.file import FILE, File
from headgate.directory.frames import FORMAT, Batch, Damaged, End, Head, Rows
from headgate.directory.rows import Change, Mark, Place

LOCK = "lock"
DRAFT = ".rows"
LEAST_LOG_BYTES = 2**20  # a log is merged when it is as large as its base, and not smaller than this
FORGET_S = 3600.0  # or so long after something in it was deleted: then it is nowhere in the file
_CHUNK = 5000

log = structlog.get_logger()


class Writer:
    """`mark` is what the file is known to say; None: it has to be written anew.

    Methods raise OSError: no room, a broken disk. What was not written is not in the file then.
    """

    def __init__(self, folder: Path) -> None:
        self.mark: Mark | None = None
        self._folder = folder
        self._path, self._draft = folder / FILE, folder / DRAFT
        self._lock = self._descriptor = -1
        self._at = self._check = self._base_end = 0
        self._deleted_at: float | None = None  # the first since the base was written, on the monotonic clock

    def open(self) -> bool:
        """Take the lock, unless it is held here, and look at what there is; False while another process writes."""
        if self._holds_lock():
            return True
        self.close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        self._draft.unlink(missing_ok=True)
        self._look()
        return True

    def close(self) -> None:
        """Let go of the file and the lock."""
        self._forget()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def append(self, mark: Mark, changes: Iterable[Change]) -> None:
        """The next batch: readers have it when this returns, and the disk too."""
        batch = Batch(mark, tuple(changes))
        data, check = frames.encoded(batch, self._check)
        try:
            _write(self._descriptor, data, self._at)
        except OSError:
            self._cut()
            raise
        self._at, self._check, self.mark = self._at + len(data), check, mark
        self._note_deleted(batch)
        try:
            os.fdatasync(self._descriptor)
        except OSError:
            self._forget()  # nobody can say what the disk has
            raise

    def replace(self, mark: Mark, rows: Iterable[Iterable[Change]]) -> None:
        """A new file with these rows, all there are."""
        descriptor, at, check = -1, 0, 0
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._draft, flags, 0o600)
            for frame in _base(mark, rows):
                data, check = frames.encoded(frame, check)
                _write(descriptor, data, at)
                at += len(data)
            os.fsync(descriptor)
            self._draft.replace(self._path)
        except BaseException:
            if descriptor >= 0:
                os.close(descriptor)
            with contextlib.suppress(OSError):
                self._draft.unlink(missing_ok=True)
            raise
        self._forget()
        self._descriptor, self._at, self._check, self._base_end, self.mark = descriptor, at, check, at, mark
        _sync(self._folder)

    def merge(self) -> bool:
        """Put the log into a new base, if it is time; those who are up to date have nothing to read then."""
        if self.mark is None or not self._has_to_be_merged():
            return False
        try:
            rows = self._merged()
        except Damaged as problem:
            self._refuse(problem)
            return False
        living = [change for change in rows.values() if change.row]
        self.replace(self.mark, (living[at : at + _CHUNK] for at in range(0, len(living), _CHUNK)))
        return True

    def is_whole(self) -> bool:
        """Whether the file is there, ours, and as long as it was written; if not, `mark` is None now."""
        if self.mark is None:
            return False
        try:
            found, own = self._path.stat(), os.fstat(self._descriptor)
        except FileNotFoundError:
            self._refuse("the file is gone")
            return False
        if found.st_ino != own.st_ino or own.st_size != self._at:
            self._refuse("somebody else has changed the file")
            return False
        return True

    def verify(self) -> bool:
        """Read all of it; if it is damaged, `mark` is None now. 17 MB, as 100,000 keys have, take some 20 ms."""
        if self.mark is None:
            return False
        mark, deleted_at = self.mark, self._deleted_at
        self._forget()
        self._look()
        self._deleted_at = deleted_at if self.mark else None
        return self.mark == mark

    def _has_to_be_merged(self) -> bool:
        if self._deleted_at is not None and time.monotonic() - self._deleted_at > FORGET_S:
            return True
        return self._at - self._base_end >= max(LEAST_LOG_BYTES, self._base_end)

    def _note_deleted(self, batch: Batch) -> None:
        if self._deleted_at is None and not all(change.row for change in batch.changes):
            self._deleted_at = time.monotonic()

    def _merged(self) -> dict[tuple[str, Place], Change]:
        rows: dict[tuple[str, Place], Change] = {}
        with contextlib.closing(File(self._path)) as file:
            file.head()
            for some in file.rows():
                rows.update({(change.kind, change.place): change for change in some})
            for batch in file.batches():
                rows.update({(change.kind, change.place): change for change in batch.changes})
            if file.at != self._at:
                raise Damaged("the log ends early")
        return rows

    def _look(self) -> None:
        try:
            file = File(self._path)
        except FileNotFoundError:
            return
        try:
            mark = file.head()
            file.pass_rows()
            base_end = file.at
            for batch in file.batches():
                mark = batch.mark
                self._note_deleted(batch)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            self._at, self._check, self._base_end, self.mark = file.at, file.check, base_end, mark
            if os.fstat(self._descriptor).st_size > self._at:
                self._cut()
        except Damaged as problem:
            self._refuse(problem)
        finally:
            file.close()

    def _cut(self) -> None:
        """Take back what was written in part. Where the disk refuses even that, a new file is needed."""
        try:
            os.ftruncate(self._descriptor, self._at)
        except OSError:
            self._forget()

    def _holds_lock(self) -> bool:
        if self._lock < 0:
            return False
        try:
            return (self._folder / LOCK).stat().st_ino == os.fstat(self._lock).st_ino
        except FileNotFoundError:  # somebody has removed the folder
            return False

    def _refuse(self, problem: object) -> None:
        log.error("directory: its file is written anew", reason=str(problem))
        self._forget()

    def _forget(self) -> None:
        self.mark = self._deleted_at = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _base(mark: Mark, rows: Iterable[Iterable[Change]]) -> Iterable[frames.Frame]:
    yield Head(FORMAT, secrets.token_bytes(8), mark)
    for some in rows:
        yield Rows(tuple(some))
    yield End()


def _write(descriptor: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, at)
        view, at = view[written:], at + written


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
