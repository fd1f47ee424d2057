"""The ledger's process: the follower, the feed's writer, their connections to the counters, and a socket that says
how far it is.
"""

import asyncio
import contextlib
import os
import signal
import sys

import msgspec
import structlog
import uvloop

from headgate.contract import LEDGER, LEDGER_SOCKET, SPOOL
from headgate.counters.address import counters_address
from headgate.counters.client import Counters
from headgate.feed.identity import gateway_id, make_gateway_id
from headgate.feed.publisher import Publisher
from ledger.attempt_files import AttemptFiles
from ledger.failed_requests import FailedRequests
from ledger.follower import Follower
from ledger.health import HealthWatcher
from ledger.metrics import RequestMetrics
from ledger.price_lists import PriceLists
from ledger.rests import AttemptMetrics, Rests
from ledger.settlement import Settlement

# The counters' own time: nobody waits for a settlement, so that a slow server is waited for.
COUNTERS_TIMEOUT_S = 5.0
FEED_TIMEOUT_S = 1.0  # what was to be told then is said again anyway
FLUSH_EVERY_S = 1.0
PRUNE_EVERY_S = 300.0
END_S = 3.0  # for the last lines, once it is told to stop

log = structlog.get_logger()


def run(*, lifeline: bool) -> None:
    """Follows the spool of the working directory until SIGTERM, SIGINT or, with `lifeline`, the end of its stdin."""
    for folder in (SPOOL, LEDGER, LEDGER_SOCKET.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    uvloop.run(_serve(lifeline=lifeline))


async def _serve(*, lifeline: bool) -> None:
    counters = Counters(counters_address(), COUNTERS_TIMEOUT_S, _on_change)
    # Of its own: what goes wrong with telling must not hold up settling.
    feed_counters = Counters(counters_address(), FEED_TIMEOUT_S, _on_feed_change)
    publisher = Publisher(feed_counters, gateway_id() or make_gateway_id())
    failed = FailedRequests()
    prices = PriceLists()
    follower = _follower(counters, publisher, failed, prices)
    counters.start()
    feed_counters.start()
    beside = [
        asyncio.create_task(work)
        for work in (publisher.run(), HealthWatcher(publisher.take_health).run(), _flush(failed), _prune(prices))
    ]
    stop = asyncio.Event()
    LEDGER_SOCKET.unlink(missing_ok=True)
    listener = await asyncio.start_unix_server(_answering(follower), str(LEDGER_SOCKET))
    ends = asyncio.create_task(_end(lifeline=lifeline))
    ends.add_done_callback(lambda _: follower.stop(stop))
    log.info("ledger started", pid=os.getpid())
    following = asyncio.create_task(follower.run(stop))
    await asyncio.wait({following, ends}, return_when=asyncio.FIRST_COMPLETED)
    try:
        await asyncio.wait_for(following, END_S)  # raises what it failed of: then a supervisor starts it again
    except TimeoutError:
        log.warning("ledger stops with lines to settle: the next one goes on with them", **follower.state())
    listener.close()
    for task in beside:
        task.cancel()
    await asyncio.wait(beside)
    failed.flush(all_of_them=True)
    await counters.close()
    await feed_counters.close()
    log.info("ledger stopped")


def _follower(counters: Counters, publisher: Publisher, failed: FailedRequests, prices: PriceLists) -> Follower:
    """Who reads the lines, and who is shown them."""
    counts = AttemptMetrics()
    attempts = AttemptFiles((counts.on_attempt, Rests(publisher).on_attempt, failed.on_attempt))
    requests = RequestMetrics(prices.cost_of)
    return Follower(Settlement(counters), attempts, (requests.on_line, counts.on_line, failed.on_line))


async def _flush(failed: FailedRequests) -> None:
    while True:
        await asyncio.sleep(FLUSH_EVERY_S)
        failed.flush()


async def _prune(prices: PriceLists) -> None:
    while True:
        prices.prune()
        await asyncio.sleep(PRUNE_EVERY_S)


def _answering(follower: Follower) -> "asyncio.streams._ClientConnectedCallback":
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(msgspec.json.encode(follower.state()) + b"\n")
            await writer.drain()
        writer.close()

    return answer


def _on_change(reason: str | None) -> None:
    if reason is None:
        log.info("counters are back: settling goes on")
    else:
        log.error("counters are away: settling waits", reason=reason)


def _on_feed_change(reason: str | None) -> None:
    if reason is not None:
        log.warning("feed can't be told", reason=reason)
    else:
        log.info("feed is told again")


async def _end(*, lifeline: bool) -> None:
    """Returns when the process should stop."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if lifeline:
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader, loop=loop), sys.stdin)
        watch = asyncio.create_task(_until_eof(reader, ended))
        await ended.wait()
        watch.cancel()
    else:
        await ended.wait()


async def _until_eof(reader: asyncio.StreamReader, ended: asyncio.Event) -> None:
    while await reader.read(4096):
        pass
    ended.set()
