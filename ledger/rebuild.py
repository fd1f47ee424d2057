"""Writes all sums of the current calendar windows to the counters, whenever these may not have them.

At the start, when the counters are back or were emptied, for tenants whose limits have changed, and once an hour.
Sums carry the number of the transaction that they are of, so that settling goes on meanwhile.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable

import structlog

from headgate import metrics
from headgate.counters.calendar import DAY_MS, window_of
from headgate.counters.client import Failed
from headgate.counters.settlement import Sum
from ledger.books import Books, Window
from ledger.settlement import Settlement
from ledger.tables import Tables
from ledger.usage import Used, Where

EVERY_S = 3600.0
LOOK_EVERY_S = 1.0  # whether the counters were emptied
LONGEST_PAUSE_S = 300.0  # between looks, while what is written stays lost
_AT_ONCE = 10  # tenants
_PAUSE_AFTER = 500  # rows: settling must not wait

log = structlog.get_logger()


class Rebuild:
    """`ask` for it from anywhere; `run` does it."""

    def __init__(self, settlement: Settlement, books: Books, tables: Tables, gateway: str) -> None:
        self._settlement = settlement
        self._books = books
        self._tables = tables
        self._gateway = gateway
        self._wanted: dict[str, None] = {}  # tenants, in order
        self._changed: set[str] = set()  # those of them whose limits have changed
        self._all = ""  # why all of them
        self._example = ""  # a tenant whose sums are there
        self._pause_s = LOOK_EVERY_S
        self._next_look = 0.0
        self._asked = asyncio.Event()
        self.is_done = asyncio.Event()  # once everything that was asked for is there

    def ask(self, reason: str) -> None:
        """Have everything written anew."""
        self._all = reason
        self._ask()

    def ask_for(self, tenants: Iterable[str]) -> None:
        """Have the sums of these tenants, whose limits have changed, written before others."""
        tenants = list(tenants)
        self._changed.update(tenants)
        self._wanted = dict.fromkeys((*tenants, *self._wanted))
        if self._wanted:
            self._ask()

    async def run(self) -> None:
        """Write what is asked for; look after what nobody asks for."""
        hour = time.monotonic() + EVERY_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._asked.wait()
            if time.monotonic() >= hour:
                hour = time.monotonic() + EVERY_S
                self.ask("hourly")
            elif not self._asked.is_set() and time.monotonic() >= self._next_look:
                await self._look()
            if self._asked.is_set():
                await self._write()

    async def _look(self) -> None:
        """Have sums that are lost written again, ever more seldom while that is of no use."""
        if not await self._is_lost():
            self._pause_s = LOOK_EVERY_S
            return
        self._next_look = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        log.warning("counters have lost the calendar's sums: they are written again")
        self.ask("lost")

    def _ask(self) -> None:
        self._asked.set()
        self.is_done.clear()

    async def _write(self) -> None:
        began, reason, number = time.monotonic(), self._all or "reload", 0
        while self._all or self._wanted:
            if self._all:
                reason, self._all, self._example = self._all, "", ""
                metrics.REBUILDS.labels(reason).inc()
                self._wanted = dict.fromkeys((*self._wanted, *self._tables.limited()))
            some = list(self._wanted)[:_AT_ONCE]
            for name in some:
                del self._wanted[name]
            number += sum(await asyncio.gather(*map(self._write_tenant, some)))
        self._asked.clear()
        self.is_done.set()
        if number:
            took_s = round(time.monotonic() - began, 3)
            log.info("sums of the calendar windows are written", tenants=number, reason=reason, took_s=took_s)

    async def _write_tenant(self, tenant: str) -> bool:
        limits = self._tables.limits_of(tenant)
        if not limits.has_calendar and tenant not in self._changed:
            return False
        self._changed.discard(tenant)  # what is written for no limits at all ends what was written before
        now_ms = time.time_ns() // 1_000_000
        first, end = (at // DAY_MS for at in window_of("month", limits.row.anniversary, now_ms))
        today = now_ms // DAY_MS
        sequence, used = await self._books.used(tenant, (first, end), today)
        sums: dict[str, Sum] = {}
        for number, one in enumerate(used, 1):
            for window, amount in self._amounts(tenant, today, one):
                limit = window.limit
                so_far = sums[limit.key].value if limit.key in sums else 0
                sums[limit.key] = Sum(limit, window.start_ms, so_far + amount, sequence)
            if number % _PAUSE_AFTER == 0:
                await asyncio.sleep(0)
        await self._settlement.write_sums(tenant, limits.base_key, list(sums.values()))
        self._example = self._example or tenant
        return True

    def _amounts(self, tenant: str, today: int, one: Used) -> list[tuple[Window, int]]:
        where = Where(tenant, today, one.key, one.model, one.user)
        return [
            (window, (one.day if window.limit.kind.shape == "day" else one.month).of(window.limit.kind.dimension))
            for window in self._books.windows_at(where)
        ]

    async def _is_lost(self) -> bool:
        """Whether they are gone of one tenant, as an example of all."""
        if self._example:
            with contextlib.suppress(Failed):
                base = self._tables.limits_of(self._example).base_key
                return not await self._settlement.persist("HEXISTS", base, self._gateway)
        return False
