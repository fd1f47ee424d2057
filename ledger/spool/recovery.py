"""Which Envoys that have ended are recovered: their records read, and made lines of, before they are closed."""

import asyncio
from collections.abc import Callable

import structlog

from ledger.spool import recorder

log = structlog.get_logger()


class Recovery:
    """Beside the follower, which `wakes` to take up the file that there may be now."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._tasks: dict[str, asyncio.Task[int]] = {}
        self._done: set[str] = set()

    def is_done(self, epoch: str) -> bool:
        """Whether this Envoy is recovered, and its file was there at the last `look`; begins it where it is not."""
        if epoch not in self._done and epoch not in self._tasks:
            task = self._tasks[epoch] = asyncio.create_task(asyncio.to_thread(recorder.recover, epoch))
            task.add_done_callback(lambda _: self._wake())
        return epoch in self._done

    @property
    def is_busy(self) -> bool:
        """Whether lines of any may come yet."""
        return bool(self._tasks)

    def is_waiting(self, epoch: str) -> bool:
        """Whether this Envoy is being recovered."""
        return epoch in self._tasks

    def look(self) -> None:
        """Right before the folder is looked at: who is recovered by now. What failed is tried again."""
        for epoch, task in list(self._tasks.items()):
            if not task.done():
                continue
            del self._tasks[epoch]
            try:
                task.result()
            except OSError as error:
                log.warning("an envoy's records can't be made lines of yet", epoch=epoch, error=str(error))
            else:
                self._done.add(epoch)

    def stop(self) -> None:
        """Wait for nothing more; a thread that is at work ends by itself."""
        for task in self._tasks.values():
            task.cancel()
