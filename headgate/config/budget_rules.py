"""Problems of providers' budgets: such that say nothing, and money without prices.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Iterator
from typing import Any

from headgate.config.chains import own_chains
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.wording import KeyPath, quoted, shown_path


def unusable_budgets(root: dict[str, Any]) -> Iterator[Finding]:
    """Budgets that could not be kept."""
    for path, _ in children_of(root, ("providers",)):
        for at in (path, *(key for key, _ in children_of(root, (*path, "api_keys")))):
            if value_at(root, (*at, "budget")) == {}:
                yield Finding((*at, "budget"), "expected rpm, tpm or monthly_usd, found none")
    own = own_chains(root)
    for path, model in children_of(root, ("models",)):
        if isinstance(model, dict) and "price" not in model:
            for chain in ((*path, "targets"), *own.get(path[-1], ())):
                yield from _without_price(root, str(path[-1]), chain)


def counts_money(root: dict[str, Any], target: dict[str, Any]) -> KeyPath | None:
    """Where a budget of money is that counts what a target costs."""
    provider = target.get("provider")
    if not isinstance(provider, str):
        return None
    path: KeyPath = ("providers", provider)
    for at in (path, *(key for key, _ in children_of(root, (*path, "api_keys")))):
        if value_at(root, (*at, "budget", "monthly_usd")) is not None:
            return (*at, "budget", "monthly_usd")
    return None


def _without_price(root: dict[str, Any], model: str, chain: KeyPath) -> Iterator[Finding]:
    for path, target in children_of(root, chain):
        if isinstance(target, dict) and "price" not in target and (counts := counts_money(root, target)):
            text = f"the model {quoted(model)} needs a price, its own or the target's, for {shown_path(counts)}"
            yield Finding(path, text)
