"""The way to a database that works: tried again until it does, and what to tell those who ask meanwhile.

A process that ended over it would be started again and again, and could tell nobody why.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from control.store.failures import StoreError, StoreLost, Unusable
from control.store.store import Store
from headgate.standing import Standing, State

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
_OF_DATABASE = "database: "  # what is the database's fault begins so

log = structlog.get_logger()


class Opening:
    """Of one store. `standing` is how it is now, from any thread's view."""

    def __init__(
        self, store: Store, clock: Callable[[], float] = time.time, known: Callable[[], bool] = lambda: False
    ) -> None:
        """`known`: whether this host has been told of something in the database before."""
        self._store, self._clock, self._known = store, clock, known
        self.standing = Standing("opening", clock())
        self.opened = False  # its tables are this version's, and stay so
        self.failure: StoreError | None = None  # why it is not open yet

    async def run(self) -> None:
        """Returns when the database is open."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await asyncio.to_thread(self._open)
            except StoreError as error:
                self._failed(error)
            else:
                self.opened, self.failure = True, None
                self.note(None)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _open(self) -> None:
        """An empty database in place of one that was not would take every key away: nobody is told of it."""
        self._store.prepare()
        with self._store.read() as reader:
            is_empty = reader.version() == 0
        if is_empty and self._known():
            self._store.close()  # a backup may take the file's place
            raise StoreLost("it is empty, and was not: put a backup in its place, or remove the folder directory/")

    def _failed(self, error: StoreError) -> None:
        if str(error) != str(self.failure):
            log.error("the database can't be opened, it is tried again", error=str(error), kind=type(error).__name__)
        self.failure = error
        self._stand("unusable" if isinstance(error, Unusable) else "away", str(error))

    def note(self, problem: str | None) -> None:
        """What control/publisher.py says once it was open: None is well."""
        if not self.opened:
            return
        text = problem and problem.removeprefix(_OF_DATABASE)
        self._stand("up" if text is None else "behind" if text == problem else "away", text)

    def _stand(self, state: State, detail: str | None) -> None:
        """`since` stays while the state does."""
        before = self.standing
        if (state, detail) != (before.state, before.detail):
            since = before.since if state == before.state else self._clock()
            self.standing = Standing(state, since, detail)
