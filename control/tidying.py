"""Removes from the database what nobody needs any more: tombstones and answers of a day ago.

Several hosts may do it; each takes what there is. A thread, since it may have to wait for its turn to write.
"""

import datetime as dt
import threading

import structlog

from control.store.answers import forget_answers
from control.store.changes import compact_directory
from control.store.failures import StoreError
from control.store.store import Store

EVERY_S = 600.0
TOMBSTONES_STAY = dt.timedelta(hours=24)  # a host that was away for longer reads the whole directory
END_S = 20.0

log = structlog.get_logger()


class Tidying:
    """From `start` to `close`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidying", daemon=True)

    def start(self) -> None:
        """From now on; the first time in some minutes."""
        self._thread.start()

    def close(self) -> None:
        """No more."""
        self._ended.set()
        self._thread.join(END_S)

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                tidy(self._store)
            except StoreError as error:
                log.info("database: nothing was tidied up now", reason=str(error))
            except Exception:  # the thread's boundary: the next time comes
                log.exception("database: failed to tidy up")


def tidy(store: Store) -> None:
    """Once, now. Raises StoreError."""
    with store.write_aside() as writer:
        tombstones, answers = compact_directory(writer, writer.now - TOMBSTONES_STAY), forget_answers(writer)
    if tombstones or answers:
        log.info("database was tidied up", tombstones=tombstones, answers=answers)
