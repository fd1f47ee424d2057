"""What the tenant may use: its models, each with the targets inside its zones, and adapters of them."""

from collections.abc import Iterator

from extproc.exchange import Exchange
from extproc.refusal import Forbidden, NotFound, UnknownCaller
from headgate.snapshot import AliasRow, TargetRow, TenantRow


def resolve_model(exchange: Exchange) -> None:
    """Fills `model`, `base_model`, `alias`, `row` and `targets`."""
    name = exchange.document.get("model")
    if not take_model(exchange, name, targets_of(exchange, name)):
        raise unknown_model(name)


def take_model(exchange: Exchange, name: str, targets: list[TargetRow]) -> bool:
    """Fills the same with some of the model's targets; whether there are any."""
    if not targets:
        return False
    alias = exchange.tenant.aliases.get(name) if exchange.tenant else None
    exchange.model, exchange.targets, exchange.alias = name, targets, alias
    exchange.base_model = alias.base_model if alias else name
    exchange.row = exchange.snapshot.models[exchange.base_model]
    return True


def targets_of(exchange: Exchange, name: str) -> list[TargetRow]:
    """None of a model that the tenant or its key may not use; of an adapter those of all its live versions."""
    tenant = _tenant_of(exchange)
    return tenant.targets(name) if may_use(exchange, name) else []


def models_of(exchange: Exchange) -> dict[str, list[TargetRow]]:
    """What the tenant and the key may use, adapters last. While a reload is under way, authz may have gone by other
    tables.
    """
    return {name: targets for name, targets in _all(_tenant_of(exchange)) if may_use(exchange, name)}


def adapter_of(exchange: Exchange, name: str) -> AliasRow | None:
    """What stands behind a name that `models_of` has; None for a model of gateway.yaml."""
    return exchange.tenant.aliases.get(name) if exchange.tenant else None


def _all(tenant: TenantRow) -> Iterator[tuple[str, list[TargetRow]]]:
    yield from tenant.models.items()
    for name, alias in tenant.aliases.items():
        yield name, alias.targets


def _tenant_of(exchange: Exchange) -> TenantRow:
    tenant = exchange.tenant
    if tenant is None and exchange.is_misconfigured:
        raise Forbidden(
            "This tenant's configuration is incomplete, so that nothing can be served: ask the gateway's operator.",
            code="tenant_misconfigured",
        )
    if tenant is None:
        raise UnknownCaller("Incorrect API key provided.", code="invalid_api_key")
    return tenant


def may_use(exchange: Exchange, model: str) -> bool:
    """Whether the key is good for this model, and what it has made."""
    return exchange.incoming.key_models is None or model in exchange.incoming.key_models


def unknown_model(name: str) -> NotFound:
    """The same for a model that does not exist and for one that is another tenant's."""
    shown = name if len(name) <= 128 else f"{name[:128]}…"
    return NotFound(
        f"The model '{shown}' does not exist or you do not have access to it.",
        param="model",
        code="model_not_found",
    )
