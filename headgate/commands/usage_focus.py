"""Usage as FOCUS 1.2 rows (https://focus.finops.org): one for each day, tenant, project, key, model and unit. Pure.

The gateway's operator is the provider, who bills its tenants in USD; a tenant is a billing account, a project a sub
account, and a virtual key the resource. What nobody here can know is null. Nothing has a price of its own: a row is
of several kinds of tokens, each with another price.
"""

import datetime as dt
from typing import Any

from headgate.commands.usage_asked import moment_text, month_around
from headgate.commands.usage_written import decimal_text, usd
from headgate.usage_questions import Dimension, SumRow, Sums

BY: tuple[Dimension, ...] = ("tenant", "project", "key_id", "provider", "model", "surface", "unit")
_DAY_S = 86_400

COLUMNS = (
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "x_ProviderCost",  # what the model's provider takes, in USD
    "x_Requests",
    "x_EstimatedRequests",
)
_SAME: dict[str, Any] = {
    "BillingAccountType": "Tenant",
    "BillingCurrency": "USD",
    "ChargeCategory": "Usage",
    "ChargeFrequency": "Usage-Based",
    "PricingCategory": "Standard",
    "PricingCurrency": "USD",
    "ServiceCategory": "AI and Machine Learning",
    "ServiceName": "LLM gateway",
    "ServiceSubcategory": "Generative AI",
}
_NOBODY = "none"  # of requests without a key: a billing account is never null


def focus_values(question: Sums, row: SumRow, issuer: str) -> dict[str, Any]:
    """One row by COLUMNS. `issuer` is the operator, in the customers' eyes."""
    group = row.group
    tenant, model = group["tenant"] or _NOBODY, group["model"] or _NOBODY
    unit, quantity = _consumed(row)
    cost = decimal_text(row.cost)
    price = _decimal(usd(row.price_nano))
    begin, end = month_around(dt.datetime.fromtimestamp(row.start_s, dt.UTC))
    return (
        dict.fromkeys(COLUMNS)
        | _SAME
        | {
            "BilledCost": price,
            "BillingAccountId": tenant,
            "BillingAccountName": tenant,
            "BillingPeriodStart": moment_text(int(begin.timestamp())),
            "BillingPeriodEnd": moment_text(int(end.timestamp())),
            "ChargeDescription": f"{group['surface'] or 'requests'}, {model}",
            "ChargePeriodStart": moment_text(max(row.start_s, question.since_s)),
            "ChargePeriodEnd": moment_text(min(row.start_s + _DAY_S, question.until_s)),
            "ConsumedQuantity": quantity,
            "ConsumedUnit": unit,
            "ContractedCost": price,
            "EffectiveCost": price,
            "InvoiceIssuerName": issuer,
            "ListCost": price,
            "PricingCurrencyEffectiveCost": price,
            "PricingQuantity": quantity,
            "PricingUnit": unit,
            "ProviderName": issuer,
            "PublisherName": group["provider"] or issuer,
            "ResourceId": group["key_id"] or None,
            "ResourceName": group["key_id"] or None,
            "ResourceType": "Virtual key" if group["key_id"] else None,
            "SkuId": model,
            "SkuMeter": unit,
            "SkuPriceId": f"{model}/{group['surface'] or 'requests'}/{unit}",
            "SubAccountId": group["project"] or None,
            "SubAccountName": group["project"] or None,
            "SubAccountType": "Project" if group["project"] else None,
            "x_ProviderCost": None if cost is None else _decimal(cost),
            "x_Requests": row.requests,
            "x_EstimatedRequests": row.estimated_requests,
        }
    )


def _consumed(row: SumRow) -> tuple[str, str]:
    """In FOCUS's form of units: in the plural, with a capital."""
    if unit := row.group["unit"]:
        return (f"{unit.capitalize()}es" if unit.endswith("h") else f"{unit.capitalize()}s"), _decimal(row.units)
    return "Tokens", _decimal(row.prompt_tokens + row.completion_tokens)


def _decimal(number: int | str) -> str:
    """A decimal also where it is whole: readers take a column of whole numbers for one of another type."""
    text = str(number)
    return text if "." in text else f"{text}.0"
