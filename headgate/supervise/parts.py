"""What `headgate up` runs: one function per part, in the order of starting.

A part that outlives its supervisor (`outlives`) writes to a log file and reads nothing; a filter worker
does not: its lifeline ends it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from headgate import contract
from headgate.engine_start import START_ENV, EngineStart
from headgate.feed.identity import GATEWAY_ID_ENV, make_gateway_id
from headgate.store_url import password_variables
from headgate.supervise import binaries, probes
from headgate.supervise.counters_data import FOLDER, CountersData
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.envoy_life import EnvoyLauncher
from headgate.supervise.part import PartSpec, Probe
from headgate.supervise.parts_file import digest_of

ENVOY = "envoy"
SIMULATOR = "simulator"
VALKEY = "valkey"
LEDGER = "ledger"
BRIDGE = "bridge"
CONTROL = "control"
ENGINES = "engines"
EVENTS = "events"
USAGE = "usage"
WORKERS = "filters-"  # + number
REPLICAS = "engine-"  # + engine's name, -, number

# Envoy ends every stream by its model's `timeouts.total`, which is this at most; a supervisor may end it earlier.
_LONGEST_STREAM = "24h"


def valkey(env: Mapping[str, str]) -> PartSpec:
    """The embedded counters: only on a Unix socket, on disk within a second."""
    command = (
        binaries.valkey_server(),
        *("--port", "0"),
        *("--unixsocket", str(".." / contract.COUNTERS_SOCKET)),  # it changes into --dir first
        *("--unixsocketperm", "700"),
        *("--dir", str(FOLDER)),
        *("--appendonly", "yes"),
        *("--appendfsync", "everysec"),
        *("--save", ""),  # the append-only file is the copy on disk
        *("--maxmemory", "256mb"),  # about a million requests at once; beyond it the limiters go on by themselves
        *("--maxmemory-policy", "noeviction"),  # a counter that went away would be a limit that went away
        *("--daemonize", "no"),
    )
    return PartSpec(
        name=VALKEY,
        command=command,
        env=env,
        probe=probes.counters_ping(None),
        digest=digest_of(command),
        outlives=True,
        sockets=(contract.COUNTERS_SOCKET,),
        before_start=CountersData(contract.LOGS / f"{VALKEY}.log").before_start,
    )


def simulator(env: Mapping[str, str], port: int) -> PartSpec:
    """The quickstart's engine, on loopback."""
    command = (*binaries.headgate(), "serve", "simulator", "--port", str(port))
    return PartSpec(
        name=SIMULATOR,
        command=command,
        env=env,
        probe=probes.http_ok(f"http://127.0.0.1:{port}/health"),
        digest=digest_of(command),
        outlives=True,
        port=port,
    )


def replica(env: Mapping[str, str], name: str, index: int, start: EngineStart) -> PartSpec:
    """Replica `index` of an engine. The digest is of what it is told: new code of Headgate's needs no other one."""
    told = msgspec.json.encode(start)
    return PartSpec(
        name=f"{REPLICAS}{name}-{index}",
        command=(*binaries.headgate(), "serve", "engine"),
        env={**env, START_ENV: told.decode()},
        probe=probes.http_ok(f"http://127.0.0.1:{start.port}/health"),
        digest=hashlib.sha256(told).hexdigest(),
        outlives=True,
        essential=False,
        port=start.port,
        gpus=start.gpus,
        leads=True,
    )


def worker(env: Mapping[str, str], index: int) -> PartSpec:
    """Filter worker `index`: authorization and planning for Envoy."""
    socket, tables = contract.worker_socket(index), contract.worker_generation(index)
    command = (
        *(*binaries.headgate(), "serve", "filters", "--worker", str(index), "--state", ".", "--lifeline"),
        *("--drain-timeout", _LONGEST_STREAM),
    )
    return PartSpec(
        name=f"{WORKERS}{index}",
        command=command,
        env=env,
        probe=probes.worker_answers(socket),
        digest=digest_of(command),
        outlives=False,
        sockets=(socket, tables),
        tables=tables,
    )


def ledger(env: Mapping[str, str], *, tells_events: bool) -> PartSpec:
    """The spool's follower. Its journal stays until the events' part has it, too, where there is one."""
    env = {name: value for name, value in env.items() if name != contract.TELLS_EVENTS_ENV}
    env |= {contract.TELLS_EVENTS_ENV: "1"} if tells_events else {}
    probe = probes.says_a_line(contract.LEDGER_SOCKET)
    return _served(LEDGER, env, probe, contract.LEDGER_SOCKET, contract.LEDGER_QUESTIONS)


