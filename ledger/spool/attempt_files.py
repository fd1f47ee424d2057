"""Follows the files of failed attempts as the spool's are followed, but keeps nothing: what was read is done with.

Observers see every line once, but for a crash.
"""

from collections.abc import Callable

import structlog

from headgate.feed.attempts_file import ATTEMPTS_ENDING
from ledger.spool import attempts, epochs
from ledger.spool.attempts import Attempt
from ledger.spool.checkpoint import ATTEMPTS_CHECKPOINT
from ledger.spool.epochs import LivingEnvoy
from ledger.spool.folder import Folder, complete
from ledger.spool.rotation import Rotation
from ledger.spool.spool_file import SpoolFile

BATCHES_AT_ONCE = 8  # 2 MiB: settling must not wait for a backlog of these

OnAttempt = Callable[[Attempt], None]

log = structlog.get_logger()


class AttemptFiles:
    """Driven by the follower: `read` when files have grown, `look_around` once a second."""

    def __init__(self, observers: tuple[OnAttempt, ...] = ()) -> None:
        self._observers = observers
        self._folder = Folder(ATTEMPTS_ENDING, ATTEMPTS_CHECKPOINT, precious=False)
        self._rotation = Rotation()

    def rescan(self) -> None:
        """See which files there are."""
        self._folder.rescan()

    def read(self) -> bool:
        """Show what is new; False when there is more."""
        return all(self._read_file(file) for file in self._folder.unfinished())

    async def look_around(self, living: dict[str, LivingEnvoy] | None, rotate_bytes: int) -> None:
        """Set aside what is full, remove what is done with, remember how far this is."""
        for epoch, files in self._folder.epochs():
            envoy = living.get(epoch) if living else None
            if envoy:
                await self._rotation.keep_small(envoy, files, rotate_bytes)
            alive = living is None or envoy is not None or _is_open(files)
            for file in complete(files, alive=alive) if not alive or not files[-1].rotated else ():
                if self._read_file(file):  # what is left of a dead Envoy's file is half a line
                    self._remove(file)
        self._save()

    def close(self) -> None:
        """Remember how far this is, and let go of all files."""
        self._save()
        self._folder.close()

    def _save(self) -> None:
        try:
            self._folder.save()
        except OSError as error:
            log.warning("checkpoint can't be written", error=str(error))

    def _read_file(self, file: SpoolFile) -> bool:
        for _ in range(BATCHES_AT_ONCE):
            batch = file.next()
            if batch is None:
                return True
            at = batch.start
            for text in batch.lines:
                at += len(text) + 1
                if at > file.seen and (attempt := attempts.parsed(text)) and not attempts.is_answer(attempt):
                    self._show(attempt)
            file.settled = batch.end
        return False

    def _show(self, attempt: Attempt) -> None:
        for observe in self._observers:
            try:
                observe(attempt)
            except Exception:  # a bug in one must not stop the others
                log.exception("attempt line could not be observed")

    def _remove(self, file: SpoolFile) -> None:
        try:
            self._folder.remove(file)
        except OSError as error:
            log.warning("file of attempts could not be removed", name=file.path.name, error=str(error))


def _is_open(files: list[SpoolFile]) -> bool:
    return epochs.is_open_somewhere(file.path for file in files)
