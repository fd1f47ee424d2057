"""Residency: which targets a tenant may reach. Nothing else may widen the answer. No IO."""

from collections.abc import Collection

from headgate.config.model import Gateway, Target


def zones_of(plan: Collection[str] | None, tenant: Collection[str] | None) -> frozenset[str] | None:
    """The zones that both a plan and a tenant allow; None is every zone."""
    if plan is None or tenant is None:
        given = tenant if plan is None else plan
        return None if given is None else frozenset(given)
    return frozenset(plan) & frozenset(tenant)


def tenant_zones(gateway: Gateway, tenant_name: str) -> frozenset[str] | None:
    """The zones of a tenant, narrowed by its plan; None is every zone."""
    tenant = gateway.tenants[tenant_name]
    plan = gateway.plans[tenant.plan] if tenant.plan is not None else None
    return zones_of(plan.zones if plan else None, tenant.zones)


def targets_for(gateway: Gateway, tenant_name: str, model_name: str) -> list[Target]:
    """The targets of a model that a tenant may reach, its own where it has some, the lowest priority first.

    Says nothing about whether the tenant may call the model at all: that is `Tenant.models`.
    """
    zones = tenant_zones(gateway, tenant_name)
    own = gateway.tenants[tenant_name].targets.get(model_name)
    targets = gateway.models[model_name].targets if own is None else own
    reachable = [target for target in targets if zones is None or gateway.providers[target.provider].zone in zones]
    return sorted(reachable, key=lambda target: target.priority)
