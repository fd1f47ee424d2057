"""How much is asked for of what is charged by the unit: pictures, characters to speak, seconds of sound, searches."""

import time

from extproc.exchange import Exchange, Use
from extproc.surface import Upload
from extproc.tokens.pictures import sound_seconds
from headgate.prices import PriceRow
from headgate.units import UNITS

# What is charged for by tokens unless it has a price by the unit.
_OPTIONAL = ("search",)
_DOCUMENTS = 100  # of one search, where they are short: https://cohere.com/pricing
_MOST = 2**20  # of pictures: more than any provider makes; keeps a client's number within a double


def count_units(exchange: Exchange) -> None:
    """Fills `units`."""
    if unit := unit_of(exchange):
        exchange.units = _units(exchange, unit)


def unit_of(exchange: Exchange) -> str:
    """What the request is charged by beside tokens; empty where it is by nothing."""
    unit, price = exchange.surface.unit, _price_of(exchange)
    if unit in _OPTIONAL and (price is None or price.of_unit(unit) is None):
        return ""
    return unit


def use_of(exchange: Exchange, prompt: int, counted: int | None) -> Use:
    """What the limits go by. Nothing of it can be lowered: these endpoints have no parameter for it."""
    unit, price, units = exchange.surface.unit, _price_of(exchange), exchange.units
    if units is None:
        return Use(prompt, counted, 0, 1)
    if price is None or not price.counts_tokens_for(unit):
        return Use(prompt, counted, 0, 1)
    each = UNITS[unit]
    return Use(prompt + units * each.input_tokens, counted, units * each.output_tokens, 1)


def _price_of(exchange: Exchange) -> PriceRow | None:
    price = exchange.row.price
    return price.at(time.time() * 1000) if price and price.later else price


def _units(exchange: Exchange, unit: str) -> int:
    get = exchange.document.get
    if unit == "image":
        return min(max(1, get("n") or 1), _MOST)
    if unit == "character":
        return len(get("input"))
    if unit == "search":
        documents = get("documents")
        return -(-len(documents) // _DOCUMENTS) if isinstance(documents, list) else 1
    file = get("file")
    return sound_seconds(file.head, file.size_bytes) if isinstance(file, Upload) else 0
