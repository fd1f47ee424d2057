"""Noticing that files say something else: edits in place, files moved over others, links that turn elsewhere.

A poll of `stat`, followed through links, so that it works on every file system. A file counts as edited once it has
been still for `QUIET_S` and nobody has it open for writing: what an editor or a copy has written by half is not read.
"""

import errno
import fcntl
import hashlib
import os
import signal
import stat
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from headgate.contract import SECRETS

POLL_S = 0.25
QUIET_S = 0.3
# Somebody who keeps a file open for writing and writes nothing more does not hold it back for ever.
WRITER_S = 10.0
# Two edits within one tick of a file system's clock can look alike: FAT counts in 2 s.
COARSEST_CLOCK_S = 3.0

_READ_AT_MOST = 64 * 2**20


@dataclass(slots=True)
class _Seen:
    """What is known of one file: its `stat`, since when it looks so, and what it said when it was read."""

    signature: tuple[int, ...] | None = None
    since: float = float("-inf")
    read: bool = False
    digest: bytes | None = None


class Watch:
    """A configuration file, which was last read as `content`, and the files that its secrets come from."""

    def __init__(self, config: Path, content: bytes) -> None:
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # sent to the holder of a lease when a writer comes
        self._config = _Seen(digest=_digest(content))
        self._sources: dict[Path, _Seen] = {}
        self._path = config

    def sources(self, paths: Iterable[Path]) -> None:
        """Watch these from now on, and no others; what is new among them counts as edited once."""
        self._sources = {path: self._sources.get(path) or _Seen() for path in paths}

    def poll(self) -> tuple[bytes | None, bool]:
        """The configuration's new content if it was edited (b"" if it has gone), and whether a source was.

        Blocks for as long as reading takes.
        """
        now = time.monotonic()
        content = self._edited(self._path, self._config, now)
        edited = [self._edited(path, seen, now) is not None for path, seen in self._sources.items()]
        return content, any(edited)

    def until_edited(self, woken: threading.Event, within_s: float) -> tuple[bytes | None, bool]:
        """Polls until there is something, for `within_s`, or until it is `woken`. Blocks: a thread of its own waits
        for less than an event loop that is woken for each look.
        """
        over = time.monotonic() + within_s
        while not woken.wait(POLL_S):
            found = self.poll()
            if found != (None, False) or time.monotonic() >= over:
                return found
        return None, False

    def read_now(self) -> bytes:
        """The configuration as it stands, edited or not."""
        content = read_settled(self._path, force=True) or b""
        self._config.digest = _digest(content)
        return content

    @staticmethod
    def _edited(path: Path, seen: _Seen, now: float) -> bytes | None:
        signature, modified = _signature(path)
        if signature != seen.signature:
            seen.signature, seen.since, seen.read = signature, now, False
        still_s = now - seen.since
        quiet_s = 0.0 if path.parent == SECRETS else QUIET_S  # what is there was moved there whole
        if still_s < quiet_s or (seen.read and time.time() - modified > COARSEST_CLOCK_S):
            return None
        try:
            content = read_settled(path, force=still_s > WRITER_S) or b""
        except BlockingIOError:
            return None
        before, seen.digest, seen.read = seen.digest, _digest(content), True
        return content if seen.digest != before else None


def read_settled(path: Path, *, force: bool) -> bytes | None:
    """The content, None when it cannot be read. Raises BlockingIOError while somebody has it open for writing.

    A read lease is given only when there is no writer, and keeps one out until the content has been read. Files of
    other users and some file systems have no leases: there, having been still has to do; `force` asks for no more.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would keep us waiting
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            if error.errno == errno.EAGAIN and not force:
                raise BlockingIOError from error
        try:
            return file.read(_READ_AT_MOST)
        except OSError:
            return None


def _signature(path: Path) -> tuple[tuple[int, ...] | None, float]:
    try:
        found = path.stat()
    except OSError:
        return None, 0.0
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns), found.st_mtime


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
