"""What the limiter is asked, and the prices by which it knows what an answer may cost. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

from headgate.counters.reservation import Wish, estimate_nano
from headgate.error_shapes import Api, api_of_surface
from headgate.limits import NANO, Dimension, LimitRow
from headgate.prices import PriceRow
from headgate.units import UNITS

# USD per million tokens are nano-USD per thousandth of a token.
_NANO_PER_TOKEN = 1000


@dataclass(frozen=True, slots=True)
class Ask:
    """Who wants to send what. What Envoy did not know is "".

    `input` tokens are in the prompt, up to `output` may be in each of `times` answers; 0 where nobody had to count.
    `units` of `unit` are asked for beside them, and then `output` cannot be lowered.
    """

    epoch: str
    tenant: str
    key_id: str
    model: str
    user: str
    request_id: str
    surface: str
    input: int = 0
    output: int = 0
    times: int = 1
    unit: str = ""
    units: int = 0

    @property
    def api(self) -> Api:
        """Whose client asks."""
        return api_of_surface(self.surface)


class Price:
    """One model's price, in nano-USD."""

    def __init__(self, row: PriceRow) -> None:
        self._request: Fraction | int = Fraction(row.request) if row.request else 0
        self._units = {unit: Fraction(price) for unit in UNITS if (price := row.of_unit(unit))}
        self._input, self._per = (row.input * _NANO_PER_TOKEN).as_integer_ratio()
        self.per_output_token = f"{(row.output * _NANO_PER_TOKEN).normalize():f}"

    def of_prompt(self, tokens: int) -> int:
        """What a prompt costs, rounded up."""
        return -(-tokens * self._input // self._per)

    def of_pieces(self, unit: str, units: int) -> int:
        """What a request costs whatever its tokens, with so many units; rounded up."""
        return ceil((self._request + self._units.get(unit, 0) * units) * NANO)


FREE = Price(PriceRow(Decimal(0), Decimal(0), Decimal(0), Decimal(0)))


def amount_of(wish: Wish, dimension: Dimension, output: int) -> int:
    """What the request takes of a limit, with so many tokens in each of its answers."""
    made = output * wish.times
    if dimension == "input":
        return wish.input
    if dimension == "output":
        return made
    if dimension == "tokens":
        return wish.input + made
    return estimate_nano(wish, output) if dimension == "usd" else 1


def whole(row: LimitRow) -> int:
    """What one request may take at the very most, of a limit that refuses."""
    return (row.most or 0) + row.burst
