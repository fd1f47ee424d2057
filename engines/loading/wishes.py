"""What this host's engines are to have, and which adapters are none of theirs: of the tables and the directory."""

from collections.abc import Iterator, Mapping

from engines.loading.reach import TenantsReach
from engines.loading.versions import Version, wanted_by_engine
from headgate.adapter_reports import Serves
from headgate.adapter_targets import loading
from headgate.directory.directory import Directory
from headgate.snapshot import Snapshot
from headgate.tenants import Followed


class Wishes:
    """Call `read` now and then; `by_engine` and `serves` are what it has found."""

    def __init__(self, following: Followed) -> None:
        self._following = following
        self._reach: TenantsReach | None = None
        self._read: tuple[Snapshot | None, Directory | None, int] = (None, None, 0)
        self.by_engine: Mapping[str, Mapping[str, Version]] = {}
        self.serves = Serves()

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
        adapters = directory.all_adapters()
        self.by_engine = wanted_by_engine(adapters, self._reach, engines)
        here = {name for some in self.by_engine.values() for name in some}
        awaited = [one for _, entries in adapters for one in entries if one.wanted_weight is not None]
        elsewhere = {one.manifest_sha256 for one in awaited if one.manifest_sha256 and one.engine_name not in here}
        self.serves = Serves(tuple(sorted(set(_bases(snapshot)))), tuple(sorted(elsewhere)))


def _bases(snapshot: Snapshot) -> Iterator[str]:
    """Models of which some engine here loads adapters, be it for one tenant."""
    yield from (name for name, chain in snapshot.chains.items() if loading(one.target for one in chain))
    for row in snapshot.tenants.values():
        yield from (name for name, targets in row.models.items() if loading(targets))
