"""Problems of limits: values that contradict each other, rules without an end, models that cannot be counted.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from headgate.config.limits import UNLIMITED
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.values import positive_nano_usd, signed_nano_usd, whole
from headgate.config.wording import KeyPath, found, nearest, quoted, shown_path
from headgate.limits import KINDS, KINDS_OF_PARTS, Kind

_MONEY = [name for name, kind in KINDS.items() if kind.dimension == "usd"]
_count = whole(1)


def unusable_limits(root: dict[str, Any]) -> Iterator[Finding]:
    """Limits that could not be kept, or that say nothing."""
    for path, _ in children_of(root, ("plans",)):
        yield from _limits(root, path)
        yield from _rules(root, path)
    for path, _ in children_of(root, ("tenants",)):
        yield from _limits(root, (*path, "limits"), lifts=True)
        yield from _rules(root, (*path, "limits"))
        yield from _models_of_others(root, path)
        for key_path, _ in children_of(root, (*path, "keys")):
            yield from _limits(root, (*key_path, "limits"))
        yield from _models_without_price(root, path)


def _limits(root: dict[str, Any], path: KeyPath, *, lifts: bool = False) -> Iterator[Finding]:
    """The limits of one entry; those of a tenant may lift its plan's."""
    for kind_path, value in children_of(root, path):
        kind = KINDS.get(str(kind_path[-1]))
        if kind is None:
            continue
        if value == UNLIMITED and not lifts:
            yield Finding(kind_path, f'"{UNLIMITED}" is for tenants.<name>.limits; here, leave the key out')
        if isinstance(value, dict):
            yield from _credits(kind_path, value) if kind.shape == "ever" else _limit(kind_path, value, kind)


def _limit(path: KeyPath, value: dict[str, Any], kind: Kind) -> Iterator[Finding]:
    if value.keys() <= {"burst", "refill", "overage"}:  # what else stands there is no key, and a problem of its own
        yield Finding(path, 'expected "limit", "soft" or both, found neither')
        return
    for key, needed in (("burst", "limit"), ("overage", "limit"), ("refill", "burst")):
        if key in value and needed not in value:
            yield Finding((*path, key), f'needs "{needed}" too')
    limit = _amount(kind, value.get("limit"))
    soft, ceiling = value.get("soft"), value_at(value, ("overage", "ceiling"))
    if limit and (_amount(kind, soft) or 0) >= limit:
        yield Finding(
            (*path, "soft"), f"expected less than the limit of {found(value['limit'])}, found {found(soft)}"
        )
    highest = _amount(kind, ceiling)
    if limit and highest and highest <= limit:
        text = f"expected more than the limit of {found(value['limit'])}, found {found(ceiling)}"
        yield Finding((*path, "overage", "ceiling"), text)


def _credits(path: KeyPath, value: dict[str, Any]) -> Iterator[Finding]:
    floor = value.get("floor", 0)
    with suppress(ValueError):  # what is no amount has a finding of its own
        if "low" in value and signed_nano_usd(value["low"]) <= signed_nano_usd(floor):
            text = f"expected more than the floor of {found(floor)}, found {found(value['low'])}"
            yield Finding((*path, "low"), text)


def _amount(kind: Kind, value: Any) -> int | None:
    """None for what is no amount of the kind."""
    parse: Callable[[Any], int] = positive_nano_usd if kind.dimension == "usd" else _count
    with suppress(ValueError):
        return parse(value)
    return None


def _rules(root: dict[str, Any], path: KeyPath) -> Iterator[Finding]:
    """The `per` of one entry."""
    names: dict[object, KeyPath] = {}
    for rule_path, rule in children_of(root, (*path, "per")):
        if not isinstance(rule, dict):
            continue
        yield from _limits(root, rule_path)
        yield from _rule(rule_path, rule)
        for model_path, model in children_of(root, (*rule_path, "models")):
            yield from _unknown_model(root, model_path, model)
        for kind in (key for key in rule if key in KINDS_OF_PARTS):
            name = (kind, *(_members(rule.get(key)) for key in ("by", "models")))
            if names.setdefault(name, (*rule_path, kind)) != (*rule_path, kind):
                yield Finding((*rule_path, kind), f"the same limit as {shown_path(names[name])}")


