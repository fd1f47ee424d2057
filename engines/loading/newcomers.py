"""Fetches and verifies versions before others make room for them: nothing gives way to what can't be loaded."""

import asyncio
from collections.abc import Collection, Mapping

from engines.loading.lora import CannotServe
from engines.loading.promotion import Fails
from engines.loading.replica_loop import Files
from engines.loading.resting import Resting
from engines.loading.versions import Version

AT_ONCE = 2


class Newcomers:
    """One engine's. Needs a running loop; `end` it."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._good: set[str] = set()
        self._resting = Resting()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def verified(self) -> Collection[str]:
        """Those whose files are here and good."""
        return self._good

    def failure_of(self, version: Version) -> Fails | None:
        """What it failed of last, until it goes well."""
        return self._resting.failure_of(version.name, version.entry.version)

    def take(self, names: Collection[str], versions: Mapping[str, Version]) -> None:
        """These are to be verified now, the first ones first. What was found of others is forgotten."""
        self._tasks = {name: task for name, task in self._tasks.items() if not task.done()}
        self._resting.keep(lambda name: versions[name].entry.version if name in versions else None)
        self._good &= versions.keys()
        resting = self._resting.names()
        for name in names:
            if len(self._tasks) < AT_ONCE and name not in resting and name not in self._tasks:
                self._tasks[name] = asyncio.create_task(self._verify(versions[name]))

    def settle(self, names: Collection[str]) -> None:
        """These have their places: the next time their files are looked at anew."""
        self._good.difference_update(names)

    def end(self) -> None:
        """Verify nothing more."""
        for task in self._tasks.values():
            task.cancel()

    async def _verify(self, version: Version) -> None:
        try:
            await self._files.path_for(version)
        except CannotServe as error:
            self._resting.note(version.name, version.entry.version, error.fails)
        else:
            self._resting.end(version.name)
            self._good.add(version.name)
