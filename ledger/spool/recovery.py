"""Which Envoys that have ended are recovered: their records read, and made lines of, before they are closed."""

import asyncio
import time
from collections.abc import Callable

import structlog

from ledger.spool import recorder

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

log = structlog.get_logger()


class Recovery:
    """Beside the follower, which `wakes` to take up the file that there may be now."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._tasks: dict[str, asyncio.Task[int]] = {}
        self._failed: dict[str, tuple[float, float]] = {}  # when it is tried again, and after what pause
        self._done: set[str] = set()

    @property
    def is_busy(self) -> bool:
        """Whether lines of any may come yet."""
        return bool(self._tasks or self._failed)

    def is_done(self, epoch: str) -> bool:
        """Whether this Envoy is recovered, and its file was there at the last `look`; begins it where it is not."""
        due, _ = self._failed.get(epoch, (0.0, 0.0))
        if epoch not in self._done and epoch not in self._tasks and time.monotonic() >= due:
            task = self._tasks[epoch] = asyncio.create_task(asyncio.to_thread(recorder.recover, epoch))
            task.add_done_callback(lambda _: self._wake())
        return epoch in self._done

    def is_waiting(self, epoch: str) -> bool:
        """Whether this Envoy is being recovered."""
        return epoch in self._tasks or epoch in self._failed

    def look(self) -> None:
        """Right before the folder is looked at: who is recovered by now. What failed is tried again."""
        for epoch, task in list(self._tasks.items()):
            if not task.done():
                continue
            del self._tasks[epoch]
            try:
                task.result()
            except BlockingIOError:
                self._put_off(epoch, "it lives: its records are locked")
            except OSError as error:
                self._put_off(epoch, str(error))
            else:
                self._failed.pop(epoch, None)
                self._done.add(epoch)

    def stop(self) -> None:
        """Wait for nothing more; a thread that is at work ends by itself."""
        for task in self._tasks.values():
            task.cancel()

    def _put_off(self, epoch: str, reason: str) -> None:
        _, pause_s = self._failed.get(epoch, (0.0, 0.0))
        if not pause_s:
            log.warning("an envoy's records can't be made lines of yet", epoch=epoch, reason=reason)
        pause_s = min(2 * pause_s or FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._failed[epoch] = time.monotonic() + pause_s, pause_s
