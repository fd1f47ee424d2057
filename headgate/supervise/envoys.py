"""The Envoys of one gateway: the one that serves, one that is to follow it, those that only finish their streams.

Each is recorded before it runs and until it has ended, so that a supervisor that follows a killed one finds all.
"""

import asyncio
from collections.abc import Callable, Sequence

from headgate import contract
from headgate.supervise import parts_file
from headgate.supervise.adopt import Living, Retirement
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.envoy_life import EnvoyLauncher, EnvoyLife, clear_all_but
from headgate.supervise.part import Part
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.process import Process


class Envoys:
    """`changed` is called whenever `records` gives something else."""

    def __init__(
        self,
        launcher: EnvoyLauncher,
        retirements: Sequence[Retirement],
        retire: Callable[[Living, float], Retirement],
        changed: Callable[[], None],
    ) -> None:
        self.launcher = launcher
        self._retirements = list(retirements)
        self._retire = retire
        self._changed = changed
        self._coming: dict[str, PartRecord] = {}
        self._finishing: set[asyncio.Task[None]] = set()

    def records(self) -> dict[str, PartRecord]:
        """All but the one that serves."""
        leaving = {one.name: one.record for one in self._retirements if one.process.running}
        return self._coming | leaving

    def admins(self) -> list[EnvoyAdmin]:
        """Of all that have requests."""
        return [EnvoyAdmin(contract.ENVOY_ADMIN_SOCKET), *(one.admin for one in self._retirements)]

    def clear_leftovers(self) -> None:
        """Remove the files of Envoys that ended while no supervisor looked."""
        lives = [self.launcher.life, *(EnvoyLife.recorded(record) for record in self.records().values())]
        clear_all_but([life for life in lives if life])

    async def close_listeners(self) -> None:
        """Let those that an earlier supervisor left go of their addresses, and finish."""
        for retirement in self._retirements:
            await retirement.close_listeners()
            self._finish(retirement)

    def come(self, life: EnvoyLife, process: Process) -> None:
        """One is about to start beside the one that serves."""
        self._coming[_name(process)] = life.record(process)
        self._changed()

    def go_away(self, process: Process) -> None:
        """It did not come up, and has ended."""
        del self._coming[_name(process)]
        self._changed()

    async def take_over(self, part: Part, life: EnvoyLife, successor: Process, patience_s: float) -> None:
        """The one that came is the edge from now on; the one before goes on for its streams, up to `patience_s`."""
        before, old = part.process, self.launcher.life
        del self._coming[_name(successor)]
        retirement = None
        if before and old:
            retirement = self._retire(Living(_name(before), old.record(before), before), patience_s)
            self._retirements.append(retirement)
        self.launcher.life = life
        part.hand_over(successor)
        life.point()
        if retirement:
            await retirement.close_listeners()
            self._finish(retirement)

    async def finished(self) -> None:
        """Wait until all that leave have ended."""
        for retirement in self._retirements:
            if retirement.process.running and not self._finishing:
                self._finish(retirement)
        await asyncio.gather(*self._finishing)

    def _finish(self, retirement: Retirement) -> None:
        task = asyncio.create_task(self._until_ended(retirement))
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    async def _until_ended(self, retirement: Retirement) -> None:
        await retirement.finish()
        self._retirements.remove(retirement)
        self._changed()


def _name(process: Process) -> str:
    """A successor is recorded as one that retires until it serves: left alone, it would finish and end."""
    return f"{parts_file.RETIRED}{process.pid}"
