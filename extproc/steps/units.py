"""How much is asked for of what is charged by the unit: pictures, characters to be spoken, seconds of sound."""

from extproc.exchange import Exchange, Use
from extproc.surface import Upload
from extproc.tokens.pictures import sound_seconds
from headgate.units import UNITS

_MOST = 2**20  # of pictures: more than any provider makes; keeps a client's number within a double


def count_units(exchange: Exchange) -> None:
    """Fills `units`."""
    if exchange.surface.unit:
        exchange.units = _units(exchange)


def use_of(exchange: Exchange, prompt: int, counted: int | None) -> Use:
    """What the limits go by. Nothing of it can be lowered: these endpoints have no parameter for it."""
    unit, price, units = exchange.surface.unit, exchange.row.price, exchange.units
    if units is None:
        return Use(prompt, counted, 0, 1)
    if price is None or not price.counts_tokens_for(unit):
        return Use(prompt, counted, 0, 1)
    each = UNITS[unit]
    return Use(prompt + units * each.input_tokens, counted, units * each.output_tokens, 1)


def _units(exchange: Exchange) -> int:
    get = exchange.document.get
    if exchange.surface.unit == "image":
        return min(max(1, get("n") or 1), _MOST)
    if exchange.surface.unit == "character":
        return len(get("input"))
    file = get("file")
    return sound_seconds(file.head, file.size_bytes) if isinstance(file, Upload) else 0
