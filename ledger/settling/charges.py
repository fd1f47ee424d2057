"""What one request is charged against its tenant's limits. docs/settlement.md has the rule. Pure.

A charge follows from the `end` line and what it is priced by (ledger/pricing/pricing.py), and from nothing else:
whoever reads the spool again, with its prices, gets the same, but for what has to be guessed.
"""

import math
from decimal import Context, Decimal, Inexact
from typing import NamedTuple

import msgspec

from headgate.contract import CONNECTION_SURFACE
from headgate.prices import PriceRow
from headgate.units import UNITS
from ledger.pricing.prices import (
    NOTHING,
    WITHOUT_OUTPUT,
    Usage,
    cost_of,
    cost_of_pieces,
    known_units,
    may_cost,
    times,
)
from ledger.pricing.pricing import UNPRICED, Pricing
from ledger.spool.lines import Line

# What a provider claims may be anything: counts beyond are none. Sums of a thousand such are exact as doubles.
MOST_TOKENS = 2**43
MOST_NANO = 2**53 - 1
MOST_USD = Decimal(MOST_NANO).scaleb(-9)

_EXACT = Context(prec=64, traps=[Inexact])
_NANO_DIGITS = 9
_BYTES_PER_TOKEN = 4


class Charge(msgspec.Struct, frozen=True, gc=False):
    """Tokens and nano-USD of one request. `estimated`: at least one count is not the provider's.

    `cost` is what the provider takes for the same tokens and units, in USD, exactly (18 digits after the point at
    most); None where nobody says.
    """

    requests: int = 0
    input: int = 0
    output: int = 0
    usd_nano: int = 0
    estimated: bool = False
    units: int = 0
    cost: Decimal | None = None


NO_CHARGE = Charge()


def charge_of(line: Line, pricing: Pricing = UNPRICED) -> Charge:
    """What the request of an `end` line is charged."""
    price = pricing.price
    if line.surface == CONNECTION_SURFACE:
        return NO_CHARGE  # what is asked for on it has lines of its own
    requests = int(line.reserved is True or bool(line.attempts))
    if not may_cost(line):
        cost = NOTHING if pricing.cost else None
        return Charge(requests, cost=cost) if requests else NO_CHARGE
    told_input, told_output = _told(line.prompt_tokens), _told(line.completion_tokens)
    if line.surface in WITHOUT_OUTPUT and told_output is None:
        told_output = 0
    if line.unit and not (price and price.counts_tokens_for(line.unit)):  # tokens are of interest if there are any
        told_input, told_output = told_input or 0, told_output or 0
    worked = line.was_worked_on
    used_input = _known(told_input, _asked(line, pricing.guess.prompt) if worked else None)
    used_output = _known(told_output, _made(line, pricing.guess.completion) if worked else None)
    units = known_units(line)
    lacks_units = units is None and price is not None and price.of_unit(line.unit or "") is not None
    estimated = worked and (told_input is None or told_output is None or lacks_units)
    if units is None and worked:
        units = _told(line.estimated_units)
    used = _Used(line, used_input, used_output, units or 0)
    usd_nano = _nano(times(_usd(used, price), pricing.factor)) if price else 0
    cost = min(_usd(used, pricing.cost), MOST_USD) if pricing.cost else None
    return Charge(requests, used_input, used_output, usd_nano, estimated, units or 0, cost)


def _told(count: int | None) -> int | None:
    """A count of the provider's, unless it can't be one."""
    return count if count is not None and 0 <= count <= MOST_TOKENS else None


def _delivered(line: Line) -> int:
    """Tokens of what passed: at least one in an event, where engines may put several, and one for so many bytes."""
    return max(_told(line.content_events) or 0, -(-(_told(line.content_bytes) or 0) // _BYTES_PER_TOKEN))


def _asked(line: Line, guess: int | None) -> int | None:
    """Input tokens of what says nothing of them: as they were counted before, or as far as the body's size says."""
    return guess if line.estimated_tokens is None else line.estimated_tokens


def _made(line: Line, guess: int | None) -> int:
    """Output tokens of what says nothing of them: by what passed, by what was asked for, and of an answer in the
    background by what it may have become at most."""
    if unit := UNITS.get(line.unit or ""):
        return (_told(line.estimated_units) or 0) * unit.output_tokens
    estimate = _told(line.estimated_completion_tokens)
    if estimate is not None:
        return estimate
    return _delivered(line) if guess is None else guess


def _known(told: int | None, estimate: int | None) -> int:
    return told if told is not None else _told(estimate) or 0


class _Used(NamedTuple):
    line: Line
    input: int
    output: int
    units: int


def _usd(used: _Used, price: PriceRow) -> Decimal:
    """At most 2^43 tokens each way and as many units."""
    line, counts = used.line, (used.input, used.output)
    cost = cost_of(Usage(*counts, line.cached_tokens, line.cache_write_tokens, line.reasoning_tokens), price)
    if cost is None:  # parts that contradict the whole: no prices of their own
        cost = cost_of(Usage(*counts), price)
    return _EXACT.add(cost or NOTHING, cost_of_pieces(line, price, used.units) or NOTHING)


def _nano(usd: Decimal) -> int:
    return min(math.ceil(_EXACT.scaleb(usd, _NANO_DIGITS)), MOST_NANO)
