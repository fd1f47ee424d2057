"""Problems of prices: lists whose dates are out of order, and terms that say nothing or change nothing.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from headgate.config.chains import own_chains
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.values import moment_ms
from headgate.config.wording import KeyPath, found, nearest, quoted


def unusable_prices(root: dict[str, Any]) -> Iterator[Finding]:
    """What nobody would pay, or not when it says."""
    own = own_chains(root)
    for path, _ in children_of(root, ("models",)):
        yield from _dates(root, (*path, "price"))
        for chain in ((*path, "targets"), *own.get(path[-1], ())):
            for target, _ in children_of(root, chain):
                yield from _dates(root, (*target, "price"))
    for section in ("plans", "tenants"):
        for path, _ in children_of(root, (section,)):
            yield from _pricing(root, (*path, "pricing"))


def _dates(root: dict[str, Any], path: KeyPath) -> Iterator[Finding]:
    """The first entry holds from the beginning, each further one from a later moment than the one before."""
    value = value_at(root, path)
    entries = list(children_of(root, path)) if isinstance(value, list) else [(path, value)]
    before: int | None = None
    for number, (at, entry) in enumerate(entries):
        if not isinstance(entry, dict):
            continue
        if number == 0:
            if "from" in entry:
                text = "the first price has none, it holds from the beginning; put what was paid before above it"
                yield Finding((*at, "from"), text)
            continue
        if "from" not in entry:
            yield Finding(at, 'missing required key "from": when this price takes the place of the one above')
            continue
        moment = _moment(entry["from"])
        if moment is not None and before is not None and moment <= before:
            yield Finding((*at, "from"), f"expected a later moment than that above, found {found(entry['from'])}")
        before = moment if moment is not None else before


def _moment(value: Any) -> int | None:
    with suppress(ValueError):
        return moment_ms(value)
    return None


def _pricing(root: dict[str, Any], path: KeyPath) -> Iterator[Finding]:
    pricing = value_at(root, path)
    if not isinstance(pricing, dict):
        return
    if pricing.get("models") in (None, {}) and pricing.keys() <= {"models"}:
        yield Finding(path, "expected markup, discount or models, found none")
    yield from _terms(path, pricing)
    for model_path, terms in children_of(root, (*path, "models")):
        if isinstance(terms, dict):
            if not terms:
                yield Finding(model_path, "expected markup or discount, found neither")
            yield from _terms(model_path, terms)
        yield from _model(root, path, model_path)


def _terms(path: KeyPath, terms: dict[str, Any]) -> Iterator[Finding]:
    if {"markup", "discount"} <= terms.keys():
        yield Finding(path, "expected either markup or discount, found both")


def _model(root: dict[str, Any], path: KeyPath, at: KeyPath) -> Iterator[Finding]:
    """Terms for a model that there is not, that has no price, or that the tenant may not use."""
    name, models = at[-1], root.get("models")
    if not isinstance(name, str) or not isinstance(models, dict):
        return
    usable = value_at(root, (*path[:-1], "models")) if path[0] == "tenants" else None
    if name not in models:
        yield Finding(at, f"unknown model {quoted(name)}{nearest(name, models)}")
    elif isinstance(models[name], dict) and "price" not in models[name]:
        yield Finding(at, f"model {quoted(name)} has no price that this could change")
    elif isinstance(usable, list) and name not in usable:
        yield Finding(at, f"the tenant has no model {quoted(name)}")
