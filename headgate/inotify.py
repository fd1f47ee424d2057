"""Linux tells when a folder's files change: inotify(7), without a thread and without a timer.

Only a wake-up call, never a source of truth: events may be merged or lost, and some file systems send none.
"""

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path

import structlog

# linux/inotify.h
IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100

_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_libc = ctypes.CDLL(None, use_errno=True)

log = structlog.get_logger()


class Watch:
    """Calls `changed` in the event loop when something has happened; True when there may be other files."""

    def __init__(self, changed: Callable[[bool], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._descriptor: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            self._warn()
        else:
            self._loop.add_reader(self._descriptor, self._on_events)

    @property
    def is_told(self) -> bool:
        """Whether anything is ever told here; if not, whoever wants to know has to look."""
        return self._descriptor >= 0

    def add(self, folder: Path, mask: int) -> None:
        """Watch one more folder."""
        if self._descriptor >= 0 and _libc.inotify_add_watch(self._descriptor, os.fsencode(folder), mask) < 0:
            self._warn()

    def close(self) -> None:
        """Watch no more."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _on_events(self) -> None:
        try:
            events = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return
        seen, at = 0, 0
        while at < len(events):
            _, mask, _, length = _EVENT.unpack_from(events, at)
            seen |= mask
            at += _EVENT.size + length
        self._changed(bool(seen & ~IN_MODIFY))

    def _warn(self) -> None:
        reason = os.strerror(ctypes.get_errno())
        log.warning("no notice of changed files: they are looked at once a second", reason=reason)
