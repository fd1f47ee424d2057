"""A running gateway: its parts started in order, kept running, and ended in order.

Whatever ends `run`, a signal or a failure, every part has ended and the state directory is tidy afterwards.
Only SIGKILL leaves parts behind, for the next supervisor to take over.
"""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator

import structlog

from headgate import contract
from headgate.compile import compile_snapshot
from headgate.compile_declared import compile_declared
from headgate.config.model import Gateway
from headgate.declared import write_declared
from headgate.feed.identity import make_gateway_id
from headgate.issuer_tables import issuer_rows
from headgate.snapshot import write_snapshot
from headgate.supervise import (
    admin,
    adopt,
    control,
    elsewhere,
    envoy_life,
    files,
    metric_files,
    outside,
    parts,
    parts_file,
    ports,
    rolling,
    shutdown,
)
from headgate.supervise.admin import View
from headgate.supervise.adopt import Living, Retirement
from headgate.supervise.control import Restarter
from headgate.supervise.engines import Engines
from headgate.supervise.envoys import Envoys
from headgate.supervise.first_key import until_shown
from headgate.supervise.greeting import greeting
from headgate.supervise.leaving import Leaving
from headgate.supervise.needed import NeededPart
from headgate.supervise.part import Part
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.plan import Plan
from headgate.supervise.readiness import until_ready
from headgate.supervise.reload import Reloader
from headgate.supervise.rolling import Step
from headgate.supervise.scrape import certificate_files
from headgate.supervise.watchdog import watch

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
        again = plan.restarts
        self._parts = [
            Part(spec, self._record_parts, adopted.get(spec.name), again.get(spec.name, 0)) for spec in plan.specs
        ]
        old = [self._retirement(one) for one in plan.found.retiring]
        self._envoys = Envoys(plan.launcher, old, self._retirement, self._record_parts)
        self._leaving = Leaving(plan.found.leaving, self._record_parts)
        self._handing = elsewhere.handing(plan)
        self._hands_over: asyncio.Task[None] | None = None
        base, replicas = plan.config.parent, plan.found.replicas
        self._engines = Engines(plan.places, plan.env, base, self._envoys.admins, self._record_parts, replicas, again)
        watch_again = again.get(plan.engines_watch.name, 0)
        self._engines_watch = NeededPart(plan.engines_watch, self._parts, self._record_parts, watch_again)
        self._reloader = Reloader(plan, lambda: self._parts, self._turned, self._handing)
        self._restarter = Restarter(self._restart, self._reloader.busy)
        self._renewer = Restarter(self._engines.renew, asyncio.Lock())
        self._outside = outside.since_the_start(plan.gateway)

    async def run(self) -> None:
        """Start, serve, end. Raises Refusal when a part does not come up; then all others have ended."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._on_signal)
        loop.add_signal_handler(signal.SIGHUP, self._reloader.ask)
        listener = await admin.serve(ports.admin_listen(self._plan.gateway), self._view)
        files.write_atomic(contract.ADMIN_ADDRESS, f"{self._plan.gateway.listen.admin}\n".encode())
        control_listener = await control.serve(
            self._restarter,
            self._renewer,
            lambda: self._engines.shown(self._reloader.loaded.gateway),
            lambda: self._stage,
        )
        try:
            if await self._started():
                work = (self._reloader.run(), watch([*self._parts]), until_shown(contract.CONTROL_API_SOCKET, _tell))
                self._engines_watch.want(needed=bool(self._plan.gateway.engines))
                running = {asyncio.create_task(one) for one in work}
                await self._stop.wait()
                for task in running:
                    task.cancel()
                await asyncio.wait(running)
        finally:
            await asyncio.gather(self._restarter.cancel(), self._renewer.cancel())
            await control_listener.cleanup()
            await asyncio.gather(self._engines.close(), self._engines_watch.close())
            await self._shut_down()
            if self._hands_over:  # until here: what Envoy had yet to finish may have needed them
                self._hands_over.cancel()
                await asyncio.wait([self._hands_over])
            await listener.cleanup()

    def _restart(self, drain_s: float) -> AsyncIterator[Step]:
        running = [*self._parts, *self._engines.parts]
        return rolling.restart(running, self._envoys, self._leaving, drain_s, self._reloader.take_for_restart)

    def _turned(self, gateway: Gateway) -> None:
        """Have the engines that it names, and who watches them."""
        self._engines.want(gateway)
        self._engines_watch.want(needed=bool(gateway.engines))

    def _retirement(self, one: Living, patience_s: float = 0.0) -> Retirement:
        return Retirement(one, self._drain_s, self._hurry, self._stop, patience_s)

    def _on_signal(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _view(self) -> View:
        reloader = self._reloader
        gateway = reloader.loaded.gateway
        certificates = certificate_files(gateway, self._plan.config.parent)
        issuers = issuer_rows(gateway.auth)
        asked = [*self._outside, *outside.at_present(gateway)]
        running = [*self._parts, *self._engines.parts]
        return View(reloader.report(), running, asked, self._stage, reloader.outcomes, certificates, issuers)

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
        if plan.vault:
            plan.vault.start()
        for part in self._parts:
            if part.process:
                log.info("part taken over", part=part.name, pid=part.process.pid)
        await asyncio.gather(adopt.end_strays(plan.found.strays), self._leaving.let_go())
        metric_files.prepare()
        await self._retire_envoys()
        # Envoy knows every cluster before a worker can plan for it.
        plan.edge.write()
        if parts.ENVOY in plan.found.adopted:
            await self._reloader.until_envoy_has_all()
        declared = compile_declared(plan.gateway, plan.generation.number, plan.config.parent)
        write_declared(declared, contract.DECLARED)
        tables = compile_snapshot(plan.gateway, plan.generation.number, make_gateway_id())
        write_snapshot(tables, contract.SNAPSHOT)
        if self._handing:  # not before: the tables that lay there are an earlier gateway's
            self._hands_over = asyncio.create_task(self._handing.run())
        awaited = [part for part in self._parts if part.spec.essential]
        await self._begin([part for part in awaited if part.name != parts.ENVOY])
        await self._begin([part for part in self._parts if part.name == parts.ENVOY])
        self._stage = None
        log.info("ready", generation=plan.generation.number, took_s=round(time.monotonic() - began, 2))
        _tell(greeting(plan.gateway, plan.config, plan.demo_key, contract.LOGS.absolute()))
        for part in self._parts:
            if not part.spec.essential:
                part.begin()
        self._engines.want(plan.gateway)

    async def _begin(self, group: list[Part]) -> None:
        for part in group:
            part.begin()
        await until_ready(group, READY_WITHIN_S)

    async def _retire_envoys(self) -> None:
        self._envoys.clear_leftovers()
        await self._envoys.close_listeners()
        if parts.ENVOY not in self._plan.found.adopted:
            for listen in ports.edge_listens(self._plan.gateway):
                await ports.until_free(listen, FREE_WITHIN_S)

    def _record_parts(self) -> None:
        records = {part.name: record for part in self._parts if (record := self._record_of(part))}
        records |= self._envoys.records() | self._leaving.records() | self._engines.records()
        restarts = self._engines.restarts() | {part.name: part.restarts for part in self._parts}
        try:
            parts_file.save(records, restarts)
        except OSError as error:  # a full disk: the parts go on, only a successor would not find them
            log.warning("parts.json could not be written", error=str(error))
        metric_files.bury_dead()

    def _record_of(self, part: Part) -> PartRecord | None:
        if part.process is None:
            return None
        life = self._plan.launcher.life
        if part.name == parts.ENVOY and life:
            return life.record(part.process)
        return PartRecord(
            pid=part.process.identity.pid,
            start_ticks=part.process.identity.start_ticks,
            digest=part.spec.digest,
            port=part.spec.port,
        )

    async def _shut_down(self) -> None:
        self._stage = "stopping"
        if self._plan.vault:
            self._plan.vault.close()
        log.info("stopping", drain_s=self._drain_s)
        # A start that was broken off may have left these half done.
        await adopt.end_strays([stray for stray in self._plan.found.strays if stray.process.running])
        replaced = {parts.ENVOY: self._envoys.finished, parts.WORKERS: self._leaving.finished}
        await shutdown.stop_parts([*self._parts, *self._engines.parts], replaced, self._drain_s, self._hurry)
        envoy_life.clear_all_but(())
        shutdown.clean_up(parts.sockets([*self._plan.specs, self._plan.engines_watch]))
        log.info("stopped")


def _tell(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        log.warning("nobody reads stdout")
