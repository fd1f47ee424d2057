"""Writes all sums of the current calendar windows to the counters, whenever these may not have them.

At the start, when the counters are back or were emptied, for tenants whose limits have changed, and once an hour.
Sums carry the number of the transaction that they are of, so that settling goes on meanwhile. Each node of a cluster
is looked after by itself.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable

import structlog

from headgate import metrics
from headgate.counters.calendar import DAY_MS, window_of
from headgate.counters.client import Counters, Unavailable
from headgate.counters.limits import TenantLimits
from headgate.counters.scripts import open_key
from headgate.counters.settlement import Sum
from headgate.ticks import until_next
from ledger.settling.books import Books, Window
from ledger.settling.settlement import Settlement
from ledger.settling.usage import NOT_KEPT_APART, Used, Where
from ledger.tables import Tables

EVERY_S = 3600.0
LOOK_EVERY_S = 1.0  # whether the counters were emptied
LONGEST_PAUSE_S = 300.0  # between looks, while what is written stays lost
_AT_ONCE = 10  # tenants
_PAUSE_AFTER = 500  # rows: settling must not wait

log = structlog.get_logger()


class Rebuild:
    """`ask` for it from anywhere; `run` does it."""

    def __init__(
        self, settlement: Settlement, books: Books, tables: Tables, counters: Counters, gateway: str
    ) -> None:
        self._settlement = settlement
        self._counters = counters
        self._books = books
        self._tables = tables
        self._gateway = gateway
        self._wanted: dict[str, None] = {}  # tenants, in order
        self._changed: set[str] = set()  # those of them whose limits have changed
        self._all = ""  # why all of them
        self._places: dict[str, str] = {}  # nodes of whose tenants all are wanted, and why
        self._later: dict[str, None] = {}  # tenants that could not be told while other nodes went on
        self._examples: dict[str, str] = {}  # of each node a tenant whose sums are there
        self._chosen_of: frozenset[str] = frozenset()  # the nodes that there were then
        self._pause_s = LOOK_EVERY_S
        self._next_look = 0.0
        self._asked = asyncio.Event()
        self.is_done = asyncio.Event()  # once everything that was asked for is there

    def ask(self, reason: str, place: str | None = None) -> None:
        """Have everything written anew, or all that a node of the counters has."""
        if place is None:
            self._all = reason
        else:
            self._places[place] = reason
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
                async with asyncio.timeout(until_next(LOOK_EVERY_S)):
                    await self._asked.wait()
            if time.monotonic() >= hour:
                hour = time.monotonic() + EVERY_S
                self.ask("hourly")
            elif not self._asked.is_set() and time.monotonic() >= self._next_look:
                await self._look()
            if back := [tenant for tenant in self._later if not self._counters.is_away(open_key(tenant))]:
                self._wanted |= dict.fromkeys(back)
                self._ask()
            if self._asked.is_set():
                await self._write()

    async def _look(self) -> None:
        """Have sums that are lost written again, ever more seldom while that is of no use."""
        self._choose_examples()
        places = list(self._examples)
        answers = await asyncio.gather(*(self._is_lost(self._examples[place]) for place in places))
        lost = [place for place, is_lost in zip(places, answers, strict=True) if is_lost]
        if not lost:
            self._pause_s = LOOK_EVERY_S
            return
        self._next_look = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        for place in lost:
            which = {"node": place} if place else {}
            log.warning("counters have lost the calendar's sums: they are written again", **which)
            self.ask("lost", place)

    def _ask(self) -> None:
        self._asked.set()
        self.is_done.clear()

    async def _write(self) -> None:
        began, reason, number = time.monotonic(), self._all or "reload", 0
        while self._all or self._places or self._wanted:
            if self._all or self._places:
                reason = self._all or next(iter(self._places.values()))
                self._want_all()
            some = list(self._wanted)[:_AT_ONCE]
            for name in some:
                del self._wanted[name]
                self._later.pop(name, None)
            number += sum(await asyncio.gather(*map(self._write_tenant, some)))
        self._asked.clear()
        if not self._later:
            self.is_done.set()
        if number:
            self._chosen_of = frozenset()
            took_s = round(time.monotonic() - began, 3)
            log.info("sums of the calendar windows are written", tenants=number, reason=reason, took_s=took_s)

    def _want_all(self) -> None:
        """All tenants, or those of the nodes that are asked for."""
        reasons = [self._all] if self._all else self._places.values()
        for reason in reasons:
            metrics.REBUILDS.labels(reason).inc()
        tenants = self._tables.limited()
        if not self._all:
            tenants = [tenant for tenant in tenants if self._place_of(tenant) in self._places]
        self._wanted = dict.fromkeys((*self._wanted, *tenants))
        self._all, self._places = "", {}

    def _place_of(self, tenant: str) -> str:
        return self._counters.place_of(open_key(tenant))

    async def _write_tenant(self, tenant: str) -> bool:
        limits = self._tables.limits_of(tenant)
        if not limits.has_calendar and tenant not in self._changed:
            return False
        key = open_key(tenant)
        if self._counters.is_away(key) and self._counters.others_go_on(key):
            if tenant in self._changed:  # all others are asked for when the node is back
                self._later[tenant] = None
            return False
        try:
            await self._write_sums(tenant, limits)
        except Unavailable:
            self._later[tenant] = None
            return False
        return True

    async def _write_sums(self, tenant: str, limits: TenantLimits) -> None:
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
        sums |= {one.limit.key: one for one in await self._of_account(tenant, limits, today)}
        await self._settlement.write_sums(tenant, limits.base_key, list(sums.values()))
        self._changed.discard(tenant)  # what is written for no limits at all ends what was written before

    async def _of_account(self, tenant: str, limits: TenantLimits, today: int) -> list[Sum]:
        """What was charged since its credits count."""
        windows = self._books.windows_at(Where(tenant, today, "", "", NOT_KEPT_APART))
        found = [window for window in windows if window.limit.is_credits]
        if not (limits.credits and found):
            return []
        sequence, charged = await self._books.charged_since(tenant, limits.credits.since_day)
        return [Sum(window.limit, window.start_ms, charged, sequence) for window in found]

    def _amounts(self, tenant: str, today: int, one: Used) -> list[tuple[Window, int]]:
        where = Where(tenant, today, one.key, one.model, one.user)
        return [
            (window, (one.day if window.limit.kind.shape == "day" else one.month).of(window.limit.kind.dimension))
            for window in self._books.windows_at(where)
            if not window.limit.is_credits
        ]

    def _choose_examples(self) -> None:
        """For each node one of its tenants, when nodes or their tenants may have changed."""
        nodes = frozenset(node.address.name for node in self._counters.nodes)
        if nodes == self._chosen_of and all(self._place_of(one) == place for place, one in self._examples.items()):
            return
        self._chosen_of, self._examples = nodes, {}
        for tenant in self._tables.limited():
            if tenant not in self._later and self._tables.limits_of(tenant).has_calendar:
                self._examples.setdefault(self._place_of(tenant), tenant)
                if len(self._examples) == len(nodes):
                    return

    async def _is_lost(self, tenant: str) -> bool:
        """Whether they are gone of one tenant, as an example of all that its node has."""
        with contextlib.suppress(Unavailable):
            base = self._tables.limits_of(tenant).base_key
            return not await self._counters.command("HEXISTS", base, self._gateway)
        return False
