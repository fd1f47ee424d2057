"""What a node of the counters is to be told that is away while others go on: kept, and tried until it is told.

Nobody waits for it. It is bounded: requests that there is no room for are left to their lease, and sums are written
anew when the node is back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from headgate.counters.client import Counters, Unavailable
from headgate.counters.scripts import open_key
from headgate.counters.settlement import Settled, Sum

MOST_REQUESTS = 20_000  # some 700 bytes each
MOST_SUMS = 20_000
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0

log = structlog.get_logger()

Pay = Callable[[str, Sequence[Settled], Sequence[Sum]], Awaitable[None]]


@dataclass(slots=True)
class Debt:
    """Of one tenant: requests to close, and the last sum of each window."""

    settled: list[Settled] = field(default_factory=list)
    sums: dict[tuple[str, int], Sum] = field(default_factory=dict)


class Owed:
    """`pay` tells a tenant's node, and raises Unavailable or TimeoutError."""

    def __init__(self, counters: Counters, pay: Pay) -> None:
        self._counters = counters
        self._pay = pay
        self._debts: dict[str, dict[str, Debt]] = {}  # by the node, and the tenant
        self._requests = self._sums = self._left = 0
        self._payer: asyncio.Task[None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether everybody has been told everything."""
        return self._payer is None

    def holds_up(self, tenant: str) -> bool:
        """Whether the tenant's node has to be told something first."""
        return self._counters.place_of(open_key(tenant)) in self._debts

    def add(self, tenant: str, settled: Sequence[Settled], sums: Sequence[Sum]) -> None:
        """To be told as soon as may be."""
        debt = self._debts.setdefault(self._counters.place_of(open_key(tenant)), {}).setdefault(tenant, Debt())
        kept = settled[: max(MOST_REQUESTS - self._requests, 0)]
        debt.settled += kept
        self._requests += len(kept)
        if len(kept) < len(settled):
            self._leave(len(settled) - len(kept))
        for one in sums:
            place = one.limit.key, one.window_ms
            if place not in debt.sums and self._sums >= MOST_SUMS:
                continue
            self._sums += place not in debt.sums
            if place not in debt.sums or debt.sums[place].sequence <= one.sequence:
                debt.sums[place] = one
        if self._payer is None:
            self._left = 0
            self._payer = asyncio.create_task(self._pay_all())

    def close(self) -> None:
        """Try no more. The next process reads it from the spool again."""
        if self._payer:
            self._payer.cancel()

    def _leave(self, requests: int) -> None:
        if not self._left:
            log.warning("a node of the counters is away for long: requests are left to their lease")
        self._left += requests

    async def _pay_all(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while self._debts:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            for node in list(self._debts):
                while (debts := self._debts.get(node)) and await self._paid(node, next(iter(debts))):
                    pause_s = _FIRST_PAUSE_S
                if not debts:
                    self._debts.pop(node, None)
        self._payer = None

    async def _paid(self, node: str, tenant: str) -> bool:
        """Whether the tenant's node was told; if not, nor can it be told of its other tenants."""
        if self._counters.is_away(open_key(tenant)):
            return False
        debt = self._debts[node][tenant]
        settled, sums = list(debt.settled), list(debt.sums.values())
        try:
            await self._pay(tenant, settled, sums)
        except (Unavailable, TimeoutError):
            return False
        del debt.settled[: len(settled)]
        self._requests -= len(settled)
        for one in sums:
            place = one.limit.key, one.window_ms
            if debt.sums[place] is one:
                del debt.sums[place]
                self._sums -= 1
        if not debt.settled and not debt.sums:
            del self._debts[node][tenant]
        return True
