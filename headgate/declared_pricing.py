"""Terms back to what gateway.yaml says of them: plain JSON, percentages as text. Pure."""

from decimal import Decimal
from typing import Any

from headgate.config.prices import Pricing, Terms


def written_pricing(pricing: Pricing | None) -> dict[str, Any] | None:
    """Of a plan or a tenant, by the names of gateway.yaml; None where it says nothing."""
    if pricing is None:
        return None
    models = {name: _terms(terms) for name, terms in pricing.models.items()}
    return {**_terms(pricing), **({"models": models} if models else {})}


def _terms(terms: Terms) -> dict[str, str]:
    said = {"markup": terms.markup, "discount": terms.discount}
    return {name: _percent(value) for name, value in said.items() if value is not None}


def _percent(value: Decimal) -> str:
    return f"{value:f}%"
