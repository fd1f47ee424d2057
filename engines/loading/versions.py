"""Which adapters an engine is to have, as the directory and the tables say. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from engines.loading.next_step import Rank
from headgate.adapter_targets import Reach, adapter_targets
from headgate.directory.directory import Adapter
from headgate.directory.rows import AdapterVersionEntry
from headgate.snapshot import TargetRow


@dataclass(frozen=True, slots=True)
class Version:
    """One that engines are to have. `entry.version` is another one after each change of it."""

    entry: AdapterVersionEntry
    rank: Rank

    @property
    def name(self) -> str:
        """What engines know it as."""
        return self.entry.engine_name


Versions = Mapping[str, Version]
"""By their names on engines."""


def wanted_by_engine(
    adapters: Iterable[Adapter], reach: Reach[TargetRow], engines: Iterable[str]
) -> dict[str, dict[str, Version]]:
    """For each engine the versions that it is to have: those that requests may be led to it for."""
    wanted: dict[str, dict[str, Version]] = {engine: {} for engine in engines}
    for entry, entries in adapters:
        if versions := {one.name: one for one in _wanted_of(entries)}:
            targets = adapter_targets(entry.tenant, entry.name, entry.base_model, reach)
            for engine in {one.provider for one in targets} & wanted.keys():
                wanted[engine].update(versions)
    return wanted


def _wanted_of(entries: Iterable[AdapterVersionEntry]) -> Iterator[Version]:
    for entry in entries:
        if entry.state == "live":
            yield Version(entry, Rank.LIVE)
        elif entry.state == "staged":
            yield Version(entry, Rank.STAGED)
        elif entry.wanted_weight is not None:
            yield Version(entry, Rank.AWAITED)
