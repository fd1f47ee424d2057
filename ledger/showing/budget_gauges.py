"""How providers' budgets stand, as gauges: the counters are asked now and then, and only where there are budgets."""

import asyncio
from collections.abc import Callable, Iterator

import structlog

from headgate import metrics
from headgate.counters.client import Counters, Unavailable
from headgate.counters.limits import Limit, TenantLimits
from headgate.counters.standing import StandingNow, read_standing, standing_call
from headgate.limits import NANO
from headgate.purses import provider_of
from headgate.snapshot import Snapshot
from headgate.ticks import until_next

EVERY_S = 5.0
MOST = 200  # limits of one provider and its keys

log = structlog.get_logger()

_Labels = tuple[str, str, str]


class BudgetGauges:
    """`run` keeps them. While the counters are away they stay as they were."""

    def __init__(self, snapshot: Callable[[], Snapshot | None], counters: Counters) -> None:
        self._snapshot = snapshot
        self._counters = counters
        self._shown: set[_Labels] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self._look()
            except Unavailable:
                pass
            except Exception:  # a bug of ours must not end the ledger
                log.exception("providers' budgets can't be shown")
            await asyncio.sleep(until_next(EVERY_S))

    async def _look(self) -> None:
        snapshot = self._snapshot()
        budgets = snapshot.budgets if snapshot else {}
        shown: set[_Labels] = set()
        for name, row in budgets.items():
            limits = list(limits_of(TenantLimits(name, row)))[:MOST]
            reply = await self._counters.run(*standing_call(name, limits))
            for standing in read_standing(limits, reply):
                shown.add(self._show(provider_of(name), standing))
        for labels in self._shown - shown:
            metrics.BUDGET_LIMIT.labels(*labels).set(0)
            metrics.BUDGET_USED.labels(*labels).set(0)
        self._shown = shown

    def _show(self, provider: str, standing: StandingNow) -> _Labels:
        limit = standing.limit
        labels = (provider, limit.key_id, limit.kind.name)
        unit = NANO if limit.kind.dimension == "usd" else 1
        metrics.BUDGET_LIMIT.labels(*labels).set((limit.row.cap or 0) / unit)
        metrics.BUDGET_USED.labels(*labels).set((standing.used + standing.reserved) / unit)
        return labels


def limits_of(purse: TenantLimits) -> Iterator[Limit]:
    """Each limit of a provider once, then those of its keys."""
    found: dict[str, Limit] = {}
    for key in ("", *purse.row.keys):
        found |= {limit.key: limit for limit in purse.applying_to(key, "", "").limits}
    yield from found.values()
