"""What an earlier supervisor left running: go on with it, let it finish, or end it.

Only processes that parts.json records and whose start time matches are looked at.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import structlog

from headgate import contract
from headgate.supervise import parts, parts_file
from headgate.supervise.envoy_admin import EnvoyAdmin, until_unused
from headgate.supervise.envoy_life import EnvoyLife
from headgate.supervise.part import PartSpec
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.process import Process
from headgate.supervise.shutdown import drain_and_end

log = structlog.get_logger()

# The ledger ends by itself when its supervisor dies, and nobody serves until all strays have ended.
STRAY_GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Living:
    """A recorded process that still runs."""

    name: str
    record: PartRecord
    process: Process


@dataclass(slots=True)
class Found:
    """What to do with each; `retiring` are Envoys that are not, or no longer, what we would start.

    `leaving` are filter workers and bridges: without their supervisor they finish their streams and end. `replicas`
    of engines go on, whatever is wanted of them now: who keeps engines replaces or ends them in order.
    """

    adopted: dict[str, Process] = field(default_factory=dict)
    retiring: list[Living] = field(default_factory=list)
    leaving: list[Living] = field(default_factory=list)
    strays: list[Living] = field(default_factory=list)
    replicas: dict[str, Living] = field(default_factory=dict)


def living(records: Mapping[str, PartRecord]) -> dict[str, Living]:
    """Those of the records whose process runs."""
    processes = {name: Process.find(record.identity) for name, record in records.items()}
    return {name: Living(name, records[name], process) for name, process in processes.items() if process}


async def sort_out(alive: Mapping[str, Living], specs: Sequence[PartSpec]) -> Found:
    """Decide about each living process, given what is to run now."""
    wanted = {spec.name: spec for spec in specs if spec.outlives}
    found = Found()
    for name, one in alive.items():
        if name.startswith(parts.REPLICAS):
            found.replicas[name] = one
        elif name in wanted and await _is(one, wanted[name]):
            found.adopted[name] = one.process
        elif name == parts.ENVOY or name.startswith(parts_file.RETIRED):
            found.retiring.append(one)
        elif name.startswith((parts.WORKERS, parts.BRIDGE)):
            found.leaving.append(one)
        else:
            found.strays.append(one)
    return found


async def _is(one: Living, spec: PartSpec) -> bool:
    if one.record.digest != spec.digest:
        return False
    if one.name != parts.ENVOY:
        return True
    life = EnvoyLife.recorded(one.record)
    if life is None:
        return False
    life.point()
    # The supervisor before us may have been killed while its Envoy drained: that one never listens again.
    return await spec.probe() is None


async def end_strays(strays: Sequence[Living]) -> None:
    """End leftovers before parts of their name start: they would remove the sockets of their successors."""
    for stray in strays:
        log.info("leftover part ends", part=stray.name, pid=stray.process.pid)
    await asyncio.gather(*(stray.process.end(STRAY_GRACE_S) for stray in strays))


class Retirement:
    """An Envoy that is no longer the edge: it listens no more, finishes its streams and ends.

    With `patience_s` it goes on that long, not `drain_s`, until the gateway itself `stops`.
    """

    def __init__(
        self,
        one: Living,
        drain_s: float,
        hurry: asyncio.Event,
        stops: asyncio.Event | None = None,
        patience_s: float = 0.0,
    ) -> None:
        self.name = f"{parts_file.RETIRED}{one.process.pid}"
        self.process = one.process
        self.record = one.record
        self._life = EnvoyLife.recorded(one.record)
        self.admin = EnvoyAdmin(self._life.admin if self._life else contract.ENVOY_ADMIN_SOCKET)
        self._drain_s = drain_s
        self._hurry = hurry
        self._stops = stops or asyncio.Event()
        self._patience_s = patience_s

    async def close_listeners(self) -> None:
        """Let go of its addresses; an Envoy that does not answer is ended at once."""
        log.info("envoy retires", pid=self.process.pid)
        try:
            await self.admin.drain()
        except (aiohttp.ClientError, OSError, TimeoutError):
            log.warning("envoy does not answer, it ends", pid=self.process.pid)
            await self.process.end(STRAY_GRACE_S)

    async def finish(self) -> None:
        """Wait for its streams and connections, then end it."""
        drain_s = self._drain_s
        if self._patience_s:
            await until_unused(self.admin, self._patience_s, self._stops)
            drain_s = self._drain_s if self._stops.is_set() else 0.0
        await drain_and_end(self.process, self.admin, drain_s, self._hurry)
        if self._life:
            self._life.clear()
