"""One replica of a managed engine: a part that may take minutes to start, and that is watched for hanging.

It gets no requests while it is not ready: Envoy sees to that by its health, and the part `engines` tells the workers.
"""

import asyncio
from collections.abc import Callable, Sequence

import aiohttp
import structlog

from headgate.config.engine_providers import HOST
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.part import Part, PartSpec
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.process import Process
from headgate.supervise.watchdog import Patience, watch_part

log = structlog.get_logger()

HANGS_AFTER_S = 60.0
END_GRACE_S = 20.0
# Until all workers have heard that it drains: parts.json is read twice a second, what is new is told within 0.4 s.
TOLD_WITHIN_S = 2.0
SENT_TO_WITHIN_S = 15.0
TRIES = 3
_POLL_S = 0.2


class NotReadyError(Exception):
    """A replica that was started did not become ready; the text says why."""


class Replica:
    """`start_timeout_s` is how long its process may take. `changed` is called when its record is another one."""

    def __init__(
        self,
        spec: PartSpec,
        start_timeout_s: float,
        changed: Callable[[], None],
        adopted: Process | None = None,
        restarts: int = 0,
    ) -> None:
        self.part = Part(spec, changed, adopted, restarts)
        self._restarts_before = restarts
        self.draining = False
        self._start_timeout_s = start_timeout_s
        self._changed = changed
        self._watcher: asyncio.Task[None] | None = None

    @property
    def digest(self) -> str:
        """Of what its process was told."""
        return self.part.spec.digest

    def begin(self) -> None:
        """Start it, or go on with the process that was taken over. Does nothing where that has been done."""
        if self._watcher:
            return
        self.part.begin()
        patience = Patience(HANGS_AFTER_S, self._start_timeout_s, every_s=1.0)
        self._watcher = asyncio.create_task(watch_part(self.part, patience, has_answered=False))

    def record(self) -> PartRecord | None:
        """For parts.json; None while it has no process."""
        process = self.part.process
        if process is None:
            return None
        pid, ticks = process.identity.pid, process.identity.start_ticks
        spec = self.part.spec
        return PartRecord(pid, ticks, self.digest, port=spec.port, gpus=spec.gpus, draining=self.draining)

    async def until_ready(self) -> None:
        """Raises NotReadyError when it takes too long, or has ended several times."""
        deadline = asyncio.get_running_loop().time() + self._start_timeout_s
        while detail := await self.part.spec.probe():
            ends = self.part.restarts - self._restarts_before
            if ends >= TRIES:
                how, path = self.part.last_end, self.part.spec.log_path
                raise NotReadyError(f"has ended {ends} times, the last time by {how}; {path} says why")
            if asyncio.get_running_loop().time() > deadline:
                raise NotReadyError(f"is not ready after {self._start_timeout_s:g} s ({detail})")
            await asyncio.sleep(_POLL_S)

    async def until_sent_to(self, envoy: EnvoyAdmin) -> None:
        """Wait until Envoy holds it for healthy; one that does not say so is no reason to wait longer."""
        deadline = asyncio.get_running_loop().time() + SENT_TO_WITHIN_S
        while asyncio.get_running_loop().time() < deadline:
            try:
                if (await envoy.endpoint(HOST, self.part.spec.port or 0)).healthy:
                    return
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass  # it is being restarted
            await asyncio.sleep(_POLL_S)

    async def leave(self, envoys: Callable[[], Sequence[EnvoyAdmin]], drain_s: float) -> None:
        """End it for good, after the requests that it has, for up to `drain_s`, be it too busy to answer or not."""
        self.part.retire()
        port = self.part.spec.port or 0
        if self.part.process and (await self.part.spec.probe() is None or await _active(envoys(), port)):
            self.draining = True
            self._changed()
            await self._until_idle(envoys, drain_s)
        self.forget()
        await self.part.stop(END_GRACE_S)
        self._changed()

    def forget(self) -> None:
        """Watch it no more."""
        if self._watcher:
            self._watcher.cancel()

    async def _until_idle(self, envoys: Callable[[], Sequence[EnvoyAdmin]], drain_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain_s
        await asyncio.sleep(min(TOLD_WITHIN_S, drain_s))
        was_idle = False
        while self.part.process and loop.time() < deadline:
            active = await _active(envoys(), self.part.spec.port or 0)
            if active == 0 and was_idle:  # twice in a row: a request may have been on its way
                return
            was_idle = active == 0
            await asyncio.sleep(_POLL_S)
        log.warning("requests of a replica are cut", part=self.part.name, drain_s=drain_s)


async def _active(envoys: Sequence[EnvoyAdmin], port: int) -> int | None:
    """Requests that all Envoys have there; None when one can't be asked."""
    try:
        found = await asyncio.gather(*(envoy.endpoint(HOST, port) for envoy in envoys))
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None
    return sum(endpoint.active for endpoint in found)
