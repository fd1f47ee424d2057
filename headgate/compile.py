"""From a checked gateway.yaml to the workers' tables. Pure, the clock apart."""

import time

from headgate.alerts_file import alerts_file
from headgate.cluster_names import cluster_of
from headgate.config.model import Alerts, Gateway, Model, Price, Target
from headgate.config.zones import targets_for
from headgate.contract import otlp_traces_url
from headgate.prices import PriceRow
from headgate.profiles import hedged_profile_of, profile_of
from headgate.snapshot import AlertsRow, Key, ModelRow, Snapshot, SplitRow, SpoolRow, TargetRow, TenantRow
from headgate.tenant_limits import limits_of

MAX_TOKENS = 4096  # of an answer, where nobody says how long it may get


def compile_snapshot(gateway: Gateway, generation: int) -> Snapshot:
    """The tables of a checked gateway."""
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
        tenants={
            name: TenantRow(
                {model: _targets(gateway, name, model) for model in tenant.models},
                limits_of(gateway.plans[tenant.plan] if tenant.plan else None, tenant),
                pins=tenant.pin_targets,
            )
            for name, tenant in gateway.tenants.items()
        },
        max_body_bytes=gateway.listen.max_body_bytes,
        models={name: _model_row(model) for name, model in gateway.models.items()},
        loads=_loads(gateway),
        otlp_traces=otlp_traces_url(str(gateway.telemetry.otlp)) if gateway.telemetry else None,
        alerts=_alerts_row(gateway.alerts) if gateway.alerts else None,
        spool=SpoolRow(gateway.spool.min_free_bytes, gateway.spool.rotate_bytes, gateway.spool.keep_s),
    )


def _model_row(model: Model) -> ModelRow:
    hedged = hedged_profile_of(model)
    return ModelRow(
        stream_profile=profile_of(model, streams=True).name,
        whole_profile=profile_of(model, streams=False).name,
        max_attempts=model.max_attempts,
        headers_ms=round((model.timeouts.headers_s if hedged is None else model.timeouts.idle_s) * 1000),
        total_ms=round(model.timeouts.total_s * 1000),
        drop_unsupported=model.drop_unsupported,
        price=_price_row(model.price) if model.price else None,
        default_max_tokens=model.default_max_tokens or _shortest_answer(model),
        hedge_ms=None if model.hedge_s is None else round(model.hedge_s * 1000),
        hedged_profile=hedged.name if hedged else "",
        strategy=model.strategy,
        split=SplitRow(model.split.by, model.split.variants) if model.split else None,
    )


def _shortest_answer(model: Model) -> int:
    return min((target.max_output_tokens for target in model.targets if target.max_output_tokens), default=MAX_TOKENS)


def _alerts_row(alerts: Alerts) -> AlertsRow:
    return AlertsRow(str(alerts.webhook), str(alerts_file(alerts)))


def _price_row(price: Price) -> PriceRow:
    return PriceRow(
        input=price.input,
        cached_input=price.input if price.cached_input is None else price.cached_input,
        cache_write=price.input if price.cache_write is None else price.cache_write,
        output=price.output,
        request=price.request,
        image=price.image,
        second=price.second,
        character=price.character,
    )


def _loads(gateway: Gateway) -> dict[str, str]:
    busy = {name for name, model in gateway.models.items() if model.strategy == "least_busy"}
    chains = [gateway.models[name].targets for name in busy]
    chains += [chain for one in gateway.tenants.values() for name, chain in one.targets.items() if name in busy]
    providers = sorted({target.provider for chain in chains for target in chain})
    return {name: cluster_of(name, gateway.providers[name]) for name in providers}


def _targets(gateway: Gateway, tenant: str, name: str) -> list[TargetRow]:
    model = gateway.models[name]
    return [_target_row(gateway, model, target) for target in targets_for(gateway, tenant, name)]


def _usd(model: Model, target: Target) -> tuple[float, float] | None:
    price = target.price or model.price
    return (float(price.input), float(price.output)) if price and model.strategy == "cheapest" else None


def _target_row(gateway: Gateway, model: Model, target: Target) -> TargetRow:
    provider = gateway.providers[target.provider]
    return TargetRow(
        provider=target.provider,
        api=provider.family,
        cluster=cluster_of(target.provider, provider),
        model=target.model,
        usage=provider.usage,
        priority=target.priority,
        weight=target.weight,
        endpoints=len(provider.urls),
        context_window=target.context_window,
        max_output_tokens=target.max_output_tokens,
        preset=provider.preset,
        usd=_usd(model, target),
        variant=target.variant,
        responses=provider.speaks_responses,
    )