def _rule(path: KeyPath, rule: dict[str, Any]) -> Iterator[Finding]:
    if rule.get("by", []) == [] and "models" not in rule:
        yield Finding(path, 'expected "by", "models" or both, found neither')
    if rule.keys() <= {"by", "models"}:
        yield Finding(path, f"expected at least one limit ({', '.join(KINDS_OF_PARTS)})")
    for key in ("by", "models"):
        seen: set[str] = set()
        for item_path, item in children_of(rule, (key,)):
            if str(item) in seen:
                yield Finding((*path, *item_path), f"{quoted(str(item))} is given twice")
            seen.add(str(item))


def _members(value: Any) -> tuple[str, ...]:
    """What a list says, whatever its order."""
    return tuple(sorted(map(str, value))) if isinstance(value, list) else ()


def _unknown_model(root: dict[str, Any], path: KeyPath, model: Any) -> Iterator[Finding]:
    known = root.get("models")
    if isinstance(model, str) and isinstance(known, dict) and model not in known:
        yield Finding(path, f"unknown model {quoted(model)}{nearest(model, known)}")


def _models_of_others(root: dict[str, Any], tenant: KeyPath) -> Iterator[Finding]:
    """A tenant's own rules for models that it may not use: they would count nothing."""
    usable, known = value_at(root, (*tenant, "models")), root.get("models")
    if not isinstance(usable, list) or not isinstance(known, dict):
        return
    for rule_path, _ in children_of(root, (*tenant, "limits", "per")):
        for path, model in children_of(root, (*rule_path, "models")):
            if isinstance(model, str) and model in known and model not in usable:
                hint = nearest(model, [name for name in usable if isinstance(name, str)])
                yield Finding(path, f"the tenant has no model {quoted(model)}{hint}")


def _models_without_price(root: dict[str, Any], tenant: KeyPath) -> Iterator[Finding]:
    """Models of a tenant with a limit of money that it could not hold."""
    spending = list(_money_limits(root, tenant))
    for path, model in children_of(root, (*tenant, "models")):
        entry = value_at(root, ("models", model)) if isinstance(model, str) else None
        if not isinstance(entry, dict) or "price" in entry:
            continue
        for limit, models in spending:
            if models is None or (isinstance(models, list) and model in models):
                text = f"model {quoted(model)} has no price, so {shown_path(limit)} cannot count it"
                yield Finding(path, text)
                break


def _money_limits(root: dict[str, Any], tenant: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Where the limits of money stand that hold for a tenant, and the list of models of each; None is all."""
    own, plan = (*tenant, "limits"), value_at(root, (*tenant, "plan"))
    above: KeyPath = ("plans", plan) if isinstance(plan, str) else own
    for kind in _MONEY:
        path = (*(own if _has(root, own, kind) else above), kind)
        if value_at(root, path) not in (None, UNLIMITED):
            yield path, None
    rules = own if _has(root, own, "per") else above
    for rule_path, rule in children_of(root, (*rules, "per")):
        models = rule.get("models") if isinstance(rule, dict) else []
        yield from (((*rule_path, kind), models) for kind in _given(rule))
    for key_path, key in children_of(root, (*tenant, "keys")):
        yield from (((*key_path, "limits", kind), None) for kind in _given(value_at(key, ("limits",))))


def _has(root: dict[str, Any], path: KeyPath, key: str) -> bool:
    entry = value_at(root, path)
    return isinstance(entry, dict) and key in entry


def _given(entry: Any) -> list[str]:
    return [kind for kind in _MONEY if kind in entry] if isinstance(entry, dict) else []
