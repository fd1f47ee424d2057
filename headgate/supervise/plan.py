"""From the options to what will run: what can be refused is refused here, before anything is touched.

Reads the file, what an earlier supervisor left, and the machine; starts only Envoy's validation.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from headgate import quickstart
from headgate.config.check import check
from headgate.config.model import Gateway
from headgate.edge.render import EdgeSettings
from headgate.supervise import adopt, binaries, parts, parts_file, ports, state
from headgate.supervise.adopt import Found, Living
from headgate.supervise.edge_files import EdgeFiles, new_spool, withheld_env
from headgate.supervise.generation import generation_of
from headgate.supervise.part import PartSpec
from headgate.supervise.refusal import Refusal

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the command line says. No `config` is the quickstart; `http` and `admin` move its addresses."""

    config: Path | None
    state: Path
    workers: int | None = None  # one per core
    drain_s: float = 30.0
    http: str | None = None
    admin: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, what runs already, and what Envoy is to read."""

    gateway: Gateway
    config: Path
    generation: int
    demo_key: str | None
    specs: tuple[PartSpec, ...]
    edge: EdgeFiles
    found: Found


async def make_plan(options: UpOptions, config: Path | None) -> Plan:
    """Plan a start in the working directory, the state directory. Raises Refusal."""
    alive = adopt.living(parts_file.load())
    simulator_port, demo_key = None, None
    if config is None:
        simulator_port, demo_key = _simulator_port(alive), quickstart.demo_key()
        config = quickstart.write(demo_key, simulator_port, options.http, options.admin)
    elif options.http or options.admin:
        raise Refusal(f"--http and --admin move the quickstart; change listen in {config} instead")
    gateway = _checked(config)
    generation = generation_of(config)
    state.link_secrets()
    try:
        edge = _edge(gateway, options, alive.get(parts.ENVOY), config.parent, generation)
        env = withheld_env(gateway, os.environ)
        specs = _specs(gateway, env, workers_of(options), simulator_port, edge)
        found = await adopt.sort_out(alive, specs)
        _require_free(gateway, alive.get(parts.ENVOY))
        if parts.ENVOY not in found.adopted or not edge.unchanged():
            await edge.validate(binaries.envoy(), env)
    except (Refusal, asyncio.CancelledError):
        if parts.ENVOY not in alive:
            state.remove_secrets()
        raise
    return Plan(gateway, config, generation, demo_key, specs, edge, found)


def workers_of(options: UpOptions) -> int:
    """How many filter workers run: one per core that we may use, unless told otherwise."""
    return options.workers or cores()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _checked(config: Path) -> Gateway:
    checked = check(config, os.environ)
    for warning in checked.warnings:
        log.warning("configuration", problem=str(warning))
    if checked.gateway is None:
        raise Refusal(*(str(problem) for problem in checked.problems))
    if not ports.edge_listens(checked.gateway):
        raise Refusal(f"{config}: listen: http is needed, this version serves nothing else")
    return checked.gateway


def _simulator_port(alive: Mapping[str, Living]) -> int:
    running = alive.get(parts.SIMULATOR)
    if running and running.record.port:
        return running.record.port
    last = quickstart.last_simulator_port()
    return last if last and ports.is_free_port(last) else ports.free_port()


def _edge(gateway: Gateway, options: UpOptions, old: Living | None, base: Path, generation: int) -> EdgeFiles:
    spool = old.record.spool if old and old.record.spool else new_spool()
    settings = EdgeSettings(workers=workers_of(options), spool=spool, generation=generation)
    return EdgeFiles(gateway, settings, base, os.environ)


def _specs(
    gateway: Gateway, env: Mapping[str, str], workers: int, simulator_port: int | None, edge: EdgeFiles
) -> tuple[PartSpec, ...]:
    def renew() -> None:
        state.link_secrets()  # a login session's runtime folder may have gone away with the session
        edge.take_spool(new_spool())
        edge.write()

    return (
        *([] if gateway.services.counters else [parts.valkey(env)]),
        *([parts.simulator(env, simulator_port)] if simulator_port else []),
        *(parts.worker(env, index) for index in range(workers)),
        parts.envoy(binaries.envoy(), env, cores(), edge.listener_text(), renew),
    )


def _require_free(gateway: Gateway, old: Living | None) -> None:
    """Addresses that our own old Envoy holds are taken over, or freed by it later."""
    held = {address.rpartition(":")[2] for address in old.record.addresses} if old else set()
    ports.require_free(ports.admin_listen(gateway))
    for listen in ports.edge_listens(gateway):
        if str(listen.address.port) not in held:
            ports.require_free(listen)
