"""Soft limits that were crossed: each is a log line, a metric and, where gateway.yaml names a receiver, a webhook.
What control leaves for that receiver goes the same way.

Webhooks are queued on the disk before anything else happens to them, and delivered at least once, always with the
same id. Nothing here can hold up or end the ledger.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import aiohttp
import msgspec
import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential, wait_random

from headgate import alert_metrics as metrics
from headgate.limits import KINDS, LimitsRow
from headgate.metric_names import TENANTS_CAP, Names
from headgate.snapshot import AlertsRow
from headgate.ticks import until_next
from ledger.alerting import handed, webhook
from ledger.alerting.alert_event import Crossed, balance_of, end_ms, event_of, id_of, kind_of, tenant_of
from ledger.alerting.alert_queue import AlertQueue, Entry, Message
from ledger.showing.limit_words import amount
from ledger.tables import Tables

GIVE_UP_S = 86_400.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 600.0
AT_ONCE = 4
LOOK_EVERY_S = 1.0  # for a receiver that a reload has changed

T = TypeVar("T")

log = structlog.get_logger()


class Alerts:
    """`on_alerts` takes note; `run` delivers."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._queue = AlertQueue()
        self._thread = ThreadPoolExecutor(1, "alerts")  # the queue's: someone may lock its file
        self._tenants = Names(TENANTS_CAP)
        self._woken = asyncio.Event()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._finished: set[str] = set()  # of those that wait, as far as the file knows
        self._fails = False
        metrics.WEBHOOKS_WAITING.set(self._waiting_count())

    async def on_alerts(self, tenant: str, crossed: Iterable[Crossed]) -> None:
        """Soft limits of a tenant that were crossed; what was told before is left out. Queued when it returns."""
        try:
            await self._on_alerts(tenant, crossed)
        except Exception:  # a bug must not hold up who settles
            log.exception("alerts failed", tenant=tenant)

    async def run(self) -> None:
        """Deliver, until cancelled."""
        async with webhook.session() as client:
            try:
                await self._run(client)
            finally:
                await self._let_go()

    async def erase(self, tenant: str) -> int:
        """Drop what waits to be told of a tenant; how many messages. Raises sqlite3.Error, OSError."""
        files = await self._in_thread(lambda: handed.erase(lambda body: tenant_of(body) == tenant))
        gone = await self._in_thread(lambda: self._queue.erase(lambda body: tenant_of(body) == tenant))
        for message_id in gone:
            if task := self._under_way.pop(message_id, None):
                task.cancel()
        await self._count()
        return len(gone) + files

    async def waiting_of(self, tenant: str) -> int:
        """How many messages about it wait. Raises sqlite3.Error, OSError."""
        waiting = await self._in_thread(self._queue.waiting)
        files = await self._in_thread(lambda: handed.waiting(lambda body: tenant_of(body) == tenant))
        return files + sum(tenant_of(message.body) == tenant for message in waiting)

    def close(self) -> None:
        """Let go of the queue's file."""
        self._thread.submit(self._queue.close)
        self._thread.shutdown()

    async def _on_alerts(self, tenant: str, crossed: Iterable[Crossed]) -> None:
        known: dict[str, Crossed] = {}
        for one in crossed:
            if kind_of(one.name) in KINDS:  # a newer gateway on the same counters may know more of them
                known.setdefault(id_of(tenant, one, self._queue.salt), one)
        limits = self._tables.limits_of(tenant).row
        new = await self._keep([self._entry(tenant, one, message_id, limits) for message_id, one in known.items()])
        for message_id, one in known.items():
            if message_id in new:
                self._say(tenant, one, limits)
        self._woken.set()

    def _entry(self, tenant: str, crossed: Crossed, message_id: str, limits: LimitsRow) -> Entry:
        body = msgspec.json.encode(event_of(tenant, crossed, limits)) if self._receiver() else None
        return Entry(message_id, end_ms(crossed, limits) / 1000, body)

    async def _keep(self, entries: Sequence[Entry]) -> set[str]:
        """The ids that were not told before: all, when nobody knows."""
        try:
            new, dropped = await self._in_thread(lambda: self._queue.add(entries))
        except sqlite3.Error as error:
            log.error("alerts can't be queued", alerts=len(entries), reason=error.sqlite_errorname)  # noqa: TRY400
            return {entry.id for entry in entries}
        if dropped:
            metrics.WEBHOOKS.labels("dropped").inc(dropped)
            log.error("too many webhooks wait: new ones are dropped", dropped=dropped)
        await self._count()
        return set(new)

    def _say(self, tenant: str, crossed: Crossed, limits: LimitsRow) -> None:
        kind = kind_of(crossed.name)
        metrics.SOFT_LIMITS.labels(self._tenants.label(tenant), kind).inc()
        if (balance := balance_of(crossed, limits)) is not None:
            log.warning("credits are low", tenant=tenant, balance=amount(kind, balance))
            return
        used, soft = amount(kind, crossed.used), amount(kind, crossed.soft)
        log.warning("soft limit exceeded", tenant=tenant, limit=crossed.name, used=used, soft=soft)

    def _receiver(self) -> AlertsRow | None:
        snapshot = self._tables.snapshot()
        return snapshot.alerts if snapshot else None

    async def _run(self, client: aiohttp.ClientSession) -> None:
        receiver: AlertsRow | None = None
        while True:
            self._woken.clear()
            if receiver != self._receiver():  # who waits for the old one's return has waited long enough
                receiver = self._receiver()
                await self._let_go()
            await self._take_over(has_receiver=receiver is not None)
            try:
                if receiver:
                    await self._start(client, receiver)
            except Exception:  # a bug must not end the delivery for good
                log.exception("alerts failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until_next(LOOK_EVERY_S)):
                    await self._woken.wait()

    async def _take_over(self, *, has_receiver: bool) -> None:
        """What control has left. What the queue does not take now stays where it is."""
        if self._tables.snapshot() is None or not has_receiver:  # nobody knows yet of one, or there is none
            return
        try:
            if await self._in_thread(lambda: handed.take_over(self._queue, has_receiver=has_receiver)):
                await self._count()
        except (sqlite3.Error, OSError) as error:
            log.error("what control has left can't be queued", reason=type(error).__name__)  # noqa: TRY400

    async def _start(self, client: aiohttp.ClientSession, receiver: AlertsRow) -> None:
        """A task for each that waits and has none; it ends with its message's matter."""
        self._under_way = {message_id: task for message_id, task in self._under_way.items() if not task.done()}
        for message in await self._waiting():
            if message.id in self._finished:
                await self._finish(message)
            elif message.id not in self._under_way:
                task = asyncio.create_task(self._deliver(client, receiver, message))
                self._under_way[message.id] = task

    async def _waiting(self) -> list[Message]:
        try:
            return await self._in_thread(self._queue.waiting)
        except sqlite3.Error as error:
            log.error("the queue of alerts can't be read", reason=error.sqlite_errorname)  # noqa: TRY400
            return []

    async def _let_go(self) -> None:
        tasks, self._under_way = list(self._under_way.values()), {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _deliver(self, client: aiohttp.ClientSession, receiver: AlertsRow, message: Message) -> None:
        left_s = message.queued_s + GIVE_UP_S - time.time()
        retrying = AsyncRetrying(
            wait=wait_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S) + wait_random(0, FIRST_PAUSE_S),
            stop=stop_after_delay(max(left_s, 0.0)),
            retry=retry_if_exception_type(webhook.Undelivered),
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    await self._send(client, receiver, message)
        except Exception:  # the task's boundary: its time is over, or a bug costs this message
            log.exception("webhook given up", webhook_id=message.id)
            metrics.WEBHOOKS.labels("given_up").inc()
        await self._finish(message)

    async def _send(self, client: aiohttp.ClientSession, receiver: AlertsRow, message: Message) -> None:
        async with self._places:
            try:
                await webhook.send(client, receiver, message.id, message.body)
            except webhook.Undelivered as undelivered:
                metrics.WEBHOOKS.labels("failed").inc()
                self._on_failure(undelivered)
                raise
        metrics.WEBHOOKS.labels("delivered").inc()
        log.info("webhook delivered", webhook_id=message.id)
        self._fails = False

    def _on_failure(self, undelivered: webhook.Undelivered) -> None:
        """One line until it goes well again: there may be many, and each is tried for a day."""
        if not self._fails:
            self._fails = True
            log.warning("webhooks can't be delivered: they are tried again", reason=str(undelivered))

    async def _finish(self, message: Message) -> None:
        """Not to be sent again, even where the file can't be told so now."""
        self._finished.add(message.id)
        try:
            await self._in_thread(lambda: self._queue.finish(message.id))
        except sqlite3.Error as error:
            log.error("the queue of alerts can't be written", reason=error.sqlite_errorname)  # noqa: TRY400
        else:
            self._finished.discard(message.id)
        await self._count()

    async def _count(self) -> None:
        metrics.WEBHOOKS_WAITING.set(await self._in_thread(self._waiting_count))

    def _waiting_count(self) -> int:
        with contextlib.suppress(sqlite3.Error):
            return self._queue.waiting_count()
        return 0

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
