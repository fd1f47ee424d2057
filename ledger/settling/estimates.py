"""Reservations that nothing settles: their lease is over, or their Envoy has died. They are charged as reserved.

Database first, keyed by the request's id. A request whose `end` line is in the spool is settled by that; a line that
comes later takes the estimate's place. Other gateways' reservations on the same counters are left alone. Each node of
a cluster is looked at by itself, and by its own clock.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from headgate import metrics, purses
from headgate.counters.calendar import DAY_MS
from headgate.counters.client import Counters, Failed, Unavailable
from headgate.counters.node import Node
from headgate.counters.scripts import OPEN_PATTERN, record_key, request_of, tenant_of
from headgate.counters.settlement import Record, Settled, read_record
from headgate.ticks import until_next
from ledger.journal.making import estimate_of
from ledger.journal.seen import key_of
from ledger.pricing.pricing import PricesAway
from ledger.settling.books import Books
from ledger.settling.budget_ends import BudgetEnds
from ledger.settling.ends import End, PriceOf, end_of, entry_id, where_of
from ledger.settling.settlement import Settlement
from ledger.settling.usage import NOT_KEPT_APART, Amounts, Entry, Estimate, Where
from ledger.spool.lines import Line
from ledger.spool.spool_search import SpoolSearch
from ledger.tables import Tables

LEASES_EVERY_S = 2.0
SCAN_SHARE = 0.05  # of the time, at most, is spent looking for leases that are over
_AT_ONCE = 500  # reservations
_AGAIN_S = 1.0  # nodes that are away
_LEAST_SINCE_MS = 3_600_000  # in which the end of a request that held something is looked for

log = structlog.get_logger()


class Open(NamedTuple):
    """An open reservation."""

    tenant: str
    epoch: str
    request_id: str
    lease_end_ms: float

    @property
    def sought(self) -> str:
        """Its request's id in the spool."""
        return purses.request_of(self.request_id)


