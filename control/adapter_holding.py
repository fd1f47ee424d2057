"""What a deleted tenant has of adapters: in the store of objects, and on this host's disk, for its engines.

Files that engines may have loaded are left to the part `engines`, which unloads them and removes them then. Where
that does not come to it, they go after a time all the same.
"""

import errno
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path

from control.adapters.objects import Objects
from control.holdings import adapters_of
from headgate.adapter_row import AdapterRow
from headgate.adapters.cache import AdapterCache
from headgate.adapters.publishing import delete_tenant, objects_of
from headgate.contract import ADAPTER_CACHE, ENGINES_SOCKET
from headgate.objects.failures import ObjectsError, StoreAway

UNLOADED_WITHIN_S = 900.0  # streams that run on one: longer than `timeouts.total` usually is
_SOON_S = 1.0  # a store that answers
_LOOK_S = 10.0  # within which a request is answered


class AdapterHolding:
    """Of one host. Where hosts share a store each of them looks into it, which changes nothing."""

    def __init__(self, host_id: str, row: Callable[[], AdapterRow], objects: Objects) -> None:
        self.name = adapters_of(host_id)
        self._row, self._objects = row, objects
        self._erasing: dict[str, Future[int]] = {}
        self._since: dict[str, float] = {}

    def erase(self, deletion_id: str, tenant: str) -> bool:
        """Raises ObjectsError, OSError, StoreError. A store that hangs holds up nobody: False meanwhile."""
        begun = self._erasing.get(deletion_id)
        if begun is None:
            begun = self._objects.threads.begin(lambda: delete_tenant(self._objects.to_read(), tenant))
            self._erasing[deletion_id] = begun
        try:
            begun.result(_SOON_S)
        except NotYet:
            return False
        finally:
            if begun.done():
                del self._erasing[deletion_id]
        if self._on_disk(tenant) and self._may_be_loaded(deletion_id):
            return False
        for cache in self._caches():
            cache.remove_tenant(tenant)
        return True

    def traces(self, deletion_id: str, tenant: str) -> int:  # noqa: ARG002 - others' need
        """Objects, and versions on the disk. Raises OSError, StoreError."""
        looked = self._objects.threads.begin(lambda: objects_of(self._objects.to_read(), tenant))
        try:
            stored = looked.result(_LOOK_S)
        except NotYet:
            raise OSError(errno.EIO, "the store of objects does not answer") from None
        except ObjectsError as error:
            raise OSError(errno.EIO, str(error)) from None
        return stored + self._on_disk(tenant)

    def finished(self, deletion_id: str) -> None:
        """Nothing is waited for any more."""
        self._since.pop(deletion_id, None)

    def _may_be_loaded(self, deletion_id: str) -> bool:
        """While somebody is there who unloads, and for no longer than that should take."""
        now = time.monotonic()
        since = self._since.setdefault(deletion_id, now)
        return (self._objects.state / ENGINES_SOCKET).exists() and now - since < UNLOADED_WITHIN_S

    def _on_disk(self, tenant: str) -> int:
        return sum(manifest.tenant == tenant for cache in self._caches() for manifest in cache.entries().values())

    def _caches(self) -> list[AdapterCache]:
        """Of engines on this host, and of those elsewhere whose folders are here. Raises StoreAway, OSError."""
        elsewhere = [Path(folder) for folder in self._row().folders]
        for folder in elsewhere:
            if not folder.is_dir():
                raise StoreAway(f"{folder} (adapters_dir) is not there, or not mounted")
        return [AdapterCache(folder) for folder in (self._objects.state / ADAPTER_CACHE, *elsewhere)]
