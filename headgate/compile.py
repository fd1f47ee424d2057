"""From a checked gateway.yaml to the workers' tables. Pure, the clock apart."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from headgate.alerts_file import alerts_file
from headgate.auth_files import auth_row
from headgate.budget_tables import budgets_of, provider_prices_of, purse_of
from headgate.cluster_names import Account, accounts_of
from headgate.config.chains import chains_of
from headgate.config.given_limits import given_limits
from headgate.config.model import Alerts, Gateway, Model, Plan, Target, Tenant
from headgate.contract import otlp_traces_url
from headgate.engine_tables import engine_rows
from headgate.engine_waits import longest_wait_s
from headgate.issuer_tables import client_rows, issuer_rows
from headgate.price_tables import costs_of, own_costs_of, price_row, terms_row
from headgate.profiles import hedged_profile_of, profile_of
from headgate.slot_tables import Pools, pools_of, pools_of_model, queue_row, slots_rows
from headgate.snapshot import (
    AlertsRow,
    Key,
    ModelRow,
    PlanRow,
    Snapshot,
    SplitRow,
    SpoolRow,
    TargetRow,
    TenantRow,
    ZonedTarget,
)
from headgate.tenant_rows import Chains, Said, tenant_row


@dataclass(frozen=True, slots=True)
class _Upstreams:
    """By provider: the clusters that there are of it, and what the slots of an engine are called."""

    accounts: Mapping[str, tuple[Account, ...]]
    pools: Pools


MAX_TOKENS = 4096  # of an answer, where nobody says how long it may get


def compile_snapshot(gateway: Gateway, generation: int, owner: str = "") -> Snapshot:
    """The tables of a checked gateway, whose id is `owner`."""
    accounts = {name: accounts_of(name, provider) for name, provider in gateway.providers.items()}
    found = _Upstreams(accounts, pools_of(gateway, owner))
    chains = {name: _chain(gateway, found, model, model.targets) for name, model in gateway.models.items()}
    return Snapshot(
        generation=generation,
        created=int(time.time()),
        keys=[
            Key(
                digest=bytes.fromhex(key.sha256),
                key_id=key.name,
                tenant=name,
                disabled=key.disabled or tenant.disabled,
                expires=key.expires.timestamp() if key.expires else None,
            )
            for name, tenant in gateway.tenants.items()
            for key in tenant.keys
        ],
        tenants={name: _tenant_row(gateway, found, tenant, chains) for name, tenant in gateway.tenants.items()},
        max_body_bytes=gateway.listen.max_body_bytes,
        models={name: _model_row(gateway, found, name, model) for name, model in gateway.models.items()},
        loads=_loads(gateway, found),
        budgets=budgets_of(gateway),
        provider_prices=provider_prices_of(gateway),
        costs=costs_of(gateway),
        own_costs=own_costs_of(gateway),
        chains=chains,
        plans={name: _plan_row(plan) for name, plan in gateway.plans.items()},
        slots=slots_rows(gateway, found.pools),
        otlp_traces=otlp_traces_url(str(gateway.telemetry.otlp)) if gateway.telemetry else None,
        alerts=_alerts_row(gateway.alerts) if gateway.alerts else None,
        auth=auth_row(gateway.auth),
        issuers=issuer_rows(gateway.auth),
        clients=client_rows(gateway.auth),
        engines=engine_rows(gateway),
        spool=SpoolRow(gateway.spool.min_free_bytes, gateway.spool.rotate_bytes, gateway.spool.keep_s),
    )


def _tenant_row(gateway: Gateway, found: _Upstreams, tenant: Tenant, chains: Chains) -> TenantRow:
    own = {name: _chain(gateway, found, gateway.models[name], chain) for name, chain in tenant.targets.items()}
    said = Said(
        models=tenant.models,
        plan=_plan_row(gateway.plans[tenant.plan]) if tenant.plan else None,
        zones=tenant.zones,
        limits=given_limits(tenant.limits),
        callers={key.name: given_limits(key.limits) for key in tenant.keys},
        pins=tenant.pin_targets,
        disabled=tenant.disabled,
        usage_retention_days=tenant.usage_retention_days,
        terms=terms_row(tenant.pricing),
    )
    return tenant_row(said, {**chains, **own})


def _plan_row(plan: Plan) -> PlanRow:
    zones = None if plan.zones is None else tuple(plan.zones)
    return PlanRow(given_limits(plan), zones, terms_row(plan.pricing))


def _model_row(gateway: Gateway, found: _Upstreams, name: str, model: Model) -> ModelRow:
    wait_s = longest_wait_s(gateway, name)
    hedged = hedged_profile_of(model, wait_s)
    return ModelRow(
        stream_profile=profile_of(model, wait_s, streams=True).name,
        whole_profile=profile_of(model, wait_s, streams=False).name,
        max_attempts=model.max_attempts,
        headers_ms=round((model.timeouts.headers_s if hedged is None else model.timeouts.idle_s) * 1000),
        total_ms=round(model.timeouts.total_s * 1000),
        wait_ms=round(wait_s * 1000),
        drop_unsupported=model.drop_unsupported,
        price=price_row(model.price) if model.price else None,
        default_max_tokens=model.default_max_tokens or _shortest_answer(model),
        hedge_ms=None if model.hedge_s is None else round(model.hedge_s * 1000),
        hedged_profile=hedged.name if hedged else "",
        strategy=model.strategy,
        has_pools=any(
            gateway.providers[one.provider].api_keys for chain in chains_of(gateway, name) for one in chain
        ),
        split=SplitRow(model.split.by, model.split.variants) if model.split else None,
        queue=queue_row(gateway, name),
        engines=pools_of_model(gateway, name, found.pools),
    )


def _shortest_answer(model: Model) -> int:
    return min((target.max_output_tokens for target in model.targets if target.max_output_tokens), default=MAX_TOKENS)


def _alerts_row(alerts: Alerts) -> AlertsRow:
    return AlertsRow(str(alerts.webhook), str(alerts_file(alerts)))


def _loads(gateway: Gateway, found: _Upstreams) -> dict[str, str]:
    busy = [name for name, model in gateway.models.items() if model.strategy == "least_busy"]
    chains = [chain for name in busy for chain in chains_of(gateway, name)]
    providers = sorted({target.provider for chain in chains for target in chain})
    return {account.label: account.cluster for name in providers for account in found.accounts[name]}


def _chain(gateway: Gateway, found: _Upstreams, model: Model, targets: list[Target]) -> list[ZonedTarget]:
    return [
        ZonedTarget(
            gateway.providers[target.provider].zone,
            _target_row(gateway, model, target, account, number if account.key else 0, found.pools),
        )
        for number, target in enumerate(sorted(targets, key=lambda target: target.priority), 1)
        for account in found.accounts[target.provider]
    ]


def _usd(model: Model, target: Target) -> list[tuple[int, float, float]]:
    """What a strategy goes by: from when on, of a prompt and of an answer."""
    prices = (target.price or model.price or []) if model.strategy == "cheapest" else []
    return [(price.from_ms or 0, float(price.input), float(price.output)) for price in prices]


def _target_row(
    gateway: Gateway, model: Model, target: Target, account: Account, pool: int, pools: Pools
) -> TargetRow:
    provider, usd = gateway.providers[target.provider], _usd(model, target)
    return TargetRow(
        provider=target.provider,
        api=provider.family,
        cluster=account.cluster,
        model=target.model,
        usage=provider.usage,
        priority=target.priority,
        weight=target.weight,
        endpoints=len(provider.urls),
        context_window=target.context_window,
        max_output_tokens=target.max_output_tokens,
        preset=provider.preset,
        usd=usd[0][1:] if usd else None,
        usd_later=tuple(usd[1:]),
        variant=target.variant,
        responses=provider.speaks_responses,
        stored=provider.keeps_completions,
        key=account.key,
        key_weight=account.weight,
        pool=pool,
        purse=purse_of(target.provider, provider, account.key),
        spread=provider.is_engine,
        has_adapters=target.provider in gateway.engines and gateway.engines[target.provider].max_loras > 0,
        engine=pools.get(target.provider, ""),
    )
