"""Amounts of money on invoices: exact to the end, and rounded to cents once. Pure.

They are counted in units of 10^-15 US dollars, in which a nano-dollar for a thousand requests or for a million tokens
is a whole number: so nothing is lost before the one rounding.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal

NANO = 10**6  # in our units
ROUNDING = "half to even, once, of the sum of all exact amounts"
_EXACT = Context(prec=60)
_CENT = Decimal("0.01")


def dollars(units: int) -> Decimal:
    """Exactly."""
    return _EXACT.scaleb(Decimal(units), -15)


def to_cents(units: int) -> Decimal:
    """The sum of a document, as it is paid."""
    return dollars(units).quantize(_CENT, rounding=ROUND_HALF_EVEN, context=_EXACT)


def text_of(amount: Decimal) -> str:
    """Decimal text without an exponent, with two places at least: `0.0012`, `12.50`."""
    text = f"{amount:f}"
    whole, _, part = text.partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}"


def nano_text(nano: int) -> str:
    """Nano-USD in the same way."""
    return text_of(dollars(nano * NANO))


def nano_of(text: str) -> int:
    """Back."""
    return int(_EXACT.scaleb(Decimal(text), 9))


def cents_text(cents: int) -> str:
    """Of a whole number of cents."""
    return text_of(_EXACT.scaleb(Decimal(cents), -2))
