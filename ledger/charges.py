"""What one request is charged against its tenant's limits. docs/settlement.md has the rule. Pure.

A charge follows from the `end` line and the price that the request began with, and from nothing else: whoever
reads the spool again, with its prices, gets the same.
"""

import datetime as dt
import math
from decimal import Context, Decimal, Inexact

import msgspec

from headgate.prices import PriceRow
from headgate.units import UNITS
from ledger.lines import Line
from ledger.prices import WITHOUT_OUTPUT, Usage, cost_of, cost_of_pieces, known_units, may_cost

# What a provider claims may be anything: counts beyond are none. Sums of a thousand such are exact as doubles.
MOST_TOKENS = 2**43
MOST_NANO = 2**53 - 1

_EXACT = Context(prec=64, traps=[Inexact])
_NANO_DIGITS = 9
_LONGEST_MS = 7 * 86_400_000  # no request lasts for so long
_BYTES_PER_TOKEN = 4


class Charge(msgspec.Struct, frozen=True, gc=False):
    """Tokens and nano-USD of one request. `estimated`: at least one count is not the provider's."""

    requests: int = 0
    input: int = 0
    output: int = 0
    usd_nano: int = 0
    estimated: bool = False


NO_CHARGE = Charge()


def charge_of(line: Line, price: PriceRow | None) -> Charge:
    """What the request of an `end` line is charged; `price` is its model's in its generation, None without one."""
    requests = int(line.reserved is True or bool(line.attempts))
    if not may_cost(line):
        return Charge(requests) if requests else NO_CHARGE
    told_input, told_output = _told(line.prompt_tokens), _told(line.completion_tokens)
    if line.surface in WITHOUT_OUTPUT and told_output is None:
        told_output = 0
    if line.unit and not (price and price.counts_tokens_for(line.unit)):  # tokens are of interest if there are any
        told_input, told_output = told_input or 0, told_output or 0
    worked = line.was_worked_on
    used_input = _known(told_input, line.estimated_tokens if worked else None)
    used_output = _known(told_output, _made(line) if worked else None)
    units = known_units(line)
    lacks_units = units is None and price is not None and price.of_unit(line.unit or "") is not None
    estimated = worked and (told_input is None or told_output is None or lacks_units)
    if units is None and worked:
        units = _told(line.estimated_units)
    usd_nano = _nano(line, used_input, used_output, units or 0, price) if price else 0
    return Charge(requests, used_input, used_output, usd_nano, estimated)


def began_ms(line: Line) -> int | None:
    """When the request's body was there, Unix time in ms, and so right before it reserved. None where no line says.

    Its line was made at its end.
    """
    try:
        ended = dt.datetime.fromisoformat(line.time or "")
    except ValueError:
        return None
    lasted_ms = min(max(line.duration_ms or 0, 0), _LONGEST_MS)
    return round(ended.timestamp() * 1000) - lasted_ms + min(max(line.request_ms or 0, 0), lasted_ms)


def _told(count: int | None) -> int | None:
    """A count of the provider's, unless it can't be one."""
    return count if count is not None and 0 <= count <= MOST_TOKENS else None


def _delivered(line: Line) -> int:
    """Tokens of what passed: at least one in an event, where engines may put several, and one for so many bytes."""
    return max(_told(line.content_events) or 0, -(-(_told(line.content_bytes) or 0) // _BYTES_PER_TOKEN))


def _made(line: Line) -> int:
    """Output tokens of what says nothing of them: by what passed, by what was asked for, and of an answer in the
    background by what it may have become at most."""
    if unit := UNITS.get(line.unit or ""):
        return (_told(line.estimated_units) or 0) * unit.output_tokens
    estimate = _told(line.estimated_completion_tokens)
    return _delivered(line) if estimate is None else estimate


def _known(told: int | None, estimate: int | None) -> int:
    return told if told is not None else _told(estimate) or 0


def _nano(line: Line, used_input: int, used_output: int, units: int, price: PriceRow) -> int:
    cost = cost_of(Usage(used_input, used_output, line.cached_tokens, line.cache_write_tokens), price)
    if cost is None:  # cached counts that contradict the prompt's: no discount
        cost = cost_of(Usage(used_input, used_output), price)
    total = _EXACT.add(cost or Decimal(0), cost_of_pieces(line, price, units) or Decimal(0))
    return min(math.ceil(_EXACT.scaleb(total, _NANO_DIGITS)), MOST_NANO)
