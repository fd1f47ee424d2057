"""Providers' budgets as the tables carry them: what may be used, and what it costs there. Pure."""

from collections.abc import Iterator

from headgate.config.budgets import Budget
from headgate.config.model import Gateway, Model, Provider, Target
from headgate.limits import KINDS, LimitRow, LimitsRow, Scope
from headgate.price_tables import price_row
from headgate.prices import PriceRow
from headgate.purses import Purse, price_name


def budgets_of(gateway: Gateway) -> dict[str, LimitsRow]:
    """By `Purse.name`, of the providers that have a budget, themselves or for one of their keys."""
    return {
        Purse(name).name: LimitsRow(_rows(provider.budget), _of_keys(provider))
        for name, provider in gateway.providers.items()
        if _budgets(provider)
    }


def purse_of(name: str, provider: Provider, key: str | None) -> Purse | None:
    """Whose budget a request to this provider, with this key, counts against."""
    return Purse(name, key or "") if provider.budget or key in _of_keys(provider) else None


def provider_prices_of(gateway: Gateway) -> dict[str, PriceRow]:
    """What targets cost whose provider has a budget of money, by `price_name`: their own price, or the model's.

    Where tenants have the same target at another price, the higher one of answers counts.
    """
    found: dict[str, PriceRow] = {}
    for name, model, target in _targets(gateway):
        price = _price_of(model, target)
        budgets = _budgets(gateway.providers[target.provider])
        if price and any(budget.monthly_usd is not None for budget in budgets):
            at = price_name(target.provider, name, target.model)
            found[at] = max(found.get(at, price), price, key=lambda row: (row.output, row.input))
    return found


def _budgets(provider: Provider) -> list[Budget]:
    each = [provider.budget, *(key.budget for key in provider.api_keys or ())]
    return [budget for budget in each if budget]


def _of_keys(provider: Provider) -> dict[str, tuple[LimitRow, ...]]:
    return {key.called: _rows(key.budget, ("key",)) for key in provider.api_keys or () if key.budget}


def _rows(budget: Budget | None, by: tuple[Scope, ...] = ()) -> tuple[LimitRow, ...]:
    caps = {kind: getattr(budget, kind, None) for kind in KINDS}
    return tuple(LimitRow(kind, cap, by=by) for kind, cap in caps.items() if cap is not None)


def _targets(gateway: Gateway) -> Iterator[tuple[str, Model, Target]]:
    """With the models that they are for, the tenants' own too."""
    for name, model in gateway.models.items():
        yield from ((name, model, target) for target in model.targets)
    for tenant in gateway.tenants.values():
        for name, chain in tenant.targets.items():
            yield from ((name, gateway.models[name], target) for target in chain)


def _price_of(model: Model, target: Target) -> PriceRow | None:
    price = target.price or model.price
    return price_row(price) if price else None
