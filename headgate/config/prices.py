"""What gateway.yaml says of money: what tokens and all else cost, from when on, and what whom is given or asked for.

The same shape for what customers pay (a model's) and for what providers take (a target's).
"""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from headgate.config import values
from headgate.config.entry import Entry, ModelName, Usd

_BY_PIECE = ("request", "image", "second", "character", "search")

Moment = Annotated[int, PlainValidator(values.moment_ms)]
Discount = Annotated[Decimal, PlainValidator(values.discount)]
Markup = Annotated[Decimal, PlainValidator(values.markup)]


class Price(Entry):
    """USD per million tokens; without `cached_input` and `cache_write`, such tokens cost what `input` does.

    And USD for each of what is not counted in tokens: with such a price, that of tokens may be left out.
    """

    from_ms: Moment | None = Field(default=None, alias="from")
    input: Usd
    cached_input: Usd | None = None
    cache_write: Usd | None = None
    output: Usd
    reasoning: Usd | None = None
    request: Usd | None = None
    image: Usd | None = None
    second: Usd | None = None
    character: Usd | None = None
    search: Usd | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_tokens(cls, said: Any) -> Any:
        if not isinstance(said, dict) or {"input", "output"} & said.keys() or said.keys().isdisjoint(_BY_PIECE):
            return said
        return {"input": "0", "output": "0"} | said


def _one_or_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Prices = Annotated[list[Price], BeforeValidator(_one_or_list), Field(min_length=1)]


class Terms(Entry):
    """One of both: percent on top of the price, or off it."""

    markup: Markup | None = None
    discount: Discount | None = None


class Pricing(Terms):
    """What a plan's tenants, or one tenant, pay of the models' prices; `models` have terms of their own."""

    models: dict[ModelName, Terms] = Field(default={})
