"""What one request is priced by: the price of its moment, its tenant's terms, what its provider takes. Pure.

Chosen from the list of the generation that it began with, by the moment that its body was there, and by the terms on
its line: what changes later changes nothing.
"""

from decimal import Decimal

import msgspec

from headgate.prices import LIST_PRICE, PriceList, PriceRow
from ledger.pricing.prices import factor_of, held_by
from ledger.spool.lines import Line


class PricesAway(Exception):  # noqa: N818 - what happened, not what went wrong
    """A generation's prices are there, and can't be read now: who asked asks again."""


class Guess(msgspec.Struct, frozen=True, gc=False):
    """Tokens of a request whose provider did not report them; None where nothing better than a rule is known."""

    prompt: int | None = None
    completion: int | None = None


NO_GUESS = Guess()


class Pricing(msgspec.Struct, frozen=True, gc=False):
    """`price` is the model's, None without one; `cost` the provider's, None where nobody says."""

    price: PriceRow | None = None
    factor: Decimal = LIST_PRICE
    cost: PriceRow | None = None
    guess: Guess = NO_GUESS


UNPRICED = Pricing()


def pricing_of(line: Line, prices: PriceList | None, guess: Guess = NO_GUESS) -> Pricing:
    """What a request costs its tenant, and its provider us. None for `prices`: they are lost."""
    if prices is None:
        return Pricing(guess=guess)
    price = prices.models.get(line.declared_model)
    cost = prices.cost_row(line.tenant or "", line.target or "", line.declared_model, _sent(line))
    return Pricing(
        held_by(line, price) if price else None,
        factor_of(line) if price else LIST_PRICE,
        held_by(line, cost) if cost else None,
        guess,
    )


def provider_pricing_of(line: Line, prices: PriceList | None, guess: Guess = NO_GUESS) -> Pricing:
    """What counts against the budget of the provider that answered: nothing where that is none of money."""
    price = prices.budget_row(line.target or "", line.declared_model, _sent(line)) if prices else None
    return Pricing(held_by(line, price) if price else None, guess=guess)


def _sent(line: Line) -> str | None:
    """What the provider was asked for; None for an adapter, which costs what any request for its base model does."""
    return None if line.base_model else line.upstream_model or ""