def bridge(env: Mapping[str, str]) -> PartSpec:
    """Responses over WebSocket."""
    return _served(BRIDGE, env, probes.refuses_http(contract.BRIDGE_SOCKET), contract.BRIDGE_SOCKET)


def control(env: Mapping[str, str]) -> PartSpec:
    """The admin API. Requests for models are answered without it."""
    probe = probes.control_answers(contract.CONTROL_API_SOCKET)
    return _served(CONTROL, env, probe, contract.CONTROL_API_SOCKET, essential=False)


def events(env: Mapping[str, str], url: str) -> PartSpec:
    """Usage to Kafka. The URL may hold a password: it stands in this environment and nowhere else."""
    probe = probes.says_a_line(contract.EVENTS_SOCKET)
    return _served(EVENTS, {**env, contract.EVENTS_URL_ENV: url}, probe, contract.EVENTS_SOCKET, essential=False)


def engines(env: Mapping[str, str]) -> PartSpec:
    """The watch of engines. Requests reach them without it, by what Envoy sees of them."""
    probe = probes.engines_watched(contract.ENGINES_SOCKET)
    return _served(ENGINES, env, probe, contract.ENGINES_SOCKET, essential=False)


def usage(env: Mapping[str, str]) -> PartSpec:
    """The usage store's. Requests for models are answered and counted without it."""
    return _served(USAGE, env, probes.usage_answers(contract.USAGE_SOCKET), contract.USAGE_SOCKET, essential=False)


def _served(name: str, env: Mapping[str, str], probe: Probe, *sockets: Path, essential: bool = True) -> PartSpec:
    """One that `headgate serve NAME` is, and that ends with its supervisor."""
    command = (*binaries.headgate(), "serve", name, "--state", ".", "--lifeline")
    return PartSpec(
        name=name,
        command=command,
        env=env,
        probe=probe,
        digest=digest_of(command),
        outlives=False,
        essential=essential,
        sockets=sockets,
    )


def database_env(env: Mapping[str, str], url: str | None) -> dict[str, str]:
    """The environment of control. The URL may hold a password: it stands nowhere else."""
    return _told(env, contract.DATABASE_URL_ENV, url)


def usage_env(env: Mapping[str, str], url: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the usage store's part, with its password: it stands nowhere else."""
    password = {name: environ[name] for name in password_variables(url) if name in environ}
    return _told(env, contract.USAGE_URL_ENV, url) | password


def _told(env: Mapping[str, str], name: str, url: str | None) -> dict[str, str]:
    without = {known: value for known, value in env.items() if known != name}
    return without | ({name: url} if url else {})


def counters_env(env: Mapping[str, str], url: str | None, workers: int) -> dict[str, str]:
    """The environment of the parts that use the counters. The URL may hold a password: it stands nowhere else."""
    without = {name: value for name, value in env.items() if name != contract.COUNTERS_URL_ENV}
    ours = {contract.WORKERS_ENV: str(workers), GATEWAY_ID_ENV: make_gateway_id()}
    return {**without, **ours} | ({contract.COUNTERS_URL_ENV: url} if url else {})


def envoy_command(program: str, threads: int) -> tuple[str, ...]:
    """What all lives of the edge have in common."""
    return (
        *(program, "-c", str(contract.BOOTSTRAP)),
        *("--concurrency", str(threads)),
        *("--drain-time-s", "600"),
        *("--file-flush-interval-msec", "20"),  # how late a request's end is, and what a killed Envoy loses
        *("--log-level", "warning"),
    )


def envoy_env(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of the edge. Its allocator has caches for each core only where glibc, from 2.35 on, leaves the
    kernel's restartable sequences to it: a request takes a thousand allocations."""
    tunables = [env["GLIBC_TUNABLES"]] if env.get("GLIBC_TUNABLES") else []
    return {**env, "GLIBC_TUNABLES": ":".join([*tunables, "glibc.pthread.rseq=0"])}


def envoy(env: Mapping[str, str], launcher: EnvoyLauncher) -> PartSpec:
    """The edge, which the `launcher` starts."""
    return PartSpec(
        name=ENVOY,
        command=launcher.command,
        env=env,
        probe=probes.envoy_live(EnvoyAdmin(contract.ENVOY_ADMIN_SOCKET)),
        digest=launcher.digest,
        outlives=True,
        launch=launcher.start,
    )


def sockets(specs: Sequence[PartSpec]) -> list[Path]:
    """Every Unix socket that these parts open."""
    return [socket for spec in specs for socket in spec.sockets]
