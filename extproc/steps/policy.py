"""What the tenant may use: its models, each with the targets inside its zones."""

from extproc.exchange import Exchange
from extproc.refusal import Forbidden, NotFound, UnknownCaller
from headgate.snapshot import TargetRow


def resolve_model(exchange: Exchange) -> None:
    """Fills `model`, `row` and `targets`."""
    name = exchange.document.get("model")
    targets = models_of(exchange).get(name)
    if targets is None:
        raise unknown_model(name)
    exchange.model, exchange.targets = name, targets
    exchange.row = exchange.snapshot.models[name]


def models_of(exchange: Exchange) -> dict[str, list[TargetRow]]:
    """What the tenant and the key may use. While a reload is under way, authz may have gone by other tables."""
    tenant, confined = exchange.tenant, exchange.incoming.key_models
    if tenant is None and exchange.is_misconfigured:
        raise Forbidden(
            "This tenant's configuration is incomplete, so that nothing can be served: ask the gateway's operator.",
            code="tenant_misconfigured",
        )
    if tenant is None:
        raise UnknownCaller("Incorrect API key provided.", code="invalid_api_key")
    if confined is None:
        return tenant.models
    return {name: targets for name, targets in tenant.models.items() if name in confined}


def may_use(exchange: Exchange, model: str) -> bool:
    """Whether the key is good for what this model has made."""
    return exchange.incoming.key_models is None or model in exchange.incoming.key_models


def unknown_model(name: str) -> NotFound:
    """The same for a model that does not exist and for one that is another tenant's."""
    shown = name if len(name) <= 128 else f"{name[:128]}…"
    return NotFound(
        f"The model '{shown}' does not exist or you do not have access to it.",
        param="model",
        code="model_not_found",
    )
