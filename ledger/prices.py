"""What a request costs, from its `end` line and the prices that it began with. docs/spool.md has the rules. Pure.

Exact: Decimals in, Decimals out, no float and no rounding on the way.
"""

from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import Enum

import msgspec

from headgate.prices import PriceList, PriceRow
from ledger.lines import Line

# The products have at most 40 digits: prices 12 on each side of the point, counts 16. What did not fit would raise.
_EXACT = Context(prec=64, traps=[Inexact, InvalidOperation])
_PER_MILLION = -6  # as a power of ten
_MOST_TOKENS = 2**53 - 1  # Envoy writes doubles: beyond, a count is not what was counted

NOTHING = Decimal(0)

_WITHOUT_OUTPUT = ("embeddings",)  # their answers report no completion tokens, since there are none
# Nothing is generated, and providers charge nothing. What a response has used is on the line of the request for it.
FREE = (
    "count_tokens",
    "responses.input_tokens",
    "responses.get",
    "responses.delete",
    "responses.cancel",
    "responses.input_items",
)


class Unpriced(Enum):
    """Why there is no cost: the model has no price, or it has one and the cost cannot be known."""

    NO_PRICE = "no_price"
    UNKNOWN = "unknown"


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one request: `cached` and `cache_write` are part of `prompt`, reasoning is part of `completion`."""

    prompt: int | None
    completion: int | None
    cached: int | None = None
    cache_write: int | None = None


def cost_of(usage: Usage, price: PriceRow) -> Decimal | None:
    """USD; None where the counts do not say, or contradict each other.

    A provider that does not report what it read from or wrote to a cache charges all of the prompt alike.
    """
    if usage.prompt is None or usage.completion is None:
        return None
    cached, written = usage.cached or 0, usage.cache_write or 0
    plain = usage.prompt - cached - written
    if min(plain, cached, written, usage.completion) < 0 or max(usage.prompt, usage.completion) > _MOST_TOKENS:
        return None
    add_product = _EXACT.fma
    total = _EXACT.multiply(plain, price.input)
    if cached:
        total = add_product(cached, price.cached_input, total)
    if written:
        total = add_product(written, price.cache_write, total)
    return _EXACT.scaleb(add_product(usage.completion, price.output, total), _PER_MILLION)


def cost_of_request(line: Line, prices: PriceList | None) -> Decimal | Unpriced:
    """What the request of an `end` line costs; `prices` are those of its generation, None when they are lost."""
    if not may_cost(line):
        return NOTHING
    if prices is None:
        return Unpriced.UNKNOWN
    price = prices.models.get(line.model or "")
    if price is None:
        return Unpriced.NO_PRICE
    cost = cost_of(_usage_of(line), price)
    return Unpriced.UNKNOWN if cost is None else cost


def may_cost(line: Line) -> bool:
    """Whether a provider worked on it. Refusals and failures cost nothing, unless usage was reported nevertheless."""
    if not line.attempts or line.surface in FREE:
        return False
    return line.was_worked_on or line.prompt_tokens is not None or line.completion_tokens is not None


def _usage_of(line: Line) -> Usage:
    completion = line.completion_tokens
    if completion is None and line.surface in _WITHOUT_OUTPUT:
        completion = 0
    return Usage(line.prompt_tokens, completion, line.cached_tokens, line.cache_write_tokens)
