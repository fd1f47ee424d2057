"""A running gateway: its parts started in order, kept running, and ended in order.

Whatever ends `run`, a signal or a failure, every part has ended and the state directory is tidy afterwards.
Only SIGKILL leaves parts behind, for the next supervisor to take over.
"""

import asyncio
import signal
import sys
import time

import structlog

from headgate import contract
from headgate.compile import compile_snapshot
from headgate.snapshot import write_snapshot
from headgate.supervise import admin, adopt, files, parts, parts_file, ports, probes, shutdown
from headgate.supervise.admin import Outside, View
from headgate.supervise.adopt import Retirement
from headgate.supervise.greeting import greeting
from headgate.supervise.part import Part
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.plan import Plan
from headgate.supervise.readiness import until_ready

log = structlog.get_logger()

READY_WITHIN_S = 30.0
FREE_WITHIN_S = 5.0


class Supervisor:
    """Runs one plan until SIGTERM or SIGINT; a second signal ends it without draining."""

    def __init__(self, plan: Plan, drain_s: float) -> None:
        self._plan = plan
        self._drain_s = drain_s
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._stage: str | None = "starting"
        adopted = plan.found.adopted
        self._parts = [Part(spec, self._record_parts, adopted.get(spec.name)) for spec in plan.specs]
        self._retirements = [Retirement(one, drain_s, self._hurry) for one in plan.found.retiring]
        self._finishing: list[asyncio.Task[None]] = []
        url = plan.gateway.services.counters
        self._outside = [Outside("counters", probes.counters_ping(url))] if url else []

    async def run(self) -> None:
        """Start, serve, end. Raises Refusal when a part does not come up; then all others have ended."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._on_signal)
        # A closed terminal sends it; by default it would end us and leave Envoy without workers.
        loop.add_signal_handler(signal.SIGHUP, log.warning, "SIGHUP ignored: restart to load the file again")
        listener = await admin.serve(ports.admin_listen(self._plan.gateway), self._view)
        files.write_atomic(contract.ADMIN_ADDRESS, f"{self._plan.gateway.listen.admin}\n".encode())
        try:
            if await self._started():
                await self._stop.wait()
        finally:
            await self._shut_down()
            await listener.cleanup()

    def _on_signal(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _view(self) -> View:
        return View(self._plan.generation, self._parts, self._outside, self._stage)

    async def _started(self) -> bool:
        """Start everything and say so; False when a signal came first."""
        start = asyncio.create_task(self._start())
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not start.done():
            start.cancel()
            await asyncio.wait({start})
            return False
        await start
        return True

    async def _start(self) -> None:
        began = time.monotonic()
        plan = self._plan
        for part in self._parts:
            if part.process:
                log.info("part taken over", part=part.name, pid=part.process.pid)
        await adopt.end_strays(plan.found.strays)
        await self._retire_envoys()
        # Envoy knows every cluster before a worker can plan for it.
        plan.edge.write()
        write_snapshot(compile_snapshot(plan.gateway, plan.generation), contract.SNAPSHOT)
        inner = [part for part in self._parts if part.name != parts.ENVOY]
        await self._begin(inner)
        await self._begin([part for part in self._parts if part.name == parts.ENVOY])
        self._stage = None
        log.info("ready", generation=plan.generation, took_s=round(time.monotonic() - began, 2))
        _tell(greeting(plan.gateway, plan.config, plan.demo_key, contract.LOGS.absolute()))

    async def _begin(self, group: list[Part]) -> None:
        for part in group:
            part.begin()
        await until_ready(group, READY_WITHIN_S)

    async def _retire_envoys(self) -> None:
        for retirement in self._retirements:
            await retirement.close_listeners()
        self._finishing = [asyncio.create_task(self._finish(one)) for one in self._retirements]
        if parts.ENVOY not in self._plan.found.adopted:
            for listen in ports.edge_listens(self._plan.gateway):
                await ports.until_free(listen, FREE_WITHIN_S)

    async def _finish(self, retirement: Retirement) -> None:
        await retirement.finish()
        self._record_parts()

    def _record_parts(self) -> None:
        records = {part.name: record for part in self._parts if (record := self._record_of(part))}
        records |= {one.name: one.record for one in self._retirements if one.process.running}
        try:
            parts_file.save(records)
        except OSError as error:  # a full disk: the parts go on, only a successor would not find them
            log.warning("parts.json could not be written", error=str(error))

    def _record_of(self, part: Part) -> PartRecord | None:
        if part.process is None:
            return None
        edge = part.name == parts.ENVOY
        listens = ports.edge_listens(self._plan.gateway) if edge else []
        return PartRecord(
            pid=part.process.identity.pid,
            start_ticks=part.process.identity.start_ticks,
            digest=part.spec.digest,
            port=part.spec.port,
            spool=self._plan.edge.spool if edge else None,
            addresses=tuple(str(listen.address) for listen in listens),
        )

    async def _shut_down(self) -> None:
        self._stage = "stopping"
        log.info("stopping", drain_s=self._drain_s)
        # A start that was broken off may have left these half done.
        await adopt.end_strays([stray for stray in self._plan.found.strays if stray.process.running])
        old = self._finishing or [asyncio.create_task(one.finish()) for one in self._retirements]
        await shutdown.stop_parts(self._parts, self._drain_s, self._hurry)
        await asyncio.gather(*old)
        shutdown.clean_up(parts.sockets(self._plan.specs))
        log.info("stopped")


def _tell(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        log.warning("nobody reads stdout")
