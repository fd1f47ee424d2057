"""Tells this host's workers what the database says: keeps the directory's file at the database's version.

It looks after each commit of this process, at each notice of another host's, and every half second: one statement, or
none while SQLite's files look as they did.
Whatever fails, the file stays as it was and the next look tries again; `state` says so.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from control.directory_rows import changes_of
from control.notices import Notices
from control.store.changes import changes_since, has_been, state_of, whole_directory
from control.store.failures import Gap, StoreError
from control.store.looks import Looks
from control.store.store import Store
from control.store.unit import Reader
from control.tidying import Tidying
from headgate.directory.rows import Mark
from headgate.directory.writer import Writer

LOOK_EVERY_S = 0.5
ASK_EVERY_S = 5.0  # whatever its files look like: whether it can be read at all
VERIFY_EVERY_S = 60.0
COMMIT_WAITS_S = 1.0  # for this host's own workers
NO_DISK_PAUSE_S = 5.0
END_S = 20.0  # a database that hangs is given up after 15

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class State:
    """`version` is what this host's workers can know, `as_of` when the database was last known to be at it.

    `problem` says why they may be behind, and `since` from when on; None while all is well. Times are epoch seconds.
    """

    version: int | None = None
    as_of: float | None = None
    problem: str | None = None
    since: float | None = None


class Publisher:
    """Works in threads of its own, from `start` to `close`."""

    def __init__(self, store: Store, folder: Path, counters_url: str | None = None) -> None:
        self.state = State()
        self.followers: list[Callable[[], None]] = []  # told of a change of any host; must not wait
        self._store = store
        self._writer = Writer(folder)
        self._notices = Notices(counters_url, self._hear) if counters_url else None
        self._tidying = Tidying(store)
        self._seen: Mark | None = None  # how the database was when the file was last brought to it
        self._looks: Looks | None = None  # likewise of its files
        self._asks_at = 0.0
        self._verified_at = time.monotonic()
        self._news = threading.Event()
        self._told = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="directory", daemon=True)

    def start(self) -> None:
        """From now on."""
        self._store.listeners.append(self._committed)
        if self._notices:
            self._notices.start()
        self._thread.start()
        self._tidying.start()

    def close(self) -> None:
        """Let go of everything; the file stays for the workers."""
        self._store.listeners.remove(self._committed)
        self._ended = True
        self._news.set()
        if self._notices:
            self._notices.close()
        self._tidying.close()
        self._thread.join(END_S)

    def _committed(self, version: int) -> None:
        """Who is answered that something has changed can rely on it, on this host."""
        if self._notices:
            self._notices.tell(version)
        self._news.set()
        with self._told:
            self._told.wait_for(lambda: self._ended or self._is_told(version), COMMIT_WAITS_S)

    def _is_told(self, version: int) -> bool:
        return self.state.problem is not None or (self.state.version or 0) >= version

    def _hear(self, version: int) -> None:
        if version > (self.state.version or 0):
            self._news.set()

    def _run(self) -> None:
        while not self._ended:
            self._news.clear()
            pause_s = LOOK_EVERY_S
            try:
                problem = self._look()
            except StoreError as error:
                problem = f"database: {error}"
            except OSError as error:
                problem, pause_s = f"disk: {error.strerror}", NO_DISK_PAUSE_S
            except Exception as error:  # the thread's boundary: the next look may do better
                log.exception("directory: failed to publish")
                problem = f"failed: {type(error).__name__}"
            self._say(problem)
            if pause_s > LOOK_EVERY_S:
                self._pause(pause_s)
            else:
                self._news.wait(pause_s)
        self._writer.close()

    def _pause(self, seconds: float) -> None:
        """Whatever news there is: the disk is not asked for more than it can."""
        until = time.monotonic() + seconds
        while not self._ended and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_EVERY_S))

    def _look(self) -> str | None:
        if not self._writer.open():
            return "another process writes the directory"
        if self._writer.is_whole() and time.monotonic() - self._verified_at > VERIFY_EVERY_S:
            self._verified_at = time.monotonic()
            self._writer.verify()
        looks = self._store.looks()
        if looks is not None and looks == self._looks and self._is_told_of(self._seen):
            self._writer.merge()
            return None
        self._looks = None
        with self._store.read() as reader:
            version, head = state_of(reader)
            now = Mark(version, head.seq, head.hash)
            if now != self._seen or self._writer.mark is None or self._writer.mark.version != version:
                self._bring(reader, now)
                for tell in self.followers:
                    tell()
        self._seen, self._looks, self._asks_at = now, looks, time.monotonic() + ASK_EVERY_S
        self._writer.merge()
        return None

    def _is_told_of(self, seen: Mark | None) -> bool:
        """Whether the file is still at what was seen last, which was not long ago."""
        mark = self._writer.mark
        return bool(mark and seen and mark.version == seen.version) and time.monotonic() < self._asks_at

    def _bring(self, reader: Reader, now: Mark) -> None:
        """The file to the state `now`, which the reader sees."""
        known = self._writer.mark
        if known is not None and has_been(reader, known.version, known.seq, known.hash):
            if now.version == known.version:
                return
            with contextlib.suppress(Gap):
                self._writer.append(now, changes_of(changes_since(reader, known.version)[1]))
                return
        log.info("directory is written as a whole", version=now.version)
        self._writer.replace(now, (changes_of(rows) for rows in whole_directory(reader)))

    def _say(self, problem: str | None) -> None:
        now, before = time.time(), self.state
        if problem is None:
            state = State(self._writer.mark.version if self._writer.mark else None, now)
        else:
            state = replace(before, problem=problem, since=before.since or now)
        if problem != before.problem:
            if problem:
                log.error("directory: workers are told nothing new", problem=problem)
            else:
                log.info("directory: workers are told again", version=state.version)
        with self._told:
            self.state = state
            self._told.notify_all()
