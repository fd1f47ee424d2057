"""From a checked gateway.yaml to the workers' tables. Pure, the clock apart."""

import time

from headgate.config.model import Gateway, Model, Target
from headgate.config.zones import targets_for
from headgate.contract import cluster_name
from headgate.profiles import profile_of
from headgate.snapshot import Key, ModelRow, Snapshot, TargetRow, TenantRow

SPEAKS = frozenset({"openai"})  # provider APIs that this version can send to


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
            name: TenantRow({model: _targets(gateway, name, model) for model in tenant.models})
            for name, tenant in gateway.tenants.items()
        },
        max_body_bytes=gateway.listen.max_body_bytes,
        models={name: _model_row(model) for name, model in gateway.models.items()},
    )


def _model_row(model: Model) -> ModelRow:
    return ModelRow(
        stream_profile=profile_of(model, streams=True).name,
        whole_profile=profile_of(model, streams=False).name,
        max_attempts=model.max_attempts,
        headers_ms=round(model.timeouts.headers_s * 1000),
    )


def _targets(gateway: Gateway, tenant: str, model: str) -> list[TargetRow]:
    return [
        _target_row(gateway, target)
        for target in targets_for(gateway, tenant, model)
        if gateway.providers[target.provider].api in SPEAKS
    ]


def _target_row(gateway: Gateway, target: Target) -> TargetRow:
    provider = gateway.providers[target.provider]
    return TargetRow(
        cluster=cluster_name(target.provider),
        model=target.model,
        usage=provider.usage,
        priority=target.priority,
        weight=target.weight,
        endpoints=len(provider.urls),
    )
