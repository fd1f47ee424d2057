"""When keys were last used: from the file that the ledger writes, and from the admin API, into the database."""

from pathlib import Path

from control.admin_uses import AdminUses
from control.store.ids import OF_KEYS
from control.store.keys import find_key, note_uses
from control.store.store import Store
from control.store.unit import Reader
from headgate.key_uses import Uses, take_uses


class UsesTaken:
    """What was taken and is not in the database yet."""

    def __init__(self, store: Store, admin: AdminUses, state: Path = Path()) -> None:
        self._store, self._admin, self._state = store, admin, state
        self._uses: Uses = {}

    def take_up(self) -> None:
        """Some of them may be there from a turn that failed. Raises StoreError and OSError."""
        found = dict(self._uses)
        self._uses = found
        for uses in (self._admin.take(), take_uses(self._state)):
            for key, at in uses.items():
                found[key] = max(at, found.get(key, at))
        if not found:
            return
        with self._store.write_aside() as writer:
            note_uses(writer, {key: at for key, at in found.items() if _is_there(writer, *key)})
        self._uses = {}


def _is_there(reader: Reader, tenant: str, key: str) -> bool:
    """Not one of the database that was revoked since: a tenant that was deleted leaves nothing."""
    return not key.startswith(OF_KEYS) or find_key(reader, tenant or None, key) is not None
