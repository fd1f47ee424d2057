"""From the options to what will run: what can be refused is refused here, before anything is touched.

Reads the file, what an earlier supervisor left, and the machine; starts only Envoy's validation.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from headgate import quickstart
from headgate.config.check import check
from headgate.config.engine_providers import with_engines
from headgate.config.model import Gateway
from headgate.edge.render import EdgeSettings
from headgate.supervise import adopt, binaries, inotify, metric_files, parts, parts_file, ports, state, vault
from headgate.supervise.adopt import Found, Living
from headgate.supervise.edge_files import EdgeFiles, new_spool, withheld_env
from headgate.supervise.engine_places import EnginePlaces
from headgate.supervise.envoy_life import EnvoyLauncher, EnvoyLife
from headgate.supervise.generation import Generation, generation_of, store
from headgate.supervise.own_secrets import make_own_secrets
from headgate.supervise.part import PartSpec
from headgate.supervise.refusal import Refusal
from headgate.supervise.watch import read_settled

if TYPE_CHECKING:
    from headgate.vault.following import Following

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
    content: bytes  # of the file, as it was checked
    generation: Generation
    demo_key: str | None
    env: dict[str, str]  # of all parts
    specs: tuple[PartSpec, ...]
    engines_watch: PartSpec  # runs while there are engines
    edge: EdgeFiles
    launcher: EnvoyLauncher
    found: Found
    restarts: dict[str, int]  # of parts, under supervisors that were killed
    vault: "Following | None"
    places: EnginePlaces


async def make_plan(options: UpOptions, config: Path | None) -> Plan:
    """Plan a start in the working directory, the state directory. Raises Refusal."""
    alive = adopt.living(parts_file.load())
    simulator_port, demo_key = None, None
    if config is None:
        simulator_port, demo_key = _simulator_port(alive), quickstart.demo_key()
        config = quickstart.write(demo_key, simulator_port, options.http, options.admin)
    elif options.http or options.admin:
        raise Refusal(f"--http and --admin move the quickstart; change listen in {config} instead")
    content = read_settled(config, force=True)
    held = [one.record.port for name, one in alive.items() if name.startswith(parts.REPLICAS) and one.record.port]
    places = EnginePlaces(held)
    gateway = checked_gateway(config, content, places)
    if options.workers and gateway.services.filters:
        raise Refusal("--workers: the filter workers run elsewhere, services.filters names them")
    generation = generation_of(content or b"")
    make_own_secrets()
    state.link_secrets()
    try:
        following = await vault.begin(gateway, config.parent)
        edge = _edge(gateway, options, alive.get(parts.ENVOY), config.parent, generation.number)
        env = parts.usage_env(parts.database_env(withheld_env(gateway, os.environ), None), None, {})
        env |= metric_files.environment()
        launcher = EnvoyLauncher(edge, parts.envoy_command(binaries.envoy(), cores()), parts.envoy_env(env))
        specs = _specs(gateway, env, workers_of(options, gateway), simulator_port, launcher)
        found = await adopt.sort_out(alive, specs)
        if parts.ENVOY in found.adopted:
            launcher.life = EnvoyLife.recorded(alive[parts.ENVOY].record)
        _require_free(gateway, alive.get(parts.ENVOY))
        edges = (parts.ENVOY, parts_file.RETIRED)
        known = any(name.startswith(edges) for name in alive) and edge.inherit()
        if parts.ENVOY not in found.adopted or not known:
            await edge.validate(binaries.envoy(), env)
        if parts.ENVOY not in found.adopted:
            inotify.require(edge.watches + inotify.OWN)
        store(generation)
    except (Refusal, asyncio.CancelledError):
        if parts.ENVOY not in alive:
            state.remove_secrets()
        raise
    watch = parts.engines(parts.counters_env(env, gateway.services.counters, workers_of(options, gateway)))
    return Plan(
        gateway=gateway,
        config=config,
        content=content or b"",
        generation=generation,
        demo_key=demo_key,
        env=env,
        specs=specs,
        engines_watch=watch,
        edge=edge,
        launcher=launcher,
        found=found,
        restarts=parts_file.restarts(),
        vault=following,
        places=places,
    )


def workers_of(options: UpOptions, gateway: Gateway) -> int:
    """How many filter workers there are: one per core that we may use, unless told otherwise."""
    return len(gateway.services.filters.endpoints) if gateway.services.filters else options.workers or cores()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def checked_gateway(config: Path, content: bytes | None, places: EnginePlaces) -> Gateway:
    """The gateway of a file that says `content`, its engines at their places.

    Raises Refusal with a line for each problem.
    """
    checked = check(config, os.environ, content)
    for warning in checked.warnings:
        log.warning("configuration", problem=str(warning))
    if checked.gateway is None:
        raise Refusal(*(str(problem) for problem in checked.problems))
    return with_engines(checked.gateway, places.of(checked.gateway.engines))


def _simulator_port(alive: Mapping[str, Living]) -> int:
    running = alive.get(parts.SIMULATOR)
    if running and running.record.port:
        return running.record.port
    last = quickstart.last_simulator_port()
    return last if last and ports.is_free_port(last) else ports.free_port()


def _edge(gateway: Gateway, options: UpOptions, old: Living | None, base: Path, generation: int) -> EdgeFiles:
    spool = old.record.spool if old and old.record.spool else new_spool()
    settings = EdgeSettings(workers=workers_of(options, gateway), spool=spool, generation=generation)
    return EdgeFiles(gateway, settings, base, os.environ)


def _specs(
    gateway: Gateway, env: Mapping[str, str], workers: int, simulator_port: int | None, launcher: EnvoyLauncher
) -> tuple[PartSpec, ...]:
    counting = parts.counters_env(env, gateway.services.counters, workers)
    return (
        *([] if gateway.services.counters else [parts.valkey(env)]),
        *([parts.simulator(env, simulator_port)] if simulator_port else []),
        *(parts.worker(counting, index) for index in range(0 if gateway.services.filters else workers)),
        parts.ledger(counting, tells_events=gateway.services.events is not None),
        parts.bridge(env),
        parts.envoy(env, launcher),
        parts.control(parts.database_env(counting, gateway.services.database)),
        *([parts.events(env, gateway.services.events)] if gateway.services.events else []),
        parts.usage(parts.usage_env(env, gateway.services.usage, os.environ)),
    )


def _require_free(gateway: Gateway, old: Living | None) -> None:
    """Addresses that our own old Envoy holds are taken over, or freed by it later."""
    held = {address.rpartition(":")[2] for address in old.record.addresses} if old else set()
    ports.require_free(ports.admin_listen(gateway))
    for listen in ports.edge_listens(gateway):
        if str(listen.address.port) not in held:
            ports.require_free(listen)
