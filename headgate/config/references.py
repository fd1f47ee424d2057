"""Problems between entries of a tree: names that nothing has, zones that leave no target, keys used twice.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Iterator
from typing import Any

from headgate.config.shape import Finding, children_of, value_at
from headgate.config.values import deployment
from headgate.config.wording import KeyPath, nearest, quoted, shown_path
from headgate.config.zones import zones_of
from headgate.directory.rows import SHARED, is_shared

DEFAULT_ZONE = "external"


def unresolved(root: dict[str, Any]) -> Iterator[Finding]:
    """References that lead nowhere, and what may exist only once."""
    yield from _unknown_providers(root)
    yield from _impossible_deployments(root)
    yield from _unknown_plans_and_models(root)
    yield from _unreachable_models(root)
    yield from _repeated_keys(root)
    yield from _shared_address(root)


def unknown_zones(root: dict[str, Any]) -> Iterator[Finding]:
    """Zones of plans and tenants that no provider is in; legal, but most likely misspelt."""
    known = {zone for _, provider in children_of(root, ("providers",)) if (zone := zone_of(provider))}
    for section in ("plans", "tenants"):
        for path, _ in children_of(root, (section,)):
            for zone_path, zone in children_of(root, (*path, "zones")):
                if isinstance(zone, str) and zone not in known:
                    hint = nearest(zone, sorted(known), cutoff=0.8)  # internal and external are not alike
                    yield Finding(zone_path, f"no provider is in zone {quoted(zone)}{hint}")


def _unknown_providers(root: dict[str, Any]) -> Iterator[Finding]:
    for path in _targets(root):
        yield from _unknown(root, "providers", "provider", (*path, "provider"))


def _impossible_deployments(root: dict[str, Any]) -> Iterator[Finding]:
    """Targets whose model would not be a part of Azure's path."""
    for path in _targets(root):
        name, model = value_at(root, (*path, "provider")), value_at(root, (*path, "model"))
        provider = value_at(root, ("providers", name)) if isinstance(name, str) else None
        if isinstance(provider, dict) and provider.get("api") == "azure" and "api_version" in provider:
            try:
                deployment(model if isinstance(model, str) else "m")  # what is no text, `shape` reports
            except ValueError as error:
                yield Finding((*path, "model"), str(error))


def _targets(root: dict[str, Any]) -> Iterator[KeyPath]:
    """The models' and the tenants' own."""
    for path, _ in children_of(root, ("models",)):
        yield from (target for target, _ in children_of(root, (*path, "targets")))
    for path, _ in children_of(root, ("tenants",)):
        for chain_path, _ in children_of(root, (*path, "targets")):
            yield from (target for target, _ in children_of(root, chain_path))


def _unknown_plans_and_models(root: dict[str, Any]) -> Iterator[Finding]:
    for path, _ in children_of(root, ("tenants",)):
        yield from _unknown(root, "plans", "plan", (*path, "plan"))
        if path[-1] == SHARED:
            yield Finding(path, f"{quoted(SHARED)} stands for the platform among adapters: call the tenant otherwise")
        for model_path, model in children_of(root, (*path, "models")):
            if not (isinstance(model, str) and is_shared(model)):  # which the database may have, then or later
                yield from _unknown(root, "models", "model", model_path)
        yield from _targets_without_model(root, path)


def _targets_without_model(root: dict[str, Any], path: KeyPath) -> Iterator[Finding]:
    """A tenant's own targets for models that it may not use."""
    models = value_at(root, (*path, "models"))
    own = value_at(root, (*path, "targets"))
    if not isinstance(models, list) or not isinstance(own, dict):
        return
    usable = [model for model in models if isinstance(model, str)]
    for name in own:
        if isinstance(name, str) and name not in usable:
            hint = nearest(name, usable)
            yield Finding((*path, "targets", name), f"the tenant has no model {quoted(name)}{hint}")


