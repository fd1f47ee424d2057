"""Deletes tenants everywhere: goes through the stores that hold something of theirs until none has anything left.

Every store of tenants' data is a `Holding` and is given to `Deletions`; control/holdings.py says which store of this
product is in which of them, and a test fails for one that is in none. What is started is in the database, so a
process that is killed goes on where it was, on this host or another one. Nothing is finished before a look over all
holdings has found nothing.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from control.audit_chain import Actor
from control.store.deletions import find_deletion
from control.store.engine import overwrite_erased
from control.store.erasure import erase_tenant, finish_deletion, note_done, traces_of, unfinished_deletions
from control.store.failures import StoreError
from control.store.store import Store
from control.store.unit import Reader
from control.store.values import Deletion

SYSTEM = Actor("system", "deletion")
LOOK_EVERY_S = 1.0
_AGAIN_S = 30.0  # after something that failed
_OVERWRITE_TRIES = 60  # a second apart

log = structlog.get_logger()


class Holding(Protocol):
    """A store, or several, that hold data of tenants. All may be called again at any time, from any thread."""

    @property
    def name(self) -> str:
        """For good: it is in the database. What each host has of its own has the host's id in its name."""

    def erase(self, deletion_id: str, tenant: str) -> bool:
        """Remove or anonymise what is the tenant's. False: it is under way, ask again. Raises what is in the way."""

    def traces(self, deletion_id: str, tenant: str) -> int:
        """How much is left, from a look at what is there."""

    def finished(self, deletion_id: str) -> None:
        """The deletion is over: what was kept for its sake may go."""


class DatabaseHolding:
    """The database itself."""

    name = "database"

    def __init__(self, store: Store) -> None:
        self._store = store

    def erase(self, deletion_id: str, tenant: str) -> bool:  # noqa: ARG002 - the others' need
        """As control/store/erasure.py says."""
        erase_tenant(self._store, SYSTEM, tenant)
        return True

    def traces(self, deletion_id: str, tenant: str) -> int:  # noqa: ARG002
        """Rows, but for the deletion's own, which forgets the name when it has finished."""
        with self._store.read() as reader:
            found = traces_of(reader, tenant)
        return sum(count for table, count in found.items() if table != "tenant_deletions")

    def finished(self, deletion_id: str) -> None:
        """Nothing was kept for it."""


class Deletions:
    """A thread that works on all unfinished deletions. `wanted`: the names of all holdings that have to be done,
    also those of other hosts; their processes note them.
    """

    def __init__(
        self,
        store: Store,
        holdings: Sequence[Holding],
        wanted: Callable[[Reader], Iterable[str]] | None = None,
    ) -> None:
        names = [holding.name for holding in holdings]
        if len(set(names)) != len(names):
            raise ValueError("two holdings have one name")
        self._store, self._holdings = store, tuple(holdings)
        self._wanted = wanted or (lambda _: names)
        self._wake, self._ended = threading.Event(), threading.Event()
        self._overwrites = 0  # how often that is still tried
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Goes on with what an earlier process left."""
        self._thread = threading.Thread(target=self._run, name="deletions", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends after the step that is under way; the next process goes on."""
        self._ended.set()
        self._wake.set()
        if self._thread:
            self._thread.join(timeout=5)

    def waiting_for(self, reader: Reader, deletion: Deletion) -> tuple[str, ...]:
        """The holdings that are not done yet."""
        return () if deletion.finished_at else tuple(sorted({*self._wanted(reader)} - {*deletion.done}))

    def wake(self) -> None:
        """Something was started: don't wait for the next look."""
        self._wake.set()

    def overwrite_soon(self) -> None:
        """Something was erased: have the database's files forget it, too."""
        self._overwrites = _OVERWRITE_TRIES
        self._wake.set()

    def has_traces(self, tenant: str) -> bool:
        """Whether a store here knows the tenant. Raises what a store raises."""
        return any(holding.traces("", tenant) for holding in self._holdings)

    def work(self) -> int:
        """One turn on all that is unfinished; how many deletions are left. Raises StoreError alone."""
        with self._store.read() as reader:
            unfinished = unfinished_deletions(reader)
        left = sum(not self._turn(deletion) for deletion in unfinished)
        if self._overwrites:
            self._overwrite()
        return left

    def _overwrite(self) -> None:
        self._overwrites -= 1
        try:
            overwrite_erased(self._store.engine)
        except StoreError as error:
            # Then a vacuum by the operator does it.
            left = self._overwrites
            log.warning("the database's files still hold what was erased", error=str(error), tries_left=left)
        else:
            self._overwrites = 0

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.clear()
            wait = LOOK_EVERY_S
            try:
                self.work()
            except StoreError as error:
                log.warning("deletions of tenants wait for the database", error=str(error))
                wait = _AGAIN_S
            except Exception:  # the thread's boundary: the next turn comes
                log.exception("deletions of tenants failed")
                wait = _AGAIN_S
            self._wake.wait(wait)

    def _turn(self, deletion: Deletion) -> bool:
        """Whether it has finished."""
        tenant = deletion.tenant_id
        if tenant is None:
            return True
        for holding in self._holdings:
            if holding.name not in deletion.done and self._erased(holding, deletion.id, tenant):
                deletion = self._noted(deletion, holding.name)
        with self._store.read() as reader:
            wanted = set(self._wanted(reader))
        if not wanted <= set(deletion.done) or not self._clean(deletion.id, tenant):
            return False
        self._finish(deletion.id)
        return True

    def _erased(self, holding: Holding, deletion_id: str, tenant: str) -> bool:
        try:
            return holding.erase(deletion_id, tenant)
        except StoreError:
            raise
        except Exception:  # a store's boundary: the others go on, this one is asked again
            log.exception("a store could not erase a tenant", store=holding.name, deletion=deletion_id)
            return False

    def _clean(self, deletion_id: str, tenant: str) -> bool:
        """Whether a look finds nothing; where it does, that is erased again."""
        clean = True
        for holding in self._holdings:
            if left := self._traces(holding, deletion_id, tenant):
                log.warning("a tenant's data came back while it was deleted", store=holding.name, left=left)
                self._erased(holding, deletion_id, tenant)
                clean = clean and not self._traces(holding, deletion_id, tenant)
        return clean

    def _traces(self, holding: Holding, deletion_id: str, tenant: str) -> int:
        try:
            return holding.traces(deletion_id, tenant)
        except StoreError:
            raise
        except Exception:  # a store's boundary: what can't be looked at is not clean
            log.exception("a store could not be looked at", store=holding.name, deletion=deletion_id)
            return 1

    def _noted(self, deletion: Deletion, name: str) -> Deletion:
        """As it is in the database by then: other hosts note theirs."""
        with self._store.write_aside() as writer:
            fresh = find_deletion(writer, deletion.id) or deletion
            return fresh if name in fresh.done else note_done(writer, fresh, name)

    def _finish(self, deletion_id: str) -> None:
        with self._store.write(SYSTEM) as unit:
            fresh = find_deletion(unit, deletion_id)
            if fresh is not None and fresh.finished_at is None:
                finish_deletion(unit, fresh)
        for holding in self._holdings:
            holding.finished(deletion_id)
        self._overwrites = _OVERWRITE_TRIES
        log.info("a tenant is deleted", deletion=deletion_id)
