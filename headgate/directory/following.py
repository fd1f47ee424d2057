"""One process's directory, as the file says: loaded at the start, and kept up to date by what comes to its log.

Control alone writes the file. Whatever happens to it, the last good directory stays; a process that starts takes the
base and the log up to where they are good, or, without a good base, has an empty directory. No folder, no directory.

A base of another state is read as a whole. While the process follows in its event loop that is done in slices,
between which requests go on, by what was known; one that was let in by the newer state makes it be done at once.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec
import structlog

from headgate.directory.directory import Directory
from headgate.directory.file import FILE, File
from headgate.directory.frames import Damaged
from headgate.directory.rows import Mark
from headgate.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Watch
from headgate.ticks import until_next

LOOK_EVERY_S = 1.0  # also where the kernel tells: it may have lost something
LOOK_UNTOLD_S = 0.25
ROWS_AT_ONCE = 200  # of a base, between which requests go on: 2 ms

_ENDED = object()

Looks = tuple[int, int, int, int]  # device, inode, size, time of the last write

log = structlog.get_logger()


class Following:
    """`directory` is what is known now: ask for it anew for each request. `folder` None: nothing is followed."""

    def __init__(self, folder: Path | None = None, told: Callable[[int], object] | None = None) -> None:
        self.directory = Directory()
        self._told = told  # of each version that is known
        self._told_of = -1
        self.problem: str | None = None  # why it may be behind
        self._folder = folder
        self._path = folder / FILE if folder else None
        self._file: File | None = None
        self._mark: Mark | None = None
        self._seen: Looks | None = None  # of the open file, how it looked when it was read
        self._refused: Looks | None = None  # likewise of one that can't be taken
        self._opening: Generator[None] | None = None  # of a base that is being read
        self._wanted: asyncio.Event | None = None  # there is one to read: while it is followed in slices
        self.catch_up()

    def catch_up(self, version: int | None = None) -> bool:
        """Takes what is new in the file, now; whether there was anything. `version`: nothing to do if that is known.

        Costs one system call where nothing is new. Without `version`, another base comes later where the process
        follows the file. Never raises.
        """
        if self._path is None or (version is not None and version <= self.directory.version):
            return False
        before = self._mark
        self._try(self._path, whole=version is not None or self._wanted is None)
        return self._mark != before

    def has_all(self) -> bool:
        """Takes what is new in the file; whether `directory` is all of it, and no base is still being read."""
        self.catch_up()
        return self._opening is None and self.problem is None

    async def follow(self) -> None:
        """Keeps it up to date until it is cancelled."""
        if self._folder is None:
            return
        watch = Watch(lambda _: self._catch_up_safely())
        wanted = self._wanted = asyncio.Event()
        watched = 0
        try:
            while True:
                with contextlib.suppress(OSError):
                    folder = self._folder.stat().st_ino
                    if folder != watched:
                        watch.add(self._folder, IN_MODIFY | IN_MOVED_TO | IN_CREATE)
                        watched = folder
                self._catch_up_safely()
                while self._opening:
                    await asyncio.sleep(0)
                    self._catch_up_safely(goes_on=True)
                wanted.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(until_next(LOOK_EVERY_S if watch.is_told else LOOK_UNTOLD_S)):
                        await wanted.wait()
        finally:
            self._wanted = None
            watch.close()

    def _catch_up_safely(self, *, goes_on: bool = False) -> None:
        try:
            if self._path and goes_on:
                self._try(self._path, goes_on=True)
            else:
                self.catch_up()
        except Exception:  # a bug of ours must not end the following for good
            self._opening = None
            log.exception("directory: failed to follow")

    def _try(self, path: Path, *, whole: bool = False, goes_on: bool = False) -> None:
        """`whole`: to the end of what there is; `goes_on`: a slice more of a base, if one is being read."""
        try:
            if self._opening and (whole or goes_on):
                self._go_on(whole=whole)
            if self._opening is None:
                self._read(path)
                if self._opening and whole:
                    self._go_on(whole=True)
        except (Damaged, OSError) as error:
            self._say(str(error) if isinstance(error, Damaged) else f"{error.strerror}: {self._path}")
        if self._told and self._told_of != self.directory.version:
            self._told_of = self.directory.version
            self._told(self._told_of)

    def _go_on(self, *, whole: bool) -> None:
        """Reads a slice more of the base, or all; clears `_opening` at its end, also where it can't be taken."""
        opening = self._opening
        ended = opening is None
        try:
            while opening and not ended:
                ended = next(opening, _ENDED) is _ENDED
                if not whole:
                    break
        except BaseException:
            ended = True
            raise
        finally:
            if ended:
                self._opening = None

    def _read(self, path: Path) -> None:
        try:
            looks = _looks(path.stat())
        except FileNotFoundError:
            looks = None
        if looks == self._seen:
            return
        if self._file and looks and self._seen and looks[:2] == self._seen[:2]:
            self._seen = looks
            self._take_batches(self._file)
            self._say(None)
            return
        if self._file:
            with contextlib.suppress(Damaged):  # what came to it before another one took its name
                self._take_batches(self._file)
        if looks and looks != self._refused:
            self._opening = self._open(path, looks)
            self._go_on(whole=False)  # which is all, where the base is of the state that is known
            if self._opening and self._wanted:
                self._wanted.set()
        elif self._file and not looks:
            raise Damaged("the file is gone")

    def _open(self, path: Path, looks: Looks) -> Generator[None]:
        """Takes another file, in slices of what is new to us."""
        file = File(path)
        try:
            mark = file.head()
            if mark == self._mark:
                file.pass_rows()
                directory = self.directory
            else:
                directory = yield from _made(mark, file)
                directory.settle(self.directory)
        except (Damaged, OSError):
            self._refused = looks
            file.close()
            raise
        except GeneratorExit:
            file.close()
            raise
        if self._file:
            self._file.close()
        self._file, self._mark, self.directory = file, mark, directory
        self._seen = _looks(file.stat())
        self._take_batches(file)
        self._say(None)

    def _take_batches(self, file: File) -> None:
        for batch in file.batches():
            try:
                self.directory.take(batch.mark.version, batch.changes)
            except msgspec.DecodeError as error:
                raise Damaged(f"a row is not understood: {error}") from None
            self._mark = batch.mark

    def _say(self, problem: str | None) -> None:
        """One line per change."""
        if problem == self.problem:
            return
        self.problem = problem
        if problem:
            log.error(
                "directory can't be followed: what is known stays", reason=problem, version=self.directory.version
            )
        else:
            log.info("directory is followed again", version=self.directory.version)


def _made(mark: Mark, file: File) -> Generator[None, None, Directory]:
    directory = Directory(mark.version)
    try:
        for some in file.rows():
            for at in range(0, len(some), ROWS_AT_ONCE):
                yield
                directory.take(mark.version, some[at : at + ROWS_AT_ONCE])
    except msgspec.DecodeError as error:
        raise Damaged(f"a row is not understood: {error}") from None
    return directory


def _looks(stat: os.stat_result) -> Looks:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
