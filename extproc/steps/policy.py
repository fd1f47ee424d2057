"""What the tenant may use: its models, each with the targets inside its zones."""

from extproc.exchange import Exchange
from extproc.refusal import NotFound, UnknownCaller
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
    """The tenant's models. While a reload is under way, authz may have gone by other tables than these."""
    tenant = exchange.snapshot.tenants.get(exchange.incoming.tenant)
    if tenant is None:
        raise UnknownCaller("Incorrect API key provided.", code="invalid_api_key")
    return tenant.models


def unknown_model(name: str) -> NotFound:
    """The same for a model that does not exist and for one that is another tenant's."""
    shown = name if len(name) <= 128 else f"{name[:128]}…"
    return NotFound(
        f"The model '{shown}' does not exist or you do not have access to it.",
        param="model",
        code="model_not_found",
    )
