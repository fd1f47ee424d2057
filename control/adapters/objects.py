"""The store of objects as this database's: nothing is taken for gone where the store may be another, or not mounted.

The first version that is stored makes the store's mark (headgate/objects/marker.py). From then on a store without it
is away, and one with another database's mark is not touched. Calls block: make them in `threads`.
"""

from collections.abc import Callable
from pathlib import Path

from control.store.adapters import was_any_stored
from control.store.audit_log import database_id
from control.store.store import Store
from headgate.adapter_row import AdapterRow
from headgate.adapters.opening import AdapterAccess
from headgate.objects.failures import StoreAway, StoreRefuses
from headgate.objects.marker import MARKER, read_marker, write_marker
from headgate.objects.store import ObjectStore
from headgate.objects.threads import StoreThreads

AT_ONCE = 8  # more than there are uploads, so that deletions find some


class Objects:
    """As the accepted gateway.yaml says; `state` is the state directory."""

    def __init__(self, database: Store, row: Callable[[], AdapterRow], state: Path) -> None:
        self.threads = StoreThreads(AT_ONCE, "objects")
        self.state = state
        self._database, self._row = database, row
        self._access: AdapterAccess | None = None

    def access(self) -> AdapterAccess:
        """With the keys."""
        row, access = self._row(), self._access
        if access is None or access.row != row:
            access = self._access = AdapterAccess(row, self.state)
        return access

    def to_read(self) -> ObjectStore:
        """The store, to look at or delete in. Raises ObjectsError, StoreError."""
        return self._checked(marks=False)

    def mine(self) -> ObjectStore | None:
        """The store, if its mark says that all in it is this database's. Raises ObjectsError, StoreError."""
        store = self.to_read()
        marker = read_marker(store)
        return store if marker and marker.database else None

    def to_write(self) -> ObjectStore:
        """The store, to put something there. Raises ObjectsError, StoreError."""
        return self._checked(marks=True)

    def _checked(self, *, marks: bool) -> ObjectStore:
        store = self.access().store()
        marker = read_marker(store)
        with self._database.read() as reader:
            mine = database_id(reader)
            was_used = marker is None and was_any_stored(reader)
        if was_used:
            raise StoreAway(f"the store of objects has no {MARKER}: it is not mounted, or is another one")
        if marker and marker.database not in (None, mine):
            raise StoreRefuses(f"the store of objects is another database's, says its {MARKER}")
        if marks and mine and (marker is None or marker.database is None):
            write_marker(store, mine)
        return store
