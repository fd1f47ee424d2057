"""What a request may cost before it is sent, in nano-USD. Pure."""

from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from math import ceil

from headgate.limits import NANO
from headgate.prices import LIST_PRICE, PriceRow
from headgate.units import UNITS

# USD per million tokens are nano-USD per thousandth of a token.
_NANO_PER_TOKEN = 1000


_MOST_MADE = 4096  # of a model: terms of the database change for as long as a generation lasts
_DIGITS = 64  # of a price 24 at most, of a factor 8
_EXACT = Context(prec=_DIGITS)


class Price:
    """One model's price, in nano-USD, times a factor. A token of an answer is held to be of the dearer kind."""

    def __init__(self, row: PriceRow, factor: Decimal = LIST_PRICE) -> None:
        of_tokens = _EXACT.multiply(factor, _NANO_PER_TOKEN)
        self._request: Fraction | int = Fraction(row.request) * Fraction(factor) if row.request else 0
        self._units = {unit: Fraction(price) * Fraction(factor) for unit in UNITS if (price := row.of_unit(unit))}
        self._input, self._per = _EXACT.multiply(row.input, of_tokens).as_integer_ratio()
        dearest = max(row.input, row.cache_write, row.cached_input)
        self._dearest, self._per_dearest = _EXACT.multiply(dearest, of_tokens).as_integer_ratio()
        self.per_output_token = f"{_EXACT.normalize(_EXACT.multiply(row.highest_output, of_tokens)):f}"

    def of_prompt(self, tokens: int) -> int:
        """What a prompt costs, rounded up."""
        return -(-tokens * self._input // self._per)

    def of_prompt_at_most(self, tokens: int) -> int:
        """The same, whatever a provider's cache makes of it."""
        return -(-tokens * self._dearest // self._per_dearest)

    def of_pieces(self, unit: str, units: int) -> int:
        """What a request costs whatever its tokens, with so many units; rounded up."""
        return ceil((self._request + self._units.get(unit, 0) * units) * NANO)


class DatedPrice:
    """What something costs, whenever and whomever: at its list price as fast as a plain price, others are made once.

    `clock` is Unix time in seconds; it is asked where the price has dates.
    """

    def __init__(self, row: PriceRow, clock: Callable[[], float]) -> None:
        self._row = row
        self._clock = clock
        self._listed = Price(row)
        self._made: dict[tuple[int, Decimal], Price] = {}

    def now(self, factor: Decimal = LIST_PRICE) -> Price:
        """The price of a request that begins, for whom pays so much of it."""
        if factor == LIST_PRICE and not self._row.later:
            return self._listed
        row = self._row.at(self._clock() * 1000) if self._row.later else self._row
        name = row.from_ms, factor
        found = self._made.get(name)
        if found is None:
            if len(self._made) >= _MOST_MADE:
                self._made.clear()
            found = self._made[name] = Price(row, factor)
        return found


FREE = Price(PriceRow(Decimal(0), Decimal(0), Decimal(0), Decimal(0)))
