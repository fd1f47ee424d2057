"""What `/v1/models` of an engine says: the names of its own model, and the adapters that are resident. Pure."""

from dataclasses import dataclass

import msgspec

_MOST_NAMES = 2_000  # adapters of ours are 1,024 at most
_MOST_CHARS = 500


class _Card(msgspec.Struct, frozen=True):
    """vLLM names an adapter's base model in `parent`, which its own models have as null."""

    id: str
    parent: str | None = None


class _List(msgspec.Struct, frozen=True):
    data: list[_Card]


_decoder = msgspec.json.Decoder(_List)


@dataclass(frozen=True, slots=True)
class Served:
    """`models`: what its base model is called, one or several names."""

    models: frozenset[str]
    adapters: frozenset[str]


def served(body: bytes) -> Served:
    """What an engine serves. Raises ValueError when that is no list of models."""
    try:
        cards = _decoder.decode(body).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("no list of models") from error
    known = [card for card in cards[:_MOST_NAMES] if card.id and len(card.id) <= _MOST_CHARS]
    return Served(
        frozenset(card.id for card in known if card.parent is None),
        frozenset(card.id for card in known if card.parent is not None),
    )
