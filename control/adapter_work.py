"""What control does for adapters beside requests. What that needs is imported when there is something to do."""

import importlib
from collections.abc import Callable
from typing import Any

import structlog

from control.holdings import host_id
from control.store.adapters import wanted_versions
from control.store.looks import Looks
from control.store.store import Store
from headgate import contract
from headgate.declared import Declared
from headgate.objects.failures import ObjectsError

log = structlog.get_logger()


class AdapterWork:
    """Below the working directory. Calls of the store of objects are made in threads of their own."""

    def __init__(self, store: Store, declared: Callable[[], Declared]) -> None:
        self._store, self._declared = store, declared
        self._made: Any = None
        self._promotions: Any = None
        self._looks: Looks | None = None  # of the database that had none

    def settle_promotions(self) -> None:
        """From the first time on that there are some which wait for engines. Blocks; raises StoreError."""
        if self._promotions is None:
            looks = self._store.looks()
            if looks is not None and looks == self._looks:
                return
            with self._store.read() as reader:
                if not wanted_versions(reader):
                    self._looks = looks
                    return
            self._promotions = importlib.import_module("control.adapters.promotions").Promotions(self._store)
        self._promotions.settle()

    async def go_on(self) -> None:
        """With uploads that another process has left. Raises StoreError, OSError."""
        if contract.UPLOADS.is_dir() and any(contract.UPLOADS.iterdir()):
            leftovers, objects = importlib.import_module("control.adapters.leftovers"), self._objects()
            await objects.threads.run(lambda: leftovers.go_on(self._store, objects, self._declared()))

    async def tidy(self) -> None:
        """Of what is nobody's. Raises StoreError, OSError."""
        if not self._declared().adapters.objects and not contract.OBJECTS.is_dir():
            return
        leftovers, objects = importlib.import_module("control.adapters.leftovers"), self._objects()
        try:
            await objects.threads.run(lambda: leftovers.tidy(self._store, objects))
        except ObjectsError as error:
            log.info("the store of objects was not tidied up now", reason=str(error))

    def holding(self) -> Any:
        """What a deletion asks."""
        make = importlib.import_module("control.adapter_holding").AdapterHolding
        return make(host_id(), lambda: self._declared().adapters, self._objects())

    def _objects(self) -> Any:
        if self._made is None:
            make = importlib.import_module("control.adapters.objects").Objects
            self._made = make(self._store, lambda: self._declared().adapters, contract.UPLOADS.parent)
        return self._made
