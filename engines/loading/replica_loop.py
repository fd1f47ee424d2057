"""Brings one replica to what is wanted, one step after the other, for as long as it answers.

It goes by what the watch saw last until that shows something to do, and by a look of its own before each step. What
fails is tried again, ever more slowly and not by all replicas at the same moment; other versions go on meanwhile.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from engines.loading.lora import CannotServe, Lora
from engines.loading.next_step import Load, Rank, Resident, Unload, Wanted, next_step
from engines.loading.promotion import Fits, Outcome
from engines.loading.reasons import PASSING, Reason
from engines.loading.resting import Resting
from engines.loading.versions import Version
from headgate import adapter_metrics as metrics

LOOK_EVERY_S = 0.5  # at what the watch has seen

log = structlog.get_logger()


class Files(Protocol):
    """Where engines find adapters' files."""

    async def path_for(self, version: Version) -> str:
        """The folder as the engine sees it, fetched and verified just now. Raises CannotServe."""


@dataclass(slots=True)
class Plan:
    """What all replicas of an engine are to have. The engine's loop sets it anew.

    `seated`: who has a place. `wanted`: those, and what some replica has. `versions`: all there are.
    """

    places: int
    wanted: tuple[Wanted, ...] = ()
    seated: tuple[str, ...] = ()
    versions: dict[str, Version] = field(default_factory=dict)


class ReplicaLoop:
    """`glance` is what the watch saw last. What has no underscore is for others to read."""

    def __init__(
        self,
        engine: str,
        address: str,
        lora: Lora,
        files: Files,
        plan: Plan,
        glance: Callable[[], Iterable[Resident]],
    ) -> None:
        self._names = {"engine": engine, "replica": address}
        self._engine = engine
        self._lora = lora
        self._files = files
        self._plan = plan
        self._glance = glance
        self._news = asyncio.Event()
        self._resting = Resting()
        self._warm: set[str] = set()
        self.residents: tuple[Resident, ...] = ()
        self.is_caught_up = False  # every live version that has a place was loaded, or could not be
        self.loading: str | None = None

    def wake(self) -> None:
        """There is something new in the plan."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._news.clear()
            try:
                goes_on = await self._go_on()
            except CannotServe as error:  # the replica can't be looked at; the watch says more of that
                log.info("adapters can't be looked at", **self._names, reason=str(error))
                goes_on = False
            except Exception:  # a bug of ours must not leave the replica alone for good
                log.exception("adapters can't be brought to a replica", **self._names)
                goes_on = False
            if not goes_on:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._news.wait()

    async def _go_on(self) -> bool:
        """One step, if there is one to take; whether there was."""
        self._take(tuple(self._glance()))
        if not self._has_to_do():
            self.is_caught_up = True
            return False
        self._take(await self._lora.look())
        step = self._next()
        match step:
            case Load(name):
                await self._load(self._plan.versions[name])
            case Unload(name, evicted):
                await self._unload(name, evicted=evicted)
            case None:
                self.is_caught_up = True
                if (cold := self._cold()) is None:
                    return False
                await self._smoke(cold)
        return True

    def _take(self, residents: tuple[Resident, ...]) -> None:
        """What is there; what has failed, and is neither there nor wanted any more, is forgotten."""
        self.residents = residents
        names = {resident.name for resident in residents}
        self._warm &= names
        self._resting.keep(lambda name: self._row(name) if name in names or name in self._plan.versions else None)

    def outcome(self, name: str) -> Outcome:
        """What it has come to with a version; None: it is not there yet, or has passing trouble."""
        fails = self._resting.failure_of(name, self._row(name))
        if fails:
            return None if fails.reason in PASSING else fails
        return Fits() if name in self._warm else None

    def trouble(self, name: str) -> str | None:
        """What it failed of last, passing or not, until it goes well."""
        fails = self._resting.failure_of(name, self._row(name))
        return fails.text if fails else None

    def _row(self, name: str) -> int:
        version = self._plan.versions.get(name)
        return version.entry.version if version else 0

    def _next(self) -> Load | Unload | None:
        resting = self._resting.names()
        step = next_step(self._plan.wanted, self._plan.seated, self.residents, self._plan.places, resting)
        return None if isinstance(step, Unload) and step.name in resting else step

    def _cold(self) -> str | None:
        """One that is there and has not answered yet; what is to become live comes first."""
        names = {resident.name for resident in self.residents} - self._warm - self._resting.names()
        cold = [one for one in self._plan.wanted if one.name in names and one.rank is not Rank.PREVIOUS]
        first = min(cold, key=lambda one: (one.rank is not Rank.AWAITED, one.rank, one.name), default=None)
        return first.name if first else None

    def _has_to_do(self) -> bool:
        return self._next() is not None or self._cold() is not None

    async def _load(self, version: Version) -> None:
        name, began = version.name, time.monotonic()
        self.loading = name  # its files are to stay, also where it loses its place meanwhile
        try:
            await self._lora.load(name, await self._files.path_for(version))
        except CannotServe as error:
            self._fail(name, error)
            return
        finally:
            self.loading = None
        self._resting.end(name)
        took_s = time.monotonic() - began
        metrics.ADAPTER_LOAD.labels(self._engine).observe(took_s)
        log.info("adapter loaded", **self._names, adapter=name, ms=round(took_s * 1000))

    async def _unload(self, name: str, *, evicted: bool) -> None:
        try:
            await self._lora.unload(name)
        except CannotServe as error:
            self._fail(name, error)
            return
        metrics.ADAPTER_UNLOADS.labels(self._engine, "evicted" if evicted else "unwanted").inc()
        log.info("adapter unloaded", **self._names, adapter=name, evicted=evicted)

    async def _smoke(self, name: str) -> None:
        try:
            await self._lora.smoke(name)
        except CannotServe as error:
            self._fail(name, error)
        else:
            self._warm.add(name)
            self._resting.end(name)

    def _fail(self, name: str, error: CannotServe) -> None:
        """One line for each change of the reason."""
        fails = error.fails
        metrics.ADAPTER_FAILURES.labels(self._engine, fails.reason).inc()
        is_news = self._resting.note(name, self._row(name), fails)
        if is_news and fails.reason is not Reason.STORE:  # of which there is one line for all
            said = {"adapter": name, "reason": fails.reason.value, "detail": fails.text}
            log.warning("an adapter can't be served", **self._names, **said)
