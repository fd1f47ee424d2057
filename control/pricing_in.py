"""Terms in the bodies of requests: `pricing` of gateway.yaml, by its types and rules, as it is stored."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from control.documents import an_object, check_document
from control.fields import MODEL
from headgate.config.price_rules import unusable_prices
from headgate.config.prices import Pricing
from headgate.declared import DeclaredModel

_PLACE = ("plans", "p", "pricing")  # of gateway.yaml; a tenant's has no other shape


def checked_pricing(said: Mapping[str, Any], models: Mapping[str, DeclaredModel]) -> dict[str, Any]:
    """What a body says, with its `pricing`, if it has one, ready for the database. `models`: those that there are.

    What a tenant may not use is no fault: it may be granted later. Raises Problem.
    """
    if said.get("pricing") is not None:
        known: dict[str, Any] = {name: {"price": {}} if model.priced else {} for name, model in models.items()}
        root = {"models": known, "plans": {"p": {"pricing": said["pricing"]}}}
        check_document(root, _PLACE, Pricing, unusable_prices, "pricing")
    return dict(said)


def _percentage(most: str) -> dict[str, Any]:
    text = r"^[0-9]{1,4}(\.[0-9]{1,4})?%$"
    return {"type": "string", "pattern": text, "description": f"At most {most}."}


_TERMS: dict[str, Any] = {"markup": _percentage("1000%"), "discount": _percentage("100%")}
_ONE_OF_BOTH = {"required": ["markup", "discount"]}
_OF_MODEL = {
    "type": "object",
    "properties": _TERMS,
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
_OF_MODELS = {
    "type": "object",
    "propertyNames": {"pattern": MODEL, "maxLength": 128},
    "additionalProperties": _OF_MODEL,
}
_SCHEMA = {
    "type": "object",
    "properties": {**_TERMS, "models": _OF_MODELS},
    "minProperties": 1,
    "not": _ONE_OF_BOTH,
    "additionalProperties": False,
    "description": "What is paid of the models' prices, as in gateway.yaml: docs/configuration.md.",
}

PricingDocument = Annotated[dict[str, Any], PlainValidator(an_object), WithJsonSchema(_SCHEMA)]
