"""The database of one process: reads and units of work on it, from any thread.

Every method raises StoreError (control/store/failures.py). No wait is longer than the engine's `Waits`.
"""

import contextlib
import datetime as dt
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from control.audit_chain import Actor
from control.store.engine import Waits, check_connection, file_of, open_engine, reading, writing
from control.store.failures import StoreBusy, named
from control.store.looks import Looks, looks_of
from control.store.migrations import is_current
from control.store.unit import Reader, Unit, Writer

Listener = Callable[[int], None]


def _clock() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Store:
    """An open database, with this version's tables."""

    def __init__(
        self,
        engine: Engine,
        waits: Waits | None = None,
        clock: Callable[[], dt.datetime] = _clock,
        file: Path | None = None,
    ) -> None:
        self.engine, self._file = engine, file
        self.listeners: list[Listener] = []  # told of each version that was committed here; they must not raise
        self._reading, self._writing = reading(engine), writing(engine)
        self._waits, self._clock = waits or Waits(), clock
        self._turn = threading.Lock()  # SQLite's own lock is asked for again and again, and in no order

    @classmethod
    def open(cls, url: str, waits: Waits | None = None) -> "Store":
        """Opens a database and brings its tables up to date."""
        store = cls.at(url, waits)
        store.prepare()
        return store

    @classmethod
    def at(cls, url: str, waits: Waits | None = None) -> "Store":
        """A database that is still to be opened: before `prepare` it is not to be used."""
        return cls(open_engine(url, waits), waits, file=file_of(url))

    def prepare(self) -> None:
        """Brings its tables up to date. May be called again after it has failed."""
        with contextlib.ExitStack() as on_error:
            on_error.callback(self.engine.dispose)
            if not is_current(self.engine):
                importlib.import_module("control.store.migrate").migrate(self.engine)  # 10 MB, mostly needed once
            on_error.pop_all()

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def check(self) -> None:
        """Raises if the database does not answer now."""
        check_connection(self.engine)

    def looks(self) -> Looks | None:
        """The same again: whatever is in it is what was in it. None where only reading can tell."""
        return looks_of(self._file)

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """One state of the database."""
        with named(), self._reading.connect() as connection, connection.begin():
            yield Reader(connection)

    @contextmanager
    def write(self, actor: Actor) -> Iterator[Unit]:
        """All that is done in it, or nothing if it raises; on the disk when it is left."""
        with self._alone(), named(), self._writing.connect() as connection, connection.begin():
            unit = Unit(connection, self._clock(), actor)
            yield unit
            unit.check()
        if unit.taken is not None:
            for listener in self.listeners:
                listener(unit.taken)

    @contextmanager
    def write_aside(self) -> Iterator[Writer]:
        """For what is neither of the directory nor of the audit log: uses of keys, answers that are too old."""
        with self._alone(), named(), self._writing.connect() as connection, connection.begin():
            yield Writer(connection, self._clock())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._waits.lock_s):
            raise StoreBusy("the database is busy with other changes")
        try:
            yield
        finally:
            self._turn.release()
