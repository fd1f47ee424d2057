"""What this host's engines are to have, and which adapters are none of theirs: of the tables and the directory."""

from collections.abc import Mapping

from engines.loading.reach import TenantsReach
from engines.loading.versions import Version, wanted_by_engine
from headgate.directory.directory import Directory
from headgate.snapshot import Snapshot
from headgate.tenants import Followed


class Wishes:
    """Call `read` now and then; `by_engine` is what it has found."""

    def __init__(self, following: Followed) -> None:
        self._following = following
        self._reach: TenantsReach | None = None
        self._read: tuple[Snapshot | None, Directory | None, int] = (None, None, 0)
        self.by_engine: Mapping[str, Mapping[str, Version]] = {}

    def read(self, snapshot: Snapshot) -> None:
        """Only where it may be another one: there may be thousands of adapters."""
        directory = self._following.directory
        last, of, version = self._read
        if last is not snapshot or self._reach is None:
            self._reach = TenantsReach(snapshot, self._following)
        elif of is directory and version == directory.version:
            return
        self._read = snapshot, directory, directory.version
        engines = [name for name, row in snapshot.engines.items() if row.max_loras]
        self.by_engine = wanted_by_engine(directory.all_adapters(), self._reach, engines)