class Estimates:
    """`close_epoch` for an Envoy that has died; `run` looks after leases."""

    def __init__(
        self,
        settlement: Settlement,
        books: Books,
        tables: Tables,
        price_of: PriceOf,
        counters: Counters,
        budgets: BudgetEnds | None = None,
    ) -> None:
        self._settlement = settlement
        self._counters = counters
        self._books = books
        self._tables = tables
        self._price_of = price_of
        self._budgets = budgets
        self._charged = {reason: metrics.ESTIMATED_CHARGES.labels(reason) for reason in ("epoch", "lease")}

    async def run(self, epochs: Callable[[], set[str]]) -> None:
        """Charge what has outlived its lease. `epochs` are the Envoys whose spool is here."""
        while True:
            began = time.monotonic()
            for node in self._counters.nodes:
                try:
                    await self.charge_expired(node, epochs())
                except Failed as failed:
                    log.warning("leases can't be looked at", reason=failed.reason)
                except (Unavailable, PricesAway):  # the next turn looks
                    pass
            await asyncio.sleep(max(until_next(LEASES_EVERY_S), (time.monotonic() - began) / SCAN_SHARE))

    async def charge_expired(self, node: Node, epochs: set[str]) -> int:
        """Charge this gateway's reservations whose lease is over; how many there were.

        Raises Unavailable, or PricesAway.
        """
        seconds, micros = await node.command("TIME")
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        own = epochs | {file.epoch for file in await self._books.counted()}
        found = [one for one in await self._open(node, now_ms) if one.epoch in own]
        return await self._close(found, "lease")

    async def close_epoch(self, epoch: str) -> int:
        """Charge everything that a dead Envoy's requests hold; how many there were. All its lines are settled.

        Nodes that are away, and prices, are waited for. Raises Failed.
        """
        done: set[Node] = set()
        closed = 0
        while not done or set(self._counters.nodes) - done:
            for node in set(self._counters.nodes) - done:
                try:
                    found = [one for one in await self._open(node) if one.epoch == epoch]
                    closed += await self._close(found, "epoch")
                except Failed:
                    raise
                except (Unavailable, PricesAway):
                    continue
                done.add(node)
            if not done or set(self._counters.nodes) - done:
                await asyncio.sleep(_AGAIN_S)
        return closed

    async def _open(self, node: Node, until_ms: int | None = None) -> list[Open]:
        """All gateways' open reservations there whose lease ends until then. Raises Unavailable."""
        found: list[Open] = []
        cursor = b"0"
        until = "+inf" if until_ms is None else until_ms
        while True:
            cursor, keys = await node.command("SCAN", cursor.decode(), "MATCH", OPEN_PATTERN, "COUNT", 1000)
            for key in keys:
                name = key.decode(errors="replace")
                pairs = await self._counters.command("ZRANGEBYSCORE", name, "-inf", until, "WITHSCORES")
                for member, score in zip(pairs[::2], pairs[1::2], strict=True):
                    found.append(Open(tenant_of(name), *request_of(member.decode(errors="replace")), float(score)))
            if cursor == b"0":
                return found

    async def _close(self, reservations: Sequence[Open], reason: str) -> int:
        by_epoch: dict[str, list[Open]] = defaultdict(list)
        for one in reservations:
            by_epoch[one.epoch].append(one)
        for epoch, some in by_epoch.items():
            for at in range(0, len(some), _AT_ONCE):
                await self._close_some(epoch, some[at : at + _AT_ONCE], reason)
        return len(reservations)

    async def _close_some(self, epoch: str, some: Sequence[Open], reason: str) -> None:
        records = await asyncio.gather(
            *(self._counters.command("GET", record_key(one.tenant, one.request_id)) for one in some)
        )
        held = {one: read_record(data) for one, data in zip(some, records, strict=True)}
        longest_ms = max(self._lease_ms(record) for record in held.values())
        since_ms = min(one.lease_end_ms for one in some) - max(2 * longest_ms, _LEAST_SINCE_MS)
        search = SpoolSearch(epoch, [one.sought for one in some], since_ms)
        await asyncio.to_thread(search.go_on)
        async with self._books.turn:  # nothing is counted from here on that the search has not seen
            await asyncio.to_thread(search.go_on)
            heads = [file.head for file in await self._books.counted() if file.epoch == epoch]
            ended: list[End] = []
            estimates: list[Estimate] = []
            settled: dict[str, list[Settled]] = defaultdict(list)
            for one, record in held.items():
                line = search.ended.get(one.sought)
                end = self._end(line, epoch, one) if line else None
                if end:
                    ended.append(end)
                    settled[one.tenant].append(self._settlement.settled_of(end))
                    continue
                began_ms = self._began_ms(one, record, search)
                entry = self._entry(one, record, began_ms)
                # A purse that the request's line does not name only held something: it gets that back.
                is_told = line is not None and purses.is_purse(one.tenant)
                if record is None or is_told or not search.covers(began_ms, heads):
                    entry = entry._replace(amounts=Amounts())
                else:
                    estimates.append(self._estimate(one, entry, began_ms, reason))
                settled[one.tenant].append(self._settled(one, record, entry, began_ms))
            counted, fresh = await self._books.charge(estimates, reason)
            entries = [estimate.entry for estimate in estimates]
            places = [entry.where for entry in entries]
            places += [where_of(end, self._tables.limits_of(end.tenant)) for end in ended]
            sums = await self._settlement.sums_after(counted, places)
        self._tell(epoch, reason, [entry for entry in entries if entry.request_id in fresh])
        await self._settlement.close(settled, sums, reason)

    def _end(self, line: Line, epoch: str, one: Open) -> End | None:
        """What the line says of the tenant, or purse, that the reservation is of."""
        if purses.is_purse(one.tenant):
            ends = self._budgets.of(line, epoch) if self._budgets else []
        else:
            ends = [end for end in (end_of(line, epoch, self._price_of),) if end]
        return next((end for end in ends if (end.tenant, end.request_id) == (one.tenant, one.request_id)), None)

    def _began_ms(self, one: Open, record: Record | None, search: SpoolSearch) -> int:
        known = (record.time_ms if record else 0) or search.began_ms.get(one.sought)
        return known or int(one.lease_end_ms) - self._lease_ms(record)

    def _lease_ms(self, record: Record | None) -> int:
        return self._tables.lease_ms(record.model if record else "")

    def _entry(self, one: Open, record: Record | None, began_ms: float) -> Entry:
        limits = self._tables.limits_of(one.tenant)
        held = record or Record(0)
        user = held.user if limits.keeps_users_apart(held.key_id, held.model) else NOT_KEPT_APART
        where = Where(one.tenant, int(began_ms) // DAY_MS, held.key_id, held.model, user)
        amounts = Amounts(1, held.input, held.output, held.usd_nano)
        return Entry(entry_id(one.tenant, one.request_id), where, amounts)

    def _estimate(self, one: Open, entry: Entry, began_ms: int, reason: str) -> Estimate:
        """With a row, unless it is a purse's."""
        now_ms = time.time_ns() // 1_000_000
        kept_for_s = self._tables.kept_for_s(one.tenant)
        row = estimate_of(one.request_id, entry.where, entry.amounts, reason, began_ms, now_ms, kept_for_s)
        return Estimate(entry, key_of(one.sought), None if purses.is_purse(one.tenant) else row)

    def _settled(self, one: Open, record: Record | None, entry: Entry, began_ms: float) -> Settled:
        where, amounts = entry.where, entry.amounts
        user = record.user if record else ""
        return Settled(
            request_id=one.request_id,
            epoch=one.epoch,
            time_ms=int(began_ms),
            applying=self._tables.limits_of(one.tenant).applying_to(where.key, where.model, user),
            requests=amounts.requests,
            input=amounts.input,
            output=amounts.output,
            usd_nano=amounts.nano_usd,
            missed=False,
        )

    def _tell(self, epoch: str, reason: str, charged: Sequence[Entry]) -> None:
        self._charged[reason].inc(len(charged))
        if charged:
            log.warning(
                "requests without a record are charged their estimate",
                requests=len(charged),
                reason="their lease is over" if reason == "lease" else "their envoy has died",
                epoch=epoch,
                request_ids=[entry.request_id for entry in charged[:5]],
            )