def _unknown(root: dict[str, Any], section: str, noun: str, path: KeyPath) -> Iterator[Finding]:
    name, known = value_at(root, path), root.get(section, {})
    if isinstance(name, str) and isinstance(known, dict) and name not in known:
        yield Finding(path, f"unknown {noun} {quoted(name)}{nearest(name, known)}")


def _unreachable_models(root: dict[str, Any]) -> Iterator[Finding]:
    for path, tenant in children_of(root, ("tenants",)):
        if not isinstance(tenant, dict):
            continue
        zones = effective_zones(root, tenant)
        if zones is None:
            continue
        if not zones:
            yield Finding((*path, "zones"), "the tenant and its plan have no zone in common")
            continue
        for model_path, model in children_of(root, (*path, "models")):
            reachable = _zones_of_model(root, path, model)
            if reachable and not reachable & zones:
                yield Finding(
                    model_path,
                    f"model {quoted(str(model))} has no target in the tenant's zones "
                    f"({_listed(zones)}), only in {_listed(reachable)}",
                )


def effective_zones(root: dict[str, Any], tenant: dict[str, Any]) -> frozenset[str] | None:
    """The zones of a tenant, narrowed by its plan; None is all of them.

    None also where a list is not one of zones: then there is nothing to compare."""
    plan = tenant.get("plan")
    of_plan = value_at(root, ("plans", plan, "zones")) if isinstance(plan, str) else None
    return zones_of(names_of(of_plan), names_of(tenant.get("zones")))


def _zones_of_model(root: dict[str, Any], tenant: KeyPath, model: Any) -> frozenset[str]:
    """The zones of a model's targets, the tenant's own where there are some.

    None if one of them is not known, so that its mistake is named once.
    """
    if not isinstance(model, str):
        return frozenset()
    zones = []
    own = (*tenant, "targets", model)
    for path, _ in children_of(root, own if value_at(root, own) else ("models", model, "targets")):
        provider = value_at(root, (*path, "provider"))
        zone = zone_of(value_at(root, ("providers", provider))) if isinstance(provider, str) else None
        if zone is None:
            return frozenset()
        zones.append(zone)
    return frozenset(zones)


def _repeated_keys(root: dict[str, Any]) -> Iterator[Finding]:
    digests: dict[str, KeyPath] = {}
    for path, _ in children_of(root, ("tenants",)):
        names: dict[str, KeyPath] = {}
        for key_path, key in children_of(root, (*path, "keys")):
            if not isinstance(key, dict):
                continue
            name, digest = key.get("name"), key.get("sha256")
            if isinstance(name, str) and names.setdefault(name, key_path) != key_path:
                yield Finding((*key_path, "name"), f"name already used by {shown_path(names[name])}")
            if isinstance(digest, str) and digests.setdefault(digest.lower(), key_path) != key_path:
                yield Finding((*key_path, "sha256"), f"same key as {shown_path(digests[digest.lower()])}")


def zone_of(provider: Any) -> str | None:
    """Where a provider's prompts go."""
    zone = provider.get("zone", DEFAULT_ZONE) if isinstance(provider, dict) else None
    return zone if isinstance(zone, str) else None


def names_of(value: Any) -> list[str] | None:
    """A list of names; None for what is none."""
    usable = isinstance(value, list) and value and all(isinstance(item, str) for item in value)
    return value if usable else None


def _listed(names: frozenset[str]) -> str:
    return ", ".join(quoted(name) for name in sorted(names))


def _shared_address(root: dict[str, Any]) -> Iterator[Finding]:
    admin, http = value_at(root, ("listen", "admin")), value_at(root, ("listen", "http"))
    https = value_at(root, ("listen", "https", "address"))
    for name, clients in (("http", http), ("https.address", https)):
        if isinstance(admin, str) and not admin.endswith(":0") and admin == clients:
            yield Finding(("listen", "admin"), f"the same address as listen.{name}: clients must not reach it")
    if isinstance(http, str) and not http.endswith(":0") and http == https:
        yield Finding(("listen", "https", "address"), "the same address as listen.http")
