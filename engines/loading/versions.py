"""Which adapters an engine is to have, as the directory and the tables say. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engines.loading.next_step import Rank
from headgate.directory.directory import Adapter
from headgate.directory.rows import AdapterVersionEntry
from headgate.snapshot import ZonedTarget


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
    adapters: Iterable[Adapter], chains: Mapping[str, Sequence[ZonedTarget]], engines: Iterable[str]
) -> dict[str, dict[str, Version]]:
    """For each engine the versions that it is to have. `chains`: the targets of each model.

    An adapter belongs on every engine that is a target of its base model.
    """
    wanted: dict[str, dict[str, Version]] = {engine: {} for engine in engines}
    for adapter in adapters:
        versions = {one.name: one for one in _wanted_of(adapter.versions)}
        providers = {one.target.provider for one in chains.get(adapter.entry.base_model, ())}
        for engine in providers & wanted.keys():
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
