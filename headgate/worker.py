"""A worker process: loads the tables, serves the gRPC services of its parts on one socket, drains on SIGTERM.

Beside the tables it follows the directory. Knows no service by itself: parts are module names with
`services(holder)`, so that one process can hold all filters (as under `headgate up`) or one of them (as in a
container of its own).
"""

import asyncio
import importlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvloop

from headgate import metrics, tracing
from headgate.directory.following import Following
from headgate.grpc_server import Limits, Metadata, Method, Server
from headgate.lifeline import until_end
from headgate.snapshot import Snapshot
from headgate.tables import Holder

PARTS = {
    "authz": ("authz.service",),
    "extproc": ("extproc.service", "ratelimit.service"),  # which has every plan's reservation made
    "ratelimit": ("ratelimit.service",),
    "filters": ("authz.service", "extproc.service", "ratelimit.service"),
}

# Above the largest request body that Envoy may send in one message, its headers included.
LIMITS = Limits(message_bytes=2**30 + 2**20)
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"  # grpc.health.v1.HealthCheckResponse.status

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """`address` is a gRPC address (`unix:run/worker-0.sock`, `127.0.0.1:9101`); `directory` where control writes."""

    part: str
    address: str
    lifeline: bool
    drain_s: float
    directory: Path | None = None


class TablesError(Exception):
    """There are no tables that could be used; the text says why, to the operator."""


@dataclass(frozen=True, slots=True)
class Tables:
    """Where the tables come from, at the start and at every SIGHUP: `read` raises TablesError when there are none.

    `said` is the file that says which generation of them is in use.
    """

    read: Callable[[], Snapshot]
    said: Path | None = None


def run(options: WorkerOptions, tables: Tables) -> None:
    """Serves until SIGTERM, SIGINT or, with `lifeline`, until standard input ends.

    Raises TablesError at the start; later, the tables in use stay.
    """
    uvloop.run(_serve(options, tables))


async def _serve(options: WorkerOptions, tables: Tables) -> None:
    asked = asyncio.Event()
    # Before the tables are read: what is written after that comes with a signal that is not lost.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    snapshot = tables.read()
    holder, methods = begin(options, snapshot)
    server = Server([health(lambda: True), *methods], LIMITS)
    await _listen(server, options.address)
    log.info("worker started", part=options.part, generation=snapshot.generation, pid=os.getpid())
    _say(tables, snapshot)
    beside = (
        asyncio.create_task(turn_when_asked(holder, tables, asked)),
        asyncio.create_task(holder.following.follow()),
    )
    await until_end(lifeline=options.lifeline)
    for task in beside:
        task.cancel()
    await server.close(options.drain_s)
    tracing.close()
    log.info("worker stopped", part=options.part)


def begin(options: WorkerOptions, snapshot: Snapshot) -> tuple[Holder, list[Method]]:
    """The parts' services, by these tables."""
    if snapshot.otlp_traces:
        tracing.configure(snapshot.otlp_traces, options.part)
    version = metrics.DIRECTORY_VERSION.labels(options.part)
    holder = Holder(snapshot, Following(options.directory, version.set))
    methods: list[Method] = []
    for module in PARTS[options.part]:
        methods.extend(importlib.import_module(module).services(holder))
    return holder, methods


async def turn_when_asked(holder: Holder, tables: Tables, asked: asyncio.Event) -> None:
    """Takes tables over whenever it is asked to, until it is cancelled."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            snapshot = tables.read()
            holder.swap(snapshot)
        except TablesError as error:
            log.error("tables not taken over", problem=str(error))  # noqa: TRY400 - it is no fault of ours
            continue
        except Exception:  # a bug: the tables in use go on
            log.exception("tables not taken over")
            continue
        _say(tables, snapshot)
        log.info("tables taken over", generation=snapshot.generation)


def _say(tables: Tables, snapshot: Snapshot) -> None:
    if tables.said:
        draft = tables.said.with_suffix(".draft")
        draft.write_text(f"{snapshot.generation}\n")
        draft.replace(tables.said)


async def _listen(server: Server, address: str) -> None:
    """Take a Unix socket's name only when it is served, from whoever has it: somebody always listens there."""
    scheme, _, path = address.partition(":")
    draft = Path(f"{path}.{os.getpid()}")
    await server.listen(f"unix:{draft}" if scheme == "unix" else address)
    if scheme == "unix":
        draft.replace(path)  # noqa: ASYNC240 - one system call


def health(is_serving: Callable[[], bool]) -> Method:
    """What Envoy's health checks ask."""

    def check(_request: bytes, _call: Metadata) -> bytes:
        return _SERVING if is_serving() else _NOT_SERVING

    return Method("grpc.health.v1.Health", "Check", check, bytes, streams=False)
