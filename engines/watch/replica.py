"""Looks at one replica again and again, and keeps what is known of it. One that hangs holds up nobody but itself."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import structlog

from engines.watch.asking import Asker, Trouble
from engines.watch.condition import SILENT_LOOKS, Known, Look, after, is_another
from engines.watch.exposition import Measured, measured
from engines.watch.models import Served, served
from engines.watch.place import Place
from headgate.feed.replicas import ReplicaState

BUSY_S = 0.5  # between two looks
IDLE_S = 1.0
AWAY_S = 1.0
MODELS_EVERY_S = 2.0
METRICS_AGAIN_S = 10.0  # where /metrics is too long: reading 2 MB costs us as much as it does them

log = structlog.get_logger()


class Running(Protocol):
    """What the part knows of processes that are this gateway's own."""

    def life(self, place: Place) -> object | None:
        """The process of ours that runs there, equal for as long as it is the same one; None: there is none."""

    def drains(self, place: Place) -> bool:
        """Whether it is to get no more requests."""


class Replica:
    """`told` is called after each look. `wanted` may be set anew at any time."""

    def __init__(self, engine: str, place: Place, told: Callable[[], None], running: Running) -> None:
        self.engine = engine
        self.place = place
        self.wanted: str | None = None
        self.known = Known(ReplicaState.AWAY, time.time())
        self.failures: Counter[str] = Counter()  # looks that found trouble, by kind
        self.junk = 0  # lines of metrics that were left out
        self._told = told
        self._running = running
        self._models_at = self._metrics_at = 0.0
        self._metrics_misses = 0
        self._ready_life: object | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        asker = Asker(self.place)
        try:
            while True:
                try:
                    await self._turn(asker)
                except Exception:  # a bug of ours must not leave a replica unknown for good
                    log.exception("an engine can't be looked at", engine=self.engine, replica=self.place.address)
                    self.failures["bug"] += 1
                self._told()
                await asyncio.sleep(self._pause_s())
        finally:
            await asker.close()

    def note(self, serves: Served) -> None:
        """Somebody has asked it for its own ends: this is what it serves now."""
        if self.known.is_up:
            self.known = replace(self.known, served=serves)
            self._told()

    def _pause_s(self) -> float:
        if not self.known.is_up:
            return AWAY_S
        return IDLE_S if self.known.is_idle else BUSY_S

    async def _turn(self, asker: Asker) -> None:
        look = await self._look(asker)
        before, place = self.known, self.place
        life, drains = self._running.life(place), self._running.drains(place)
        lives = life is not None and life != self._ready_life
        self.known = after(before, look, self.wanted, time.time(), lives=lives, drains=drains)
        if self.known.is_up:
            self._ready_life = life
        else:
            self._models_at = 0.0  # its adapters are gone with the process that had them
        self._log(before)

    async def _look(self, asker: Asker) -> Look:
        try:
            await asker.health()
            found = await self._measured(asker)
            anew = found is not None and is_another(self.known.last, found)
            serves = await self._served(asker) if anew or time.monotonic() >= self._models_at else None
        except Trouble as trouble:
            self.failures[trouble.kind] += 1
            return Look(trouble=str(trouble), is_slow=trouble.kind == "silent")
        return Look(served=serves, measured=found)

    async def _measured(self, asker: Asker) -> Measured | None:
        """None while the last ones count. An engine that never has any is ready all the same: it answers requests."""
        now = time.monotonic()
        if now < self._metrics_at:
            return None
        try:
            found = measured(await asker.metrics())
        except Trouble as trouble:
            self.failures[f"metrics_{trouble.kind}"] += 1
            self._metrics_at = now + METRICS_AGAIN_S if trouble.kind == "too_large" else 0.0
            self._metrics_misses += 1
            if self._metrics_misses == SILENT_LOOKS:
                log.warning("an engine's metrics can't be read", detail=str(trouble), **self._names)
            return Measured() if self._metrics_misses >= SILENT_LOOKS else None
        if self._metrics_misses >= SILENT_LOOKS:
            log.info("an engine's metrics are back", **self._names)
        self._metrics_misses = 0
        self.junk += found.junk
        return found

    async def _served(self, asker: Asker) -> Served | None:
        """None where there is no such list; then nobody knows what it serves."""
        self._models_at = time.monotonic() + MODELS_EVERY_S
        try:
            return served(await asker.models())
        except ValueError as error:
            raise Trouble("unreadable", "answers /v1/models with no list of models") from error

    @property
    def _names(self) -> dict[str, str]:
        return {"engine": self.engine, "replica": self.place.address}

    def _log(self, before: Known) -> None:
        known = self.known
        if known.restarts != before.restarts:
            log.warning("an engine has started anew", **self._names)
        if (known.state, known.detail) != (before.state, before.detail):
            said = log.warning if known.state is ReplicaState.AWAY else log.info
            serves = {"serves": sorted(known.served.models)[:10]} if known.detail and known.served else {}
            said("engine changed", **self._names, was=before.state, now=known.state, detail=known.detail, **serves)
        here, there = (one.served.adapters if one.served else frozenset() for one in (known, before))
        if here != there and known.is_up:
            log.info("adapters changed", **self._names, came=sorted(here - there), gone=sorted(there - here))
