"""When keys were last used on the admin API: noted for each request, in memory, until they are put into the database.

A process that is killed loses the uses of a few seconds. The platform's keys are of the tenant "".
"""

import datetime as dt
import threading

from headgate.identity import Identity
from headgate.key_uses import Uses


class AdminUses:
    """Noted in the event loop, taken away in a thread."""

    def __init__(self) -> None:
        self._uses: dict[tuple[str, str], dt.datetime] = {}
        self._lock = threading.Lock()

    def note(self, identity: Identity) -> None:
        """A request of somebody's; only a key's counts."""
        if identity.kind == "key":
            with self._lock:
                self._uses[identity.tenant or "", identity.id] = dt.datetime.now(dt.UTC)

    def take(self) -> Uses:
        """All that there are; nobody gets them again."""
        with self._lock:
            found, self._uses = self._uses, {}
        return found
