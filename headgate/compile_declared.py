"""From a checked gateway.yaml to what it declares (headgate/declared.py). Pure."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from headgate.adapter_files import adapter_row
from headgate.auth_files import auth_row
from headgate.config.billing import Billing
from headgate.config.model import Gateway, Key, Model, Plan, Provider, Target, Tenant
from headgate.config.secret_refs import SecretRef
from headgate.declared import (
    Declared,
    DeclaredBilling,
    DeclaredKey,
    DeclaredModel,
    DeclaredPlan,
    DeclaredProvider,
    DeclaredTarget,
    DeclaredTenant,
)
from headgate.declared_limits import written
from headgate.declared_pricing import written_pricing


def compile_declared(gateway: Gateway, generation: int, base: Path) -> Declared:
    """What a checked gateway declares; `base` is the folder of gateway.yaml."""
    return Declared(
        generation=generation,
        tenants={name: _tenant(gateway, tenant) for name, tenant in gateway.tenants.items()},
        plans={name: _plan(plan) for name, plan in gateway.plans.items()},
        models={name: _model(gateway, model) for name, model in gateway.models.items()},
        providers={name: _provider(provider) for name, provider in gateway.providers.items()},
        auth=auth_row(gateway.auth),
        adapters=adapter_row(gateway, base),
        has_database=gateway.services.database is not None,
        usage=_place(gateway.services.usage) if gateway.services.usage else None,
        has_receiver=gateway.alerts is not None,
        billing=_billing(gateway.billing) if gateway.billing else DeclaredBilling(),
    )


def _place(url: str) -> str:
    """Without who asks there, and how."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2].lower()}{parts.path}"


def _billing(billing: Billing) -> DeclaredBilling:
    return DeclaredBilling(billing.seller, billing.address, billing.notes, billing.due_days, billing.prefix)


def _tenant(gateway: Gateway, tenant: Tenant) -> DeclaredTenant:
    return DeclaredTenant(
        plan=tenant.plan,
        zones=tenant.zones,
        models=tenant.models,
        pin_targets=tenant.pin_targets,
        disabled=tenant.disabled,
        limits=written(tenant.limits),
        keys=[_key(key) for key in tenant.keys],
        store_prompts=tenant.store_prompts,
        usage_retention_days=tenant.usage_retention_days,
        pricing=written_pricing(tenant.pricing),
        targets={name: [_target(gateway, one) for one in chain] for name, chain in tenant.targets.items()},
    )


def _key(key: Key) -> DeclaredKey:
    expires = key.expires.timestamp() if key.expires else None
    return DeclaredKey(key.name, key.disabled, expires, written(key.limits))


def _plan(plan: Plan) -> DeclaredPlan:
    return DeclaredPlan(written(plan), plan.zones, written_pricing(plan.pricing))


def _model(gateway: Gateway, model: Model) -> DeclaredModel:
    targets = [_target(gateway, one) for one in model.targets]
    return DeclaredModel(targets, model.strategy, priced=model.price is not None)


def _target(gateway: Gateway, target: Target) -> DeclaredTarget:
    engine = gateway.engines.get(target.provider)
    rank = engine.max_lora_rank if engine and engine.max_loras else 0
    return DeclaredTarget(target.provider, target.model, gateway.providers[target.provider].zone, rank)


def _provider(provider: Provider) -> DeclaredProvider:
    return DeclaredProvider(
        api=provider.api,
        zone=provider.zone,
        endpoints=[str(url) for url in provider.urls],
        preset=provider.preset,
        credentials={field: reference.kind for field, reference in credentials_of(provider)},
    )


def credentials_of(provider: Provider) -> Iterator[tuple[str, SecretRef]]:
    """Each credential's field, as the admin API names it, and where it is kept."""
    alone = {"api_key": provider.api_key, "token": provider.token}
    yield from ((field, reference) for field, reference in alone.items() if reference)
    if provider.aws:
        yield from ((f"aws/{field}", reference) for field, reference in provider.aws if reference)
    yield from ((f"api_keys/{key.called}", key.key) for key in provider.api_keys or ())
