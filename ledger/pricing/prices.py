"""What a request costs, from its `end` line and the prices that it began with. docs/spool.md has the rules. Pure.

Exact: Decimals in, Decimals out, no float and no rounding on the way.
"""

from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import Enum

import msgspec

from headgate.prices import FREE_SURFACES, LIST_PRICE, PriceList, PriceRow
from ledger.spool.line_times import began_ms
from ledger.spool.lines import Line

# The products have at most 48 digits: prices 12 on each side of the point, counts 16, factors of terms 8, and a sum
# of them one more. What did not fit would raise.
_EXACT = Context(prec=64, traps=[Inexact, InvalidOperation])
_PER_MILLION = -6  # as a power of ten
_MOST_TOKENS = 2**53 - 1  # Envoy writes doubles: beyond, a count is not what was counted

NOTHING = Decimal(0)

# Their answers report no completion tokens, since there are none.
WITHOUT_OUTPUT = ("embeddings", "moderations", "rerank")


class Unpriced(Enum):
    """Why there is no cost: the model has no price, or it has one and the cost cannot be known."""

    NO_PRICE = "no_price"
    UNKNOWN = "unknown"


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one request: `cached` and `cache_write` are part of `prompt`, `reasoning` of `completion`."""

    prompt: int | None
    completion: int | None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


def cost_of(usage: Usage, price: PriceRow) -> Decimal | None:
    """USD; None where the counts do not say, or contradict each other.

    A provider that does not report what it read from or wrote to a cache charges all of the prompt alike, and one
    that does not report reasoning all of the answer. Of prices that follow each other, `price` is the one that holds.
    """
    if usage.prompt is None or usage.completion is None:
        return None
    cached, written = usage.cached or 0, usage.cache_write or 0
    plain = usage.prompt - cached - written
    thought = 0 if price.reasoning is None else usage.reasoning or 0
    said = usage.completion - thought
    if min(plain, cached, written, said, thought) < 0 or max(usage.prompt, usage.completion) > _MOST_TOKENS:
        return None
    add_product = _EXACT.fma
    total = _EXACT.multiply(plain, price.input)
    if cached:
        total = add_product(cached, price.cached_input, total)
    if written:
        total = add_product(written, price.cache_write, total)
    if thought and price.reasoning is not None:
        total = add_product(thought, price.reasoning, total)
    return _EXACT.scaleb(add_product(said, price.output, total), _PER_MILLION)


def cost_of_request(line: Line, prices: PriceList | None) -> Decimal | Unpriced:
    """What the request of an `end` line costs its tenant; `prices` are those of its generation, None when lost."""
    if not may_cost(line):
        return NOTHING
    if prices is None:
        return Unpriced.UNKNOWN
    price = prices.models.get(line.declared_model)
    if price is None:
        return Unpriced.NO_PRICE
    price = held_by(line, price)
    cost, pieces = cost_of(_usage_of(line, price), price), cost_of_pieces(line, price, known_units(line))
    if cost is None or pieces is None:
        return Unpriced.UNKNOWN
    return times(_EXACT.add(cost, pieces), factor_of(line))


def held_by(line: Line, price: PriceRow) -> PriceRow:
    """The price that held when the request began; the first one where nobody knows when that was."""
    return price.at(began_ms(line) or 0) if price.later else price


def factor_of(line: Line) -> Decimal:
    """What the line's tenant pays of the model's price, by the terms that the request began with."""
    return LIST_PRICE if line.price_factor is None else Decimal(line.price_factor)


def times(usd: Decimal, factor: Decimal) -> Decimal:
    """Exactly."""
    return usd if factor == LIST_PRICE else _EXACT.multiply(usd, factor)


def known_units(line: Line) -> int | None:
    """How much there was of what is charged by the unit: as the provider said, or as it stands in the request."""
    said = line.units if line.units is not None or line.unit != "character" else line.estimated_units
    return said if said is not None and 0 <= said <= _MOST_TOKENS else None


def cost_of_pieces(line: Line, price: PriceRow, units: int | None) -> Decimal | None:
    """USD of a request whatever its tokens, with so many units; None where it has a price for units nobody knows."""
    each = price.of_unit(line.unit or "")
    if each is None:
        return price.request or NOTHING
    return None if units is None else _EXACT.fma(units, each, price.request or NOTHING)


def may_cost(line: Line) -> bool:
    """Whether a provider worked on it. Refusals and failures cost nothing, unless usage was reported nevertheless."""
    if not line.attempts or line.surface in FREE_SURFACES:
        return False
    return line.was_worked_on or line.prompt_tokens is not None or line.completion_tokens is not None


def _usage_of(line: Line, price: PriceRow) -> Usage:
    """Where tokens cost nothing, nobody has to know how many there were."""
    prompt, completion = line.prompt_tokens, line.completion_tokens
    by_unit = bool(line.unit) and not price.counts_tokens_for(line.unit or "")
    if completion is None and (line.surface in WITHOUT_OUTPUT or by_unit or not price.output):
        completion = 0
    if prompt is None and (by_unit or price.is_without_input):
        prompt = 0
    return Usage(prompt, completion, line.cached_tokens, line.cache_write_tokens, line.reasoning_tokens)
