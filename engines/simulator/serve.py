"""One simulator process: listen, answer until cancelled or told to stop, finish what is running."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Final

from aiohttp import web

from engines.simulator.app import Simulator
from engines.simulator.options import Options
from engines.simulator.record import Record

__all__ = ["Options", "serve"]

GRACE_S: Final = 5.0  # how long running answers may go on after SIGTERM
_POLL_S: Final = 0.02
_BACKLOG: Final = 4096
_MAX_HEADER_BYTES: Final = 64 << 10


async def serve(host: str, port: int, options: Options, ready: Callable[[int], None] | None = None) -> None:
    """Answer on `host:port` until cancelled, or until SIGTERM or SIGINT and the running answers have ended.

    Port 0 takes a free one; `ready` is called with the real port once connections are accepted. Raises
    `OSError` when the address cannot be had or the record file cannot be opened, `DeadEngineError` when a real engine
    would have died.
    """
    record = Record(options.record)
    simulator = Simulator(options, record)
    runner = web.AppRunner(
        simulator.application(),
        access_log=None,
        handler_cancellation=True,  # a client that leaves is noticed while a token is waited for
        shutdown_timeout=0.1,  # _drained has waited already
        max_line_size=_MAX_HEADER_BYTES,
        max_field_size=_MAX_HEADER_BYTES,
    )
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=_BACKLOG)
    try:
        with _stop_signals() as stopped:
            if not await _stopped_within(stopped, options.start_delay_s):
                await site.start()
                if ready is not None:
                    ready(runner.addresses[0][1])
                await _first_of(stopped, simulator.died)
                await site.stop()
            await _drained(simulator)
    finally:
        simulator.stopping = True
        await runner.cleanup()
        record.close()
    if simulator.death is not None:
        raise simulator.death


@contextlib.contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """Yield an event that SIGTERM and SIGINT set. Outside the main thread there are none."""
    loop, stopped, taken = asyncio.get_running_loop(), asyncio.Event(), []
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(RuntimeError, ValueError):
            loop.add_signal_handler(number, stopped.set)
            taken.append(number)
    try:
        yield stopped
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


async def _stopped_within(stopped: asyncio.Event, delay_s: float) -> bool:
    """Wait as a starting engine does; nobody can connect meanwhile."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(delay_s):
            return await stopped.wait()
    return False


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _drained(simulator: Simulator) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE_S):
            while simulator.running:  # noqa: ASYNC110  a poll at the end of a process; no event per request for it
                await asyncio.sleep(_POLL_S)
