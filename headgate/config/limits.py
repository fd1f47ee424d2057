"""The limits of plans, tenants and keys, as gateway.yaml writes them: a number, or a mapping that says more.

Amounts are requests or tokens; of money they are nano-USD. The kinds are those of headgate/limits.py, under the same
names.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator

from headgate.config import values
from headgate.config.entry import Count, Entry, ModelName, Seconds
from headgate.config.wording import found
from headgate.limits import MOST_SHARE, PRIORITIES, Priority, Scope

UNLIMITED = "unlimited"

Money = Annotated[int, PlainValidator(values.positive_nano_usd)]
Price = Annotated[int, PlainValidator(values.nano_usd)]
Balance = Annotated[int, PlainValidator(values.signed_nano_usd)]


class Overage(Entry):
    """How far requests go on beyond the limit; `price` is nano-USD per million tokens, or per thousand requests."""

    ceiling: Count
    price: Price | None = None


class MoneyOverage(Entry):
    """The same for money, which is its own price."""

    ceiling: Money


class Limit(Entry):
    """`limit` refuses; none is what a tenant's `unlimited` means. Slots have no window to warn once in."""

    limit: Count | None = None


class SoftLimit(Limit):
    """`soft` warns."""

    soft: Count | None = None


class WindowLimit(SoftLimit):
    """Over a window that slides; `burst` may be used on top, and refills."""

    burst: Count | None = None
    refill_s: Seconds = Field(default=600.0, alias="refill")


class CalendarLimit(SoftLimit):
    """Over a day or a month."""

    overage: Overage | None = None


class MoneyLimit(SoftLimit):
    """The same for money."""

    limit: Money | None = None
    soft: Money | None = None
    overage: MoneyOverage | None = None


class Credits(Entry):
    """How far down an account may go, and below which balance it warns. Without `floor` is what `unlimited` means."""

    floor: Balance | None = 0
    low: Balance | None = None


def _written(entry: type[Limit], amount: Callable[[Any], int], wanted: str) -> BeforeValidator:
    """A number is the entry's `limit`, `unlimited` is an entry without one."""

    def parse(value: Any) -> Any:
        if isinstance(value, dict | Limit):
            return value
        if value == UNLIMITED:
            return entry.model_construct()
        try:
            return entry.model_construct(limit=amount(value))
        except ValueError:
            if isinstance(value, int | Decimal) and not isinstance(value, bool):
                raise
            raise ValueError(
                f"expected {wanted}, a mapping or, in tenants.<name>.limits, {UNLIMITED}, found {found(value)}"
            ) from None

    return BeforeValidator(parse)


def _written_credits(value: Any) -> Any:
    """An amount is the floor."""
    if isinstance(value, dict | Credits):
        return value
    if value == UNLIMITED:
        return Credits.model_construct(floor=None)
    try:
        return Credits.model_construct(floor=values.signed_nano_usd(value))
    except ValueError:
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            raise
        raise ValueError(
            f"expected an amount, a mapping or, in tenants.<name>.limits, {UNLIMITED}, found {found(value)}"
        ) from None


Slots = Annotated[Limit, _written(Limit, values.whole(1), "a whole number")]
Window = Annotated[WindowLimit, _written(WindowLimit, values.whole(1), "a whole number")]
Calendar = Annotated[CalendarLimit, _written(CalendarLimit, values.whole(1), "a whole number")]
Spending = Annotated[MoneyLimit, _written(MoneyLimit, values.positive_nano_usd, "an amount")]


class Limits(Entry):
    """One field for each of `headgate.limits.KINDS_OF_PARTS`; None is not given."""

    rps: Window | None = None
    rpm: Window | None = None
    input_tpm: Window | None = None
    output_tpm: Window | None = None
    tpm: Window | None = None
    concurrency: Slots | None = None
    daily_requests: Calendar | None = None
    daily_tokens: Calendar | None = None
    daily_usd: Spending | None = None
    monthly_requests: Calendar | None = None
    monthly_tokens: Calendar | None = None
    monthly_usd: Spending | None = None


class Rule(Limits):
    """Limits that each key, model or user has for itself, or that count requests for some models only."""

    by: list[Annotated[Scope, PlainValidator(values.one_of("key", "model", "user"))]] = Field(default=[])
    models: list[ModelName] | None = Field(default=None, min_length=1)


Anniversary = Annotated[int, PlainValidator(values.whole(1, 31))]


class TenantWide(Limits):
    """What only a tenant as a whole can have. `priority` and `share` say how it waits for an engine that is full."""

    credits: Annotated[Credits, BeforeValidator(_written_credits)] | None = None
    priority: Annotated[Priority, PlainValidator(values.one_of(*PRIORITIES))] | None = None
    share: Annotated[int, PlainValidator(values.whole(1, MOST_SHARE))] | None = None


class PlanLimits(TenantWide):
    """Those of a plan. `anniversary` is the day that months begin on."""

    per: list[Rule] = Field(default=[])
    anniversary: Anniversary = 1


class TenantLimits(TenantWide):
    """What takes the place of the plan's; None is as in the plan."""

    per: list[Rule] | None = None
    anniversary: Anniversary | None = None
