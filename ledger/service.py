"""The ledger's process: the follower and its database, the feed's writer, their connections to the counters, and
the sockets that say how far it is and how limits stand.
"""

import asyncio
import contextlib
import gc
import os

import msgspec
import structlog
import uvloop

from headgate.contract import DIRECTORY, LEDGER, LEDGER_QUESTIONS, LEDGER_SOCKET, SPOOL
from headgate.counters.address import counters_address
from headgate.counters.client import Counters
from headgate.directory.following import Following
from headgate.feed.identity import gateway_id, make_gateway_id
from headgate.feed.publisher import Publisher
from headgate.lifeline import until_end
from headgate.ticks import until_next
from ledger.alerting.alerts import Alerts
from ledger.erasing.erased import Erased
from ledger.erasing.erasure import Eraser
from ledger.issuers.issuer_keys import KeyKeeper
from ledger.journal.keeping import JournalKeeper, progress_of_all
from ledger.pricing.guesses import Guesses
from ledger.pricing.price_lists import PriceLists
from ledger.settling.books import Books
from ledger.settling.budget_ends import BudgetEnds
from ledger.settling.engine_slots import EngineSlots
from ledger.settling.estimates import Estimates
from ledger.settling.rebuild import Rebuild
from ledger.settling.settlement import Settlement
from ledger.settling.usage_store import UsageStore
from ledger.showing.budget_gauges import BudgetGauges
from ledger.showing.failed_requests import FailedRequests
from ledger.showing.key_uses import KeyUses
from ledger.showing.metrics import RequestMetrics
from ledger.showing.queries import Queries
from ledger.spool.attempt_files import AttemptFiles
from ledger.spool.follower import Follower
from ledger.spool.quarantine import Quarantine
from ledger.spool.reading import LineReader
from ledger.tables import Tables
from ledger.telling.corrections import Corrections
from ledger.telling.figures import FigureLearner
from ledger.telling.health import HealthWatcher
from ledger.telling.left import LeftLearner
from ledger.telling.refused_keys import RefusedKeys
from ledger.telling.rests import AttemptMetrics, Rests

# The counters' own time: nobody waits for a settlement, so that a slow server is waited for.
COUNTERS_TIMEOUT_S = 5.0
FEED_TIMEOUT_S = 1.0  # what was to be told then is said again anyway
FLUSH_EVERY_S = 1.0
PRUNE_EVERY_S = 300.0
# Who waits for the socket waits for the calendar's sums: without them nobody can say what is used.
SUMS_WITHIN_S = 5.0
END_S = 3.0  # for the last lines, once it is told to stop

USAGE = LEDGER / "usage.db"

# Nothing of a line is in a cycle, and all of a backlog's batch lives for as long as it is worked at: looking through
# it after every 700 objects took a twelfth of settling.
_GARBAGE_AFTER = 50_000

log = structlog.get_logger()


