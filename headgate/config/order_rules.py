"""Problems of the order of targets: strategies without what they go by, splits and variants that do not fit.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Iterator
from typing import Any

from headgate.config.chains import own_chains
from headgate.config.references import effective_zones, names_of, zone_of
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.wording import KeyPath, nearest, quoted


def unusable_orders(root: dict[str, Any]) -> Iterator[Finding]:
    """What would rank nothing, or send nobody anywhere."""
    own = own_chains(root)
    for path, model in children_of(root, ("models",)):
        if not isinstance(model, dict):
            continue
        for chain in ((*path, "targets"), *own.get(path[-1], ())):
            yield from _prices(root, model, chain)
            yield from _variants(root, path, model, chain)
        variants = value_at(model, ("split", "variants"))
        if isinstance(variants, dict):
            if len(variants) < 2:
                yield Finding((*path, "split", "variants"), f"expected two variants or more, found {len(variants)}")
            yield from _zones_of_variants(root, path, variants)


def _prices(root: dict[str, Any], model: dict[str, Any], chain: KeyPath) -> Iterator[Finding]:
    for path, target in children_of(root, chain):
        is_unpriced = isinstance(target, dict) and "price" not in target and "price" not in model
        if is_unpriced and model.get("strategy") == "cheapest":
            yield Finding(path, "strategy: cheapest needs a price, of the target or of the model")


def _variants(root: dict[str, Any], path: KeyPath, model: dict[str, Any], chain: KeyPath) -> Iterator[Finding]:
    """A tenant's own targets may do without any variant: then it takes no part."""
    split = model.get("split")
    known = value_at(split, ("variants",))
    if split is not None and not isinstance(known, dict):
        return
    used = []
    for target_path, target in children_of(root, chain):
        variant = target.get("variant") if isinstance(target, dict) else None
        if not isinstance(variant, str):
            continue
        used.append(variant)
        if known is None:
            yield Finding((*target_path, "variant"), 'needs "split" of the model')
        elif variant not in known:
            yield Finding((*target_path, "variant"), f"unknown variant {quoted(variant)}{nearest(variant, known)}")
    is_tenants = chain[0] == "tenants"
    for name in known or {}:
        if isinstance(name, str) and name not in used and (used or not is_tenants):
            at = chain if is_tenants else (*path, "split", "variants", name)
            yield Finding(at, f"no target has variant: {name}")


def _zones_of_variants(root: dict[str, Any], path: KeyPath, variants: dict[str, Any]) -> Iterator[Finding]:
    """Tenants whose zones have targets of some variants alone. One whose zones have none of any takes no part."""
    for tenant_path, tenant in children_of(root, ("tenants",)):
        zones = effective_zones(root, tenant) if isinstance(tenant, dict) else None
        models = names_of(tenant.get("models")) if isinstance(tenant, dict) else None
        if not zones or path[-1] not in (models or ()):
            continue
        own = (*tenant_path, "targets", path[-1])
        reached = {
            variant
            for _, target in children_of(root, own if value_at(root, own) else (*path, "targets"))
            if isinstance(target, dict)
            and _zone(root, target) in zones
            and isinstance(variant := target.get("variant"), str)
        }
        for name in variants if reached else ():
            if name not in reached:
                text = (
                    f"model {quoted(str(path[-1]))}: variant {quoted(str(name))} has no target in the tenant's zones"
                )
                yield Finding((*tenant_path, "models", (models or []).index(str(path[-1]))), text)


def _zone(root: dict[str, Any], target: dict[str, Any]) -> str | None:
    provider = target.get("provider")
    return zone_of(value_at(root, ("providers", provider))) if isinstance(provider, str) else None
