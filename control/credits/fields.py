"""Amounts and days in the bodies of requests about credits."""

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from control.fields import text, text_schema
from headgate.config import values
from headgate.limits import NANO

MOST_AT_ONCE = 1_000_000  # US dollars of one entry
_AMOUNT = r"-?(0|[1-9][0-9]{0,6})(\.[0-9]{1,9})?"


def _amount(value: Any) -> int:
    """Nano-USD of either sign."""
    if isinstance(value, str) and not re.fullmatch(_AMOUNT, value, re.ASCII):
        raise ValueError(
            "expected an amount in US dollars such as 100 or -2.50, with at most 9 digits after the point"
        )
    is_text = isinstance(value, str)
    below = value.startswith("-") if is_text else isinstance(value, int | Decimal) and value < 0
    size = values.nano_usd(value.removeprefix("-") if is_text else -value if below else value)
    if size == 0:
        raise ValueError("expected an amount that is not 0")
    if size > MOST_AT_ONCE * NANO:
        raise ValueError(f"expected an amount of at most {MOST_AT_ONCE} US dollars")
    return -size if below else size


def _date(value: Any) -> dt.date:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value, re.ASCII):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("expected a day such as 2027-01-31")


_AMOUNT_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": f"^{_AMOUNT}$"},
        {"type": "number", "minimum": -MOST_AT_ONCE, "maximum": MOST_AT_ONCE},
    ],
    "description": "In US dollars; not 0, and at most 9 digits after the point.",
}
_DATE_SCHEMA = {"type": "string", "format": "date"}
Amount = Annotated[int, PlainValidator(_amount), WithJsonSchema(_AMOUNT_SCHEMA)]
Date = Annotated[dt.date, PlainValidator(_date), WithJsonSchema(_DATE_SCHEMA)]
Note = Annotated[str, PlainValidator(text(256)), WithJsonSchema(text_schema(256))]
Day = Annotated[str, WithJsonSchema(_DATE_SCHEMA)]
