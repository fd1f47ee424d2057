"""Prices and terms of gateway.yaml as the tables carry them. Pure."""

from collections.abc import Iterable, Sequence

from headgate.config.model import Gateway, Target
from headgate.config.prices import Price, Pricing
from headgate.prices import PriceRow, TermsRow, factor_with
from headgate.purses import price_name


def price_row(prices: Sequence[Price]) -> PriceRow:
    """A price as written, with what it leaves out; the first one, and those that follow it."""
    first, *later = prices
    return _row(first, tuple(_row(price) for price in later))


def terms_row(pricing: Pricing | None) -> TermsRow | None:
    """What a plan or a tenant says; None where it says nothing."""
    if pricing is None:
        return None
    models = {name: factor_with(terms.markup, terms.discount) for name, terms in pricing.models.items()}
    return TermsRow(factor_with(pricing.markup, pricing.discount), models)


def costs_of(gateway: Gateway) -> dict[str, PriceRow]:
    """What targets say that their provider takes, by `price_name`."""
    return _costs((name, target) for name, model in gateway.models.items() for target in model.targets)


def own_costs_of(gateway: Gateway) -> dict[str, dict[str, PriceRow]]:
    """The same of tenants' own targets, by tenant."""
    found = {
        name: _costs((model, target) for model, chain in tenant.targets.items() for target in chain)
        for name, tenant in gateway.tenants.items()
    }
    return {name: costs for name, costs in found.items() if costs}


def _costs(targets: Iterable[tuple[str, Target]]) -> dict[str, PriceRow]:
    """Of one that is given twice at two prices the higher one of answers counts."""
    found: dict[str, PriceRow] = {}
    for model, target in targets:
        if target.price:
            row, name = price_row(target.price), price_name(target.provider, model, target.model)
            found[name] = max(found.get(name, row), row, key=lambda one: (one.output, one.input))
    return found


def _row(price: Price, later: tuple[PriceRow, ...] = ()) -> PriceRow:
    return PriceRow(
        input=price.input,
        cached_input=price.input if price.cached_input is None else price.cached_input,
        cache_write=price.input if price.cache_write is None else price.cache_write,
        output=price.output,
        request=price.request,
        image=price.image,
        second=price.second,
        character=price.character,
        search=price.search,
        reasoning=price.reasoning,
        from_ms=price.from_ms or 0,
        later=later,
    )
