"""The replicas of one managed engine: started together, replaced one by one, ended when they are not wanted.

One that is to be replaced finishes its requests and ends; only when its successor is ready is it the next one's turn.
Where a successor does not become ready, those that are left go on as they are. None is started on a GPU that another
one, of any engine, still has.
"""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog

from headgate.config.engine_providers import HOST
from headgate.engine_start import EngineStart
from headgate.supervise import parts, probes
from headgate.supervise.adopt import Living
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.gpus_held import GpusHeld
from headgate.supervise.part import FIRST_PAUSE_S, LONGEST_PAUSE_S, Part, PartSpec
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.replica import END_GRACE_S, NotReadyError, Replica
from headgate.supervise.rolling import RestartError, Step

log = structlog.get_logger()


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """How an engine is to run: what each replica is told, in their order."""

    starts: tuple[EngineStart, ...] = ()
    start_timeout_s: float = 900.0
    drain_timeout_s: float = 60.0


class Replicas:
    """Of one engine. `gpus` is shared by all; `envoys` are all that may have requests, the one that serves first;
    `changed` is as in `Replica`. `found` are those that an earlier supervisor left, by their number, whose GPUs are
    known; `restarts` of replicas by their parts' names is theirs, too, and what is taken over is taken out of it.
    Needs a running loop.
    """

    def __init__(
        self,
        name: str,
        env: Mapping[str, str],
        gpus: GpusHeld,
        envoys: Callable[[], Sequence[EnvoyAdmin]],
        changed: Callable[[], None],
        found: Mapping[int, Living],
        restarts: dict[str, int],
    ) -> None:
        self._name, self._env, self._gpus, self._envoys, self._changed = name, env, gpus, envoys, changed
        self._found, self._restarts = dict(found), restarts
        self._wanted = Wanted()
        self._replicas: dict[int, Replica] = {}
        self._unproven: set[int] = set()  # of whom a successor is to be ready before it is another one's turn
        self._asked = asyncio.Event()
        self._busy = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def parts(self) -> list[Part]:
        """Those that there are now."""
        return [self._replicas[index].part for index in sorted(self._replicas)]

    def records(self) -> dict[str, PartRecord]:
        """For parts.json, those found and not taken over yet too."""
        left = {one.name: one.record for one in self._found.values() if one.process.running}
        now = {one.part.name: record for one in self._replicas.values() if (record := one.record())}
        return left | now

    def is_draining(self, part: Part) -> bool:
        """Whether it gets no more requests."""
        return any(one.draining for one in self._replicas.values() if one.part is part)

    def want(self, wanted: Wanted | None) -> None:
        """From now on, None for an engine that is to end. What is wanted already goes on where it is being done."""
        wanted = wanted or dataclasses.replace(self._wanted, starts=())
        if wanted == self._wanted and self._busy.locked():
            return
        self._wanted = wanted
        self._asked.set()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Change nothing any more; the parts are the caller's to stop. Ends what was not taken over."""
        if self._keeper:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        for replica in self._replicas.values():
            replica.forget()
        await asyncio.gather(*map(end_found, self._found.values()))

    async def renew(self) -> AsyncIterator[Step]:
        """Replace all of them by new processes, one by one. Raises RestartError; the rest goes on as it is then."""
        async with self._busy:
            wanted = self._wanted
            for index in range(len(wanted.starts)):
                name = self._spec(index, wanted).name
                yield Step(name, "starting")
                began = time.monotonic()
                try:
                    await self._replace(index, wanted)
                except NotReadyError as error:
                    raise RestartError(f"{name} {error}") from error
                if self._wanted is not wanted:
                    raise RestartError(f"engine {self._name} was edited meanwhile: it is kept to that now")
                process = self._replicas[index].part.process
                pid = process.pid if process else None
                yield Step(name, "restarted", f"in {time.monotonic() - began:.1f} s", pid)

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                async with self._busy:
                    self._take_over()
                    await self._settle()
            except Exception:  # whatever it is, the engine is not to be left to itself
                log.exception("an engine could not be kept as it is wanted", engine=self._name, again_in_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                self._asked.set()
            else:
                pause_s = FIRST_PAUSE_S

    def _take_over(self) -> None:
        for index, living in list(self._found.items()):
            known = self._spec(index, self._wanted) if index < len(self._wanted.starts) else _leftover(living)
            record = living.record
            spec = dataclasses.replace(known, digest=record.digest, port=record.port, gpus=record.gpus)
            restarts = self._restarts.pop(spec.name, 0)
            replica = Replica(spec, self._wanted.start_timeout_s, self._changed, living.process, restarts)
            log.info("part taken over", part=spec.name, pid=living.process.pid)
            self._replicas[index] = replica
            del self._found[index]
            replica.begin()

    async def _settle(self) -> None:
        """Have what is wanted, as far as nothing else is wanted meanwhile."""
        wanted = self._wanted
        count = len(wanted.starts)
        await asyncio.gather(*(self._leave(index) for index in list(self._replicas) if index >= count))
        self._unproven.intersection_update(range(count))
        for replica in self._replicas.values():
            replica.begin()  # what an error has kept from it
        new = [index for index in range(count) if index not in self._replicas]
        for index in new:
            if self._gpus.are_free(self._spec(index, wanted).name, wanted.starts[index].gpus):
                self._begin(index, wanted)
        try:
            await self._turn(wanted)
        except NotReadyError as error:
            log.warning("a new replica is not ready, the others stay", engine=self._name, why=str(error))
        for index in new:  # at last: what they wait for may be this engine's own until here
            if self._wanted is wanted and index not in self._replicas and await self._has_gpus(index, wanted):
                self._begin(index, wanted)

    async def _turn(self, wanted: Wanted) -> None:
        """One after the other, those that are told something else are replaced. Raises NotReadyError."""
        for index in range(len(wanted.starts)):
            if self._wanted is not wanted:
                return
            replica = self._replicas.get(index)
            if replica and replica.digest != self._spec(index, wanted).digest:
                await self._replace(index, wanted)
            elif index in self._unproven:
                await (self._prove(index) if replica else self._replace(index, wanted))

    async def _replace(self, index: int, wanted: Wanted) -> None:
        """Returns when the successor gets requests, or something else is wanted. Raises NotReadyError."""
        if index in self._replicas:
            await self._leave(index)
        self._unproven.add(index)  # also while it has no GPUs
        if await self._has_gpus(index, wanted):
            self._begin(index, wanted)
            await self._prove(index)

    async def _prove(self, index: int) -> None:
        """The same, of a successor that is there: until then it is no other one's turn, whatever is wanted next."""
        replica = self._replicas[index]
        if await self._unless_asked(replica.until_ready()):
            await replica.until_sent_to(self._envoys()[0])
            self._unproven.discard(index)
            log.info("replica replaced", part=replica.part.name)

    async def _has_gpus(self, index: int, wanted: Wanted) -> bool:
        """Waits for those that have them to end. False: something else is wanted."""
        name, gpus = self._spec(index, wanted).name, wanted.starts[index].gpus
        if not self._gpus.are_free(name, gpus):
            log.info("a replica waits until its GPUs are free", part=name, gpus=gpus)
        return await self._unless_asked(self._gpus.until_free(name, gpus))

    async def _unless_asked(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it has ended before something else was wanted; then it is given up. Raises what it raises."""
        doing, asked = asyncio.create_task(work), asyncio.create_task(self._asked.wait())
        try:
            await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
            return doing.done()
        finally:
            doing.cancel()
            asked.cancel()

    async def _leave(self, index: int) -> None:
        replica = self._replicas[index]
        await replica.leave(self._envoys, self._wanted.drain_timeout_s)
        del self._replicas[index]
        self._unproven.discard(index)
        self._gpus.give_back(replica.part.name)

    def _begin(self, index: int, wanted: Wanted) -> None:
        spec = self._spec(index, wanted)
        restarts = self._restarts.pop(spec.name, 0)
        replica = Replica(spec, wanted.start_timeout_s, self._changed, restarts=restarts)
        self._replicas[index] = replica
        self._gpus.take(spec.name, spec.gpus)
        replica.begin()

    def _spec(self, index: int, wanted: Wanted) -> PartSpec:
        return parts.replica(self._env, self._name, index, wanted.starts[index])


async def end_found(living: Living) -> None:
    """End a replica that an earlier supervisor left."""
    living.process.leads = True
    await living.process.end(END_GRACE_S)


def _leftover(living: Living) -> PartSpec:
    """Of a replica that is not wanted any more, and never started again."""
    return PartSpec(
        name=living.name,
        command=(),
        env={},
        probe=probes.http_ok(f"http://{HOST}:{living.record.port}/health"),
        digest=living.record.digest,
        outlives=True,
        essential=False,
        port=living.record.port,
        leads=True,
    )
