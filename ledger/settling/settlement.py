"""Settling: a request has ended, so it is counted, and what it really took replaces what it holds.

First the database, then the counters: they get absolute sums, so that whatever is done twice changes nothing. Tried
until it is done; where a node of a cluster is away, the others do not wait for it.
"""

import asyncio
import contextlib
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from headgate import metrics
from headgate.counters.client import Counters, Failed, Unavailable
from headgate.counters.limits import keys_of
from headgate.counters.scripts import Call, member_of, open_key
from headgate.counters.settlement import Alert, Settled, Sum, read_settled, settle_call
from ledger.settling.books import Books, Window
from ledger.settling.ends import End, entry_of, where_of
from ledger.settling.owed import Owed
from ledger.settling.repeats import Repeats
from ledger.settling.usage import Counted, EndLine, FileId, Where
from ledger.tables import Tables

log = structlog.get_logger()

CALL_LIMIT = 200  # requests, or sums, in one call: a server does nothing else meanwhile
_CALLS_AT_ONCE = 50
# Counters that come back may have lost their last words: those of two seconds, by `appendfsync everysec`.
_AGAIN_S = 20.0
_AGAIN_REQUESTS = 20_000
_PATIENCE_S = 0.5  # with one node of a cluster, while others go on
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0

OnAlerts = Callable[[str, Sequence[Alert]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of one file up to the byte `end`, and what they ask for; a file without a whole line is None."""

    file: FileId | None
    end: int
    ends: Sequence[End]
    lines: Sequence[EndLine] = ()


class Settlement:
    """Counts and settles. `on_alerts` is told a tenant's soft limits that were crossed."""

    def __init__(self, counters: Counters, books: Books, tables: Tables, gateway: str, on_alerts: OnAlerts) -> None:
        self._counters = counters
        self._books = books
        self._tables = tables
        self._gateway = gateway
        self._on_alerts = on_alerts
        self._by = {by: metrics.LIMITER_SETTLEMENTS.labels(by) for by in ("end", "epoch", "lease")}
        self._owed = Owed(counters, self._pay)
        self._recent: deque[tuple[float, str, list[Settled]]] = deque()
        self._recent_requests = 0
        self._repeats = Repeats()
        self._telling: dict[tuple[str, bytes], asyncio.Task[None]] = {}  # alerts

    @property
    def owes(self) -> bool:
        """Whether a node of the counters has not been told yet what was settled."""
        return not self._owed.is_empty

    def stop(self) -> None:
        """Try no more to tell nodes that are away."""
        self._owed.close()

    async def settle(self, pieces: Sequence[Piece]) -> None:
        """Count these requests and close them; afterwards the pieces are done with, but for what is owed.

        What a line says again of a request that another one has told of is left out.
        """
        entries = [
            entry_of(end, self._tables.limits_of(end.tenant), piece.file)
            for piece in pieces
            for end in piece.ends
            if end.charge.requests or end.settles  # what costs nothing may have been charged an estimate
        ]
        lines = [(piece.file, line) for piece in pieces for line in piece.lines]
        files = {piece.file: piece.end for piece in pieces if piece.file}
        async with self._books.turn:
            counted = await self._books.count(files, entries, lines)
            ends = [end for piece in pieces for end in piece.ends if (piece.file, end.at) not in counted.repeated]
            places = {where_of(end, self._tables.limits_of(end.tenant)) for end in ends if end.settles}
            sums = await self.sums_after(counted, places)
        self._repeats.tell(counted.repeated)
        metrics.CHARGES.inc(counted.requests)
        metrics.ESTIMATES_REPLACED.inc(counted.replaced)
        if counted.requests:
            metrics.MISSED.inc(sum(end.missed for end in ends))
        settled: dict[str, list[Settled]] = defaultdict(list)
        for end in ends:
            if end.settles:
                settled[end.tenant].append(self.settled_of(end))
            elif self._may_warn(end):
                settled.setdefault(end.tenant, [])  # the call asks for alerts
        await self.close(settled, sums, "end")

    async def sums_after(self, counted: Counted, places: Iterable[Where]) -> dict[str, list[Sum]]:
        """All sums that these places count in, and those that were changed, by tenant; the turn is the caller's."""
        now_ms = time.time() * 1000
        windows: dict[tuple[str, int], Window] = {}
        for where in {*places, *(where for where, _ in counted.added)} - counted.others:
            for window in self._books.windows_at(where):
                if window.end_ms > now_ms:
                    windows[window.name] = window
        values = await self._books.sums(windows.values())
        sums: dict[str, list[Sum]] = defaultdict(list)
        for name, window in windows.items():
            sums[window.tenant].append(Sum(window.limit, window.start_ms, values[name], counted.sequence))
        return sums

    async def close(
        self, settled: Mapping[str, Sequence[Settled]], sums: Mapping[str, Sequence[Sum]], by: str
    ) -> int:
        """Tell the counters; how many requests held something."""
        tenants = [*dict.fromkeys((*settled, *sums))]
        freed = 0
        for at in range(0, len(tenants), _CALLS_AT_ONCE):
            some = tenants[at : at + _CALLS_AT_ONCE]
            freed += sum(
                await asyncio.gather(*(self._close(name, settled.get(name, ()), sums.get(name, ())) for name in some))
            )
        if freed:
            self._by[by].inc(freed)
        return freed

    async def settle_again(self, place: str) -> None:
        """Say the last words again, to a node that is back or new: it may be behind what was confirmed."""
        self._forget_old()
        again = [(tenant, some) for _, tenant, some in self._recent if self._place_of(tenant) == place]
        for tenant, some in again:
            await self._close(tenant, some, ())

    def settled_of(self, end: End) -> Settled:
        """What the counters are told of a request that has ended."""
        charge = end.charge
        return Settled(
            request_id=end.request_id,
            epoch=end.epoch,
            time_ms=end.began_ms,
            applying=self._tables.limits_of(end.tenant).applying(end.key_id, end.model, end.user),
            requests=charge.requests,
            input=charge.input,
            output=charge.output,
            usd_nano=charge.usd_nano,
            lease_ms=self._tables.lease_ms(end.model),
        )

    async def free_slots(self, ends: Sequence[End]) -> None:
        """Of requests that can't be counted now: they are in nobody's way, whatever they will be charged."""
        for end in ends:
            applying = self._tables.limits_of(end.tenant).applying(end.key_id, end.model, end.user)
            slots = [limit for limit in applying.limits if limit.kind.shape == "slots"] if end.settles else []
            for key in (key for limit in slots for key in keys_of(end.tenant, limit)):
                free = partial(self._counters.command, "ZREM", key, member_of(end.epoch, end.request_id))
                with contextlib.suppress(Unavailable):
                    await self._until_done(end.tenant, free)

    async def write_sums(self, tenant: str, base: str, sums: Sequence[Sum]) -> None:
        """Write all of a tenant's sums, and into its `base_key` that these are all. Raises Unavailable."""
        for some, is_last in _chunks(sums):
            await self._told(tenant, settle_call(tenant, (), some, self._gateway, base=base if is_last else ""))

    def _may_warn(self, end: End) -> bool:
        applying = self._tables.limits_of(end.tenant).applying(end.key_id, end.model, end.user)
        return any((limit.row.soft, limit.row.low) != (None, None) for limit in applying.limits)

    def _place_of(self, tenant: str) -> str:
        return self._counters.place_of(open_key(tenant))

    async def _close(self, tenant: str, settled: Sequence[Settled], sums: Sequence[Sum]) -> int:
        """Tell the tenant's node; later, where it is away and others go on."""
        if not self._owed.holds_up(tenant):
            try:
                return await self._close_now(tenant, settled, sums)
            except (Unavailable, TimeoutError):
                pass
        self._owed.add(tenant, settled, sums)
        return 0

    async def _pay(self, tenant: str, settled: Sequence[Settled], sums: Sequence[Sum]) -> None:
        self._by["end"].inc(await self._close_now(tenant, settled, sums))

    async def _close_now(self, tenant: str, settled: Sequence[Settled], sums: Sequence[Sum]) -> int:
        """Sums first: a request's share must not be missing in between."""
        freed = 0
        for some, is_last in _chunks(sums):
            freed += await self._call(tenant, settled[:CALL_LIMIT] if is_last else (), some)
        for at in range(CALL_LIMIT, len(settled), CALL_LIMIT):
            freed += await self._call(tenant, settled[at : at + CALL_LIMIT], ())
        return freed

    async def _call(self, tenant: str, settled: Sequence[Settled], sums: Sequence[Sum]) -> int:
        async with asyncio.timeout(_PATIENCE_S if self._counters.others_go_on(open_key(tenant)) else None):
            freed = await self._told(tenant, settle_call(tenant, settled, sums, self._gateway))
        if settled:
            self._remember(tenant, list(settled))
        return freed

    async def _told(self, tenant: str, call: Call) -> int:
        """How many requests were open. Raises Unavailable."""
        try:
            reply = read_settled(await self._until_done(tenant, lambda: self._counters.run(*call)))
        except Failed as failed:
            log.warning("not settled, left to their lease", tenant=tenant, reason=failed.reason)
            return 0
        new = {
            packed: alert
            for packed, alert in zip(reply.packed, reply.alerts, strict=True)
            if (tenant, packed) not in self._telling
        }
        if new:
            task = asyncio.create_task(self._tell(tenant, new))
            self._telling |= {(tenant, packed): task for packed in new}
        return reply.freed

    async def _tell(self, tenant: str, alerts: Mapping[bytes, Alert]) -> None:
        """Beside settling. Who dies before the counters know of it is told again."""
        try:
            await self._on_alerts(tenant, list(alerts.values()))
            await self._told(tenant, settle_call(tenant, (), gateway=self._gateway, told=list(alerts)))
        except Unavailable:  # the tenant's next call tells them again
            pass
        finally:
            for packed in alerts:
                del self._telling[tenant, packed]

    def _remember(self, tenant: str, settled: list[Settled]) -> None:
        self._recent.append((time.monotonic(), tenant, settled))
        self._recent_requests += len(settled)
        self._forget_old()

    def _forget_old(self) -> None:
        before = time.monotonic() - _AGAIN_S
        while self._recent and (self._recent[0][0] < before or self._recent_requests > _AGAIN_REQUESTS):
            self._recent_requests -= len(self._recent.popleft()[2])

    async def _until_done(self, tenant: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Raises Failed, and Unavailable where other nodes go on without this tenant's.

        Everything else passes: the counters come back, and the spool is not lost meanwhile.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await ask()
            except Failed:
                raise
            except Unavailable:
                if self._counters.others_go_on(open_key(tenant)):
                    raise
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _chunks(sums: Sequence[Sum]) -> Iterator[tuple[Sequence[Sum], bool]]:
    """In pieces for one call each, at least one, and whether it is the last."""
    for at in range(0, max(len(sums), 1), CALL_LIMIT):
        yield sums[at : at + CALL_LIMIT], at + CALL_LIMIT >= len(sums)
