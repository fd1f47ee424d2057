"""The end, in order: Envoy takes no more and finishes what runs, then the workers, then what they used.

Measured facts about Envoy's draining are in `envoy_admin`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from headgate import contract
from headgate.supervise import metric_files, parts, state
from headgate.supervise.envoy_admin import EnvoyAdmin, until_idle
from headgate.supervise.part import END_GRACE_S, Part
from headgate.supervise.process import Process

log = structlog.get_logger()

# The bridge lets its clients go while Envoy finishes their requests.
ORDER: tuple[tuple[str, ...], ...] = (
    (parts.ENVOY, parts.BRIDGE),
    (parts.WORKERS, parts.CONTROL),
    (parts.LEDGER, parts.ENGINES),
    (parts.USAGE,),
    (parts.SIMULATOR, parts.REPLICAS),
    (parts.VALKEY,),
)


async def drain_and_end(process: Process, admin: EnvoyAdmin, drain_s: float, hurry: asyncio.Event) -> None:
    """Let an Envoy finish its requests for up to `drain_s`, or until `hurry` is set, and end it."""
    active: int | None = None
    if not hurry.is_set():
        try:
            await admin.drain()
            active = await until_idle(admin, drain_s, hurry)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("envoy could not be drained", pid=process.pid, error=type(error).__name__)
    if active:
        log.warning("requests cut", pid=process.pid, active=active, drain_s=drain_s)
    await process.end(END_GRACE_S)


async def stop_parts(
    running: Sequence[Part],
    replaced: Mapping[str, Callable[[], Awaitable[object]]],
    drain_s: float,
    hurry: asyncio.Event,
) -> None:
    """End every part; a part's users go before it. `replaced` ends what a kind of parts has replaced, in its turn."""
    for stage in ORDER:
        ends = [_stop(part, drain_s, hurry) for part in running if part.name.startswith(stage)]
        others = [end() for prefix, end in replaced.items() if prefix in stage]
        await asyncio.gather(*ends, *others)


def clean_up(sockets: Sequence[Path]) -> None:
    """Remove what only running parts need: sockets, secrets, the record of processes."""
    for socket in sockets:
        socket.unlink(missing_ok=True)
    state.remove_secrets()
    metric_files.remove()
    contract.PARTS.unlink(missing_ok=True)
    ours = (contract.ADMIN_ADDRESS, contract.CONTROL_SOCKET, contract.ENVOY_ADMIN_SOCKET, contract.INNER_SOCKET)
    for path in ours:
        path.unlink(missing_ok=True)


async def _stop(part: Part, drain_s: float, hurry: asyncio.Event) -> None:
    part.retire()
    if part.name == parts.ENVOY and part.process:
        await drain_and_end(part.process, EnvoyAdmin(contract.ENVOY_ADMIN_SOCKET), drain_s, hurry)
    if part.name == parts.BRIDGE and part.process:
        part.process.let_end()
        await _either(part.process.wait(), hurry.wait(), within_s=drain_s)
    await part.stop()


async def _either(*waits: Coroutine[Any, Any, object], within_s: float) -> None:
    """Until the first of them has come, or the time is over."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
