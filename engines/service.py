"""The process that knows the engines: watches their replicas, tells the workers, and says on a socket how they are.

Whatever it meets, requests do not notice: without it workers go by what Envoy sees of the engines itself.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable

import msgspec
import structlog
import uvloop

from engines.loading.adapters import Adapters
from engines.processes import Processes
from engines.slots import Slots
from engines.standing import standing
from engines.tables import Tables
from engines.watch.gpus import Gpus
from engines.watch.roster import Roster
from engines.watch.telling import Teller
from headgate.contract import ENGINES_SOCKET
from headgate.counters.address import counters_address
from headgate.counters.client import Counters
from headgate.engine_standing import EnginesStanding
from headgate.feed.identity import gateway_id, make_gateway_id
from headgate.lifeline import until_end

COUNTERS_TIMEOUT_S = 1.0  # what was to be told then is said again anyway

log = structlog.get_logger()


def run(*, lifeline: bool) -> None:
    """Watch the engines of the working directory's tables until SIGTERM, SIGINT or, with `lifeline`, stdin's end."""
    ENGINES_SOCKET.parent.mkdir(mode=0o700, exist_ok=True)
    uvloop.run(_serve(lifeline=lifeline))


async def _serve(*, lifeline: bool) -> None:
    tables = Tables()
    tables.look()
    counters = Counters(counters_address(), COUNTERS_TIMEOUT_S, _on_change)
    counters.start()

    def news() -> None:
        teller.news()
        adapters.news()

    gateway = gateway_id() or make_gateway_id()
    roster = Roster(tables, Processes(), news, lambda: adapters)
    teller = Teller(counters, gateway, roster.by_cluster)
    adapters = Adapters(lambda: tables.snapshot, roster.replicas, gateway)
    gpus = Gpus(lambda: any(row.gpus for row in tables.engines.values()))
    slots = Slots(counters, lambda: tables.snapshot, roster.by_cluster)
    ENGINES_SOCKET.unlink(missing_ok=True)
    listener = await asyncio.start_unix_server(
        _answering(lambda: standing(tables.engines, roster.replicas(), gpus.found, slots.found)), str(ENGINES_SOCKET)
    )
    log.info("engines started", pid=os.getpid())
    works = (roster.run(), teller.run(), slots.run(), gpus.run(), adapters.run(), until_end(lifeline=lifeline))
    running = {asyncio.create_task(work) for work in works}
    done, others = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    listener.close()
    for task in others:
        task.cancel()
    await asyncio.wait(others)
    await counters.close()
    for task in done:
        task.result()  # raises what it failed of: then a supervisor starts it again
    log.info("engines stopped")


def _answering(said: Callable[[], EnginesStanding]) -> "asyncio.streams._ClientConnectedCallback":
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(msgspec.json.encode(said()) + b"\n")
            await writer.drain()
        writer.close()

    return answer


def _on_change(node: str, reason: str | None) -> None:
    if node:  # any other one will do
        return
    if reason is not None:
        log.warning("workers can't be told of engines", reason=reason)
    else:
        log.info("workers are told of engines again")