def run(*, lifeline: bool) -> None:
    """Follows the spool of the working directory until SIGTERM, SIGINT or, with `lifeline`, the end of its stdin."""
    for folder in (SPOOL, LEDGER, LEDGER_SOCKET.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    gc.set_threshold(_GARBAGE_AFTER)
    uvloop.run(_serve(lifeline=lifeline))


async def _serve(*, lifeline: bool) -> None:
    parts = Parts()
    parts.start()
    stop = asyncio.Event()
    ends = asyncio.create_task(until_end(lifeline=lifeline))
    ends.add_done_callback(lambda _: parts.follower.stop(stop))
    log.info("ledger started", pid=os.getpid())
    following = asyncio.create_task(parts.follower.run(stop))
    first = {following, ends, *parts.beside}
    listeners = await _listen(parts, first)
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    parts.follower.stop(stop)
    try:
        await asyncio.wait_for(following, END_S)  # raises what it failed of: then a supervisor starts it again
    except TimeoutError:
        log.warning("ledger stops with lines to settle: the next one goes on with them", **parts.follower.state())
    for listener in listeners:
        listener.close()
    broken = [task for task in parts.beside if task.done()]
    await parts.close()
    for task in broken:
        task.result()  # raises, too
    log.info("ledger stopped")


class Parts:
    """What the process is made of."""

    def __init__(self) -> None:
        gateway = gateway_id() or make_gateway_id()
        self.counters = Counters(counters_address(), COUNTERS_TIMEOUT_S, self._on_change)
        # Of its own: what goes wrong with telling must not hold up settling.
        self.feed_counters = Counters(counters_address(), FEED_TIMEOUT_S, _on_feed_change)
        self.publisher = Publisher(self.feed_counters, gateway)
        self.refused = RefusedKeys(self.publisher)
        self.failed = FailedRequests()
        self.key_uses = KeyUses()
        self.tables = Tables(Following(DIRECTORY))
        self.guesses = Guesses()
        self.prices = PriceLists(self.guesses.guess_of)
        self.alerts = Alerts(self.tables)
        self.corrections = Corrections(self.publisher.take_factors, self.tables)
        self.figures = FigureLearner(self.publisher.take_figures, self.tables)
        self.queries = Queries(self.tables, self.feed_counters)
        self.books = Books(UsageStore(USAGE, progress_of_all), self.tables.limits_of)
        self.journal, self.quarantine = JournalKeeper(self.books), Quarantine()
        self.settlement = Settlement(self.counters, self.books, self.tables, gateway, self.alerts.on_alerts)
        self.budgets = BudgetEnds(self.tables.purse_of, self.prices.provider_price_of)
        self.estimates = Estimates(
            self.settlement, self.books, self.tables, self.prices.price_of, self.counters, self.budgets
        )
        self.rebuild = Rebuild(self.settlement, self.books, self.tables, self.counters, gateway)
        self.erased = Erased()
        self.eraser = Eraser(self.erased, self.books, self.alerts, self.counters, self.quarantine)
        self.slots = EngineSlots(self.counters, self.tables.snapshot)
        self.follower = self._follower()
        self.counters_are_away = asyncio.Event()
        self.beside: list[asyncio.Task[None]] = []
        self._gone: set[str] = set()
        self._again: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Connect, and do all that is done beside following."""
        self.counters.start()
        self.feed_counters.start()
        self.tables.look()
        self.rebuild.ask("start")
        works = (
            self.publisher.run(),
            HealthWatcher(self.publisher.take_health, self.tables.loads, self.publisher.take_load).run(),
            self.alerts.run(),
            self.estimates.run(self.follower.epochs),
            self.rebuild.run(),
            self.slots.run(),
            BudgetGauges(self.tables.snapshot, self.feed_counters).run(),
            self.eraser.run(self.follower),
            self.journal.run(),
            KeyKeeper(self.tables.snapshot).run(),
            self._flush(),
            self._prune(),
        )
        self.beside = [asyncio.create_task(work) for work in works]

    async def close(self) -> None:
        """End what was started."""
        self.settlement.stop()
        beside = [*self.beside, *self._again]
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
        self.failed.flush(all_of_them=True)
        self.key_uses.flush(at_once=True)
        self.corrections.save()
        self.guesses.save()
        self.alerts.close()
        self.books.close()
        await self.counters.close()
        await self.feed_counters.close()

    def _follower(self) -> Follower:
        """Who reads the lines, and who is shown them."""
        counts = AttemptMetrics()
        rests, figures = Rests(self.publisher), self.figures
        attempts = AttemptFiles(
            (counts.on_attempt, rests.on_attempt, self.refused.on_attempt, self.failed.on_attempt, figures.on_attempt)
        )
        requests, left = RequestMetrics(self.prices.cost_of), LeftLearner(self.publisher)
        reading = LineReader(
            self.prices.price_of,
            (
                requests.on_line,
                counts.on_line,
                self.failed.on_line,
                self.corrections.on_line,
                self.guesses.on_line,
                figures.on_line,
                self.refused.on_line,
                left.on_line,
                self.key_uses.on_line,
            ),
            self.budgets,
            requests.flush,
            self.erased,
            self.quarantine,
            self.tables.kept_for_s,
            self.slots.on_end,
        )
        return Follower(
            self.settlement,
            self.estimates,
            self.books,
            self.tables,
            attempts,
            reading,
            self.rebuild.ask_for,
            self.journal.are_stored,
            self.slots.close_epoch,
        )

    def _on_change(self, node: str, reason: str | None) -> None:
        which = {"node": node} if node else {}
        if reason is not None:
            self._gone.add(node)
            self.counters_are_away.set()
            what = "a node of the counters is away: settling its tenants waits"
            log.error(what if node else "counters are away: settling waits", reason=reason, **which)
            return
        self._gone.discard(node)
        if not self._gone:
            self.counters_are_away.clear()
        what = "a node of the counters is there: settling its tenants goes on"
        log.info(what if node else "counters are back: settling goes on", **which)
        again = asyncio.create_task(self.settlement.settle_again(node))
        self._again.add(again)
        again.add_done_callback(self._again.discard)
        self.rebuild.ask("reconnect", node)

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(until_next(FLUSH_EVERY_S))
            self.failed.flush()
            self.key_uses.flush()
            self.refused.look()
            self.corrections.save()
            self.guesses.save()
            self.figures.tell()

    async def _prune(self) -> None:
        while True:
            self.prices.prune()
            if present := self.follower.files():
                await self.books.prune(present, self.tables.spool.keep_s, self.tables.may_have_account)
            with contextlib.suppress(OSError):
                self.quarantine.prune()
            await asyncio.sleep(PRUNE_EVERY_S)


async def _listen(parts: Parts, ends: "set[asyncio.Task[None]]") -> list[asyncio.Server]:
    """Open the sockets, as soon as the counters know what was used, or can't be told, or `ends` have come."""
    for path in (LEDGER_SOCKET, LEDGER_QUESTIONS):
        path.unlink(missing_ok=True)
    known = {asyncio.create_task(event.wait()) for event in (parts.rebuild.is_done, parts.counters_are_away)}
    await asyncio.wait({*known, *ends}, timeout=SUMS_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    for task in known:
        task.cancel()
    return [
        await asyncio.start_unix_server(_answering(parts.follower), str(LEDGER_SOCKET)),
        await asyncio.start_unix_server(parts.queries.connected, str(LEDGER_QUESTIONS)),
    ]


def _answering(follower: Follower) -> "asyncio.streams._ClientConnectedCallback":
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(msgspec.json.encode(follower.state()) + b"\n")
            await writer.drain()
        writer.close()

    return answer


def _on_feed_change(node: str, reason: str | None) -> None:
    if node:  # any other one will do
        return
    if reason is not None:
        log.warning("feed can't be told", reason=reason)
    else:
        log.info("feed is told again")
