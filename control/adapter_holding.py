"""What a deleted tenant has of adapters: in the store of objects, and on this host's disk, for its engines."""

import errno
from collections.abc import Callable
from pathlib import Path

from control.holdings import adapters_of
from headgate.adapter_row import AdapterRow
from headgate.adapters.cache import AdapterCache
from headgate.adapters.opening import AdapterAccess
from headgate.adapters.publishing import delete_tenant, objects_of
from headgate.contract import ADAPTER_CACHE
from headgate.objects.failures import ObjectsError


class AdapterHolding:
    """Of one host. Where hosts share a store each of them looks into it, which changes nothing."""

    def __init__(self, host_id: str, row: Callable[[], AdapterRow], state: Path = Path()) -> None:
        self.name = adapters_of(host_id)
        self._row, self._state = row, state
        self._access: AdapterAccess | None = None

    def erase(self, deletion_id: str, tenant: str) -> bool:  # noqa: ARG002 - others' need
        """Raises ObjectsError, OSError."""
        delete_tenant(self._opened().store(), tenant)
        self._cache().remove_tenant(tenant)
        return True

    def traces(self, deletion_id: str, tenant: str) -> int:  # noqa: ARG002
        """Objects, and versions on the disk. Raises OSError."""
        try:
            stored = objects_of(self._opened().store(), tenant)
        except ObjectsError as error:
            raise OSError(errno.EIO, str(error)) from None
        return stored + sum(manifest.tenant == tenant for manifest in self._cache().entries().values())

    def finished(self, deletion_id: str) -> None:
        """Nothing was kept for it."""

    def _opened(self) -> AdapterAccess:
        row = self._row()
        if self._access is None or self._access.row != row:
            self._access = AdapterAccess(row, self._state)
        return self._access

    def _cache(self) -> AdapterCache:
        return AdapterCache(self._state / ADAPTER_CACHE)
