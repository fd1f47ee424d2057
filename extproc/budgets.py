"""Providers' budgets in the counters: what a request may use is reserved before it is planned, one call for a request
whose first target has a budget. Its end gives it back (ledger/settling/budget_ends.py).

Of targets further down the chain nothing is reserved: most are never asked. Those that are used up are left out, as
far as a look says that is at most a quarter of a second old. While the counters are away a worker goes by its part of
a budget, as the limiter does. Without budgets there is no connection.
"""

import time
from collections.abc import Iterable, Sequence

import structlog

from extproc.exchange import Exchange
from extproc.steps.budget import Prices, leave_out, wish_of
from headgate import metrics
from headgate.counters.address import counters_address
from headgate.counters.client import Counters, Unavailable
from headgate.counters.emergency import Emergency, Taken
from headgate.counters.limits import Applying, TenantLimits, lease_ms
from headgate.counters.reservation import Refused, Wish, amount_of, read_verdict, reserve_call
from headgate.counters.standing import read_standing, standing_call
from headgate.purses import Purse
from headgate.snapshot import Snapshot, TargetRow

COUNTERS_TIMEOUT_S = 0.02  # as the limiter's
LOOK_EVERY_S = 0.25

log = structlog.get_logger()

Room = Sequence[tuple[int, Refused]]  # what is left of each limit, and the refusal that it would be


class Purses:
    """The budgets of one generation."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._limits = {name: TenantLimits(name, row) for name, row in snapshot.budgets.items()}
        self._models = snapshot.models
        self.prices = Prices(snapshot)

    def applying(self, purse: Purse, model: str) -> Applying:
        """What a request for this model has to keep."""
        return self._limits[purse.name].applying(purse.key, model, "")

    def lease_ms(self, model: str) -> int:
        """How long a reservation holds when nothing gives it back."""
        return lease_ms(self._models[model].longest_ms)


class Budgets:
    """Of one worker; `workers` share what it gives out by itself."""

    def __init__(self, workers: int, counters: Counters | None = None) -> None:
        self._counters = counters
        self._emergency = Emergency(workers)
        self._decided = {by: metrics.BUDGET_DECISIONS.labels(by) for by in ("counters", "emergency")}
        self._looked: dict[Purse, tuple[float, Room]] = {}  # and until when that counts

    def connect(self, snapshot: Snapshot) -> None:
        """Before a request needs it, where some will."""
        if snapshot.budgets:
            self._connected()

    async def keep_within(self, exchange: Exchange, purses: Purses, epoch: str) -> None:
        """Fills `held`, and draws the chain anew without what is used up. Raises BudgetUsed."""
        used_up: dict[Purse, Refused] = {}
        while True:
            first, *others = exchange.chain
            refused = {}
            if first.purse and first.purse not in exchange.held:
                found = await self._reserve(exchange, first, purses, epoch)
                if found:
                    refused[_scope(first.purse, found)] = found
                else:
                    exchange.held = (*exchange.held, first.purse)
            refused |= await self._used_up(exchange, others, purses, epoch)
            if not refused:
                return
            for purse, one in refused.items():
                metrics.BUDGET_REFUSALS.labels(purse.provider, one.limit.kind.name).inc()
            used_up |= refused
            leave_out(exchange, used_up, time.time())

    async def _reserve(self, exchange: Exchange, target: TargetRow, purses: Purses, epoch: str) -> Refused | None:
        purse = target.purse or Purse("")
        applying = purses.applying(purse, exchange.base_model)
        wish = wish_of(exchange, target, purses.prices, epoch)
        call = reserve_call(applying, wish, purses.lease_ms(exchange.base_model))
        try:
            verdict = read_verdict(applying, await self._connected().run(*call))
        except Unavailable as gone:
            refused = self._alone(purse, applying, wish)
            if refused and gone.maybe:  # the call was cut off, and may have reserved something: its end gives it back
                exchange.held = (*exchange.held, purse)
            return refused
        if verdict.unknown:  # what was used this month is not there yet
            return self._alone(purse, applying, wish)
        self._decided["counters"].inc()
        return verdict.refused

    def _alone(self, purse: Purse, applying: Applying, wish: Wish) -> Refused | None:
        self._decided["emergency"].inc()
        decided = self._emergency.take(purse.name, applying.limits, wish, time.monotonic())
        return None if isinstance(decided, Taken) else decided

    async def _used_up(
        self, exchange: Exchange, others: Iterable[TargetRow], purses: Purses, epoch: str
    ) -> dict[Purse, Refused]:
        found: dict[Purse, Refused] = {}
        for target in others:
            if not target.purse or target.purse in exchange.held:
                continue
            wish = wish_of(exchange, target, purses.prices, epoch)
            for left, refused in await self._room(target.purse, purses.applying(target.purse, exchange.base_model)):
                if amount_of(wish, refused.limit.kind.dimension, wish.output) > left:
                    found[_scope(target.purse, refused)] = refused
        return found

    async def _room(self, purse: Purse, applying: Applying) -> Room:
        now = time.monotonic()
        until, room = self._looked.get(purse, (0.0, ()))
        if now < until:
            return room
        self._looked[purse] = (now + LOOK_EVERY_S, room)  # others that come meanwhile do not look too
        limits = applying.limits
        try:
            reply = await self._connected().run(*standing_call(purse.name, limits))
            room = [
                (one.left or 0, Refused(one.limit, one.used, one.reset_ms)) for one in read_standing(limits, reply)
            ]
        except Unavailable:
            alone = self._emergency.standings(purse.name, limits, now)
            room = [(one.left, Refused(one.limit, one.used, one.reset_ms)) for one in alone]
        self._looked[purse] = (now + LOOK_EVERY_S, room)
        return room

    def _connected(self) -> Counters:
        if self._counters is None:
            self._counters = Counters(counters_address(), COUNTERS_TIMEOUT_S, _on_change)
            self._counters.start()
        return self._counters


def _scope(purse: Purse, refused: Refused) -> Purse:
    """Whose limit it is: a key's own, or all of the provider's."""
    return purse if "key" in refused.limit.row.by else Purse(purse.provider)


def _on_change(node: str, reason: str | None) -> None:
    which = {"node": node} if node else {}
    if reason is None:
        log.info("providers' budgets are kept in the counters again", **which)
    else:
        log.error("counters are away: this worker keeps its part of providers' budgets", reason=reason, **which)
