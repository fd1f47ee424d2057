"""Providers' budgets: what a request may use of one, and what is left of its chain without those that are used up.

A target whose provider's budget has no room is left out, not only ranked behind. What is used, the counters know:
whoever asks them calls these.
"""

import datetime as dt
import time
from collections.abc import Mapping
from math import ceil, inf

from extproc.exchange import Exchange
from extproc.refusal import BudgetUsed, ContextTooLong
from extproc.steps.bound import use_at_most
from extproc.steps.chain import draw_chain
from extproc.steps.keys import without
from extproc.steps.units import unit_of
from headgate.counters.price import FREE, DatedPrice, Price
from headgate.counters.reservation import Refused, Wish
from headgate.purses import Purse, price_name
from headgate.snapshot import Snapshot, TargetRow


class Prices:
    """What providers take, of one generation."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._of = {name: DatedPrice(row, time.time) for name, row in snapshot.provider_prices.items()}

    def of(self, model: str, target: TargetRow) -> Price:
        """Free where its budget is none of money."""
        found = self._of.get(price_name(target.provider, model, target.base_model))
        return found.now() if found else FREE


def wish_of(exchange: Exchange, target: TargetRow, prices: Prices, epoch: str) -> Wish:
    """What the request asks for of a target's budget: all of it or nothing, since the answer is not bound by it."""
    request_id, surface = exchange.incoming.request_id, exchange.surface
    if target.purse:
        request_id = target.purse.charge_id(request_id)
    if surface.is_free or exchange.counted is None:
        return Wish(request_id, epoch)
    use, price = use_at_most(exchange), prices.of(exchange.base_model, target)
    fixed = price.of_prompt(use.prompt) + price.of_pieces(unit_of(exchange), exchange.units or 0)
    return Wish(request_id, epoch, use.prompt, use.answer, use.answers, fixed, price.per_output_token, use.answer)


def leave_out(exchange: Exchange, used_up: Mapping[Purse, Refused], now: float) -> None:
    """Draws the chain anew without these; a purse without a key is all of its provider.

    Raises BudgetUsed where nothing is left; `now` is Unix time.
    """
    providers = [purse.provider for purse in used_up if not purse.key]
    exchange.targets = without(exchange, lambda row: row.purse in used_up or row.provider in providers)
    if not exchange.targets:
        raise _refusal(exchange, used_up, now)
    try:
        draw_chain(exchange)
    except ContextTooLong:  # one of those that are used up had room for the prompt
        raise _refusal(exchange, used_up, now) from None


def _refusal(exchange: Exchange, used_up: Mapping[Purse, Refused], now: float) -> BudgetUsed:
    """By the budget that has room first. Clients are not told whose it is, nor how large."""
    first = min(used_up.values(), key=lambda one: one.wait_ms if one.wait_ms >= 0 else inf)
    kind, whose = first.limit.kind, f"that the model '{exchange.model}' may use"
    if first.wait_ms < 0:
        text = f"This request alone is larger than the budget for the providers {whose}. Ask for less."
        return BudgetUsed(text, "insufficient_quota", {"x-should-retry": "false"})
    wait_s = max(1, ceil(first.wait_ms / 1000))
    headers = {"retry-after": str(wait_s)}
    if kind.shape == "window" or first.wait_ms <= 1000:
        text = f"The budget for the providers {whose} is used up for now. Retry in {wait_s} s."
        return BudgetUsed(text, "requests" if kind.dimension == "requests" else "tokens", headers)
    at = dt.datetime.fromtimestamp(first.limit.window_ms(round(now * 1000))[1] / 1000, dt.UTC)
    text = f"The budget for the providers {whose} is used up. It resets at {at:%Y-%m-%dT%H:%M:%SZ}."
    return BudgetUsed(text, "insufficient_quota", {**headers, "x-should-retry": "false"})
