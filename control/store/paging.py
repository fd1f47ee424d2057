"""Lists, a page at a time: a cursor says after which row the next page begins, so pages neither skip nor repeat.

A page ends after so many rows, or earlier after so many bytes: whatever rows hold, an answer stays small.
"""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from control.canonical import canonical
from control.store.failures import BadCursor, BadValue

T = TypeVar("T")
MOST = 1000  # rows on a page
MOST_BYTES = 1024 * 1024  # that the rows of a page hold, unless the first alone has more
_AT_ONCE = 16  # rows that are read before they are measured
_LONGEST = 2048  # characters of a cursor


@dataclass(frozen=True, slots=True)
class Wish:
    """How many rows at most, after which ones."""

    limit: int = 100
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the cursor of the next page, if there is one."""

    items: tuple[T, ...]
    next: str | None = None


def filled(wish: Wish, read: Callable[[int, int], Sequence[T]], cursor: Callable[[T], str]) -> Page[T]:
    """A page of rows. `read` gives at most so many of them, after the first so many; all from one state.

    Raises BadValue for a wish of too many.
    """
    if not 1 <= wish.limit <= MOST:
        raise BadValue(f"expected from 1 to {MOST} rows on a page")
    items: list[T] = []
    room = MOST_BYTES
    while True:
        wanted = min(_AT_ONCE, wish.limit + 1 - len(items))
        found = read(len(items), wanted)
        for item in found:
            room -= _size_of(item)
            if items and (room < 0 or len(items) == wish.limit):
                return Page(tuple(items), cursor(items[-1]))
            items.append(item)
        if len(found) < wanted:
            return Page(tuple(items))


def _size_of(value: Any) -> int:
    """About how many bytes it is in an answer."""
    match value:
        case str():
            return len(value.encode("utf-8", "replace")) + 4
        case Mapping():
            return sum(_size_of(key) + _size_of(item) for key, item in value.items())
        case bytes():
            return 2 * len(value)
        case Sequence():
            return sum(map(_size_of, value))
    return 8


def cursor_of(of: str, place: Sequence[str | int]) -> str:
    """The cursor behind a row; `of` names the list, so that no other takes it."""
    return urlsafe_b64encode(canonical([of, *place])).decode().rstrip("=")


def place_of(of: str, cursor: str, kinds: Sequence[type]) -> list[Any]:
    """Where a cursor stands. Raises BadCursor."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        said = json.loads(urlsafe_b64decode(padded)) if len(cursor) <= _LONGEST else None
    except (ValueError, binascii.Error, RecursionError):
        said = None
    if not isinstance(said, list) or said[:1] != [of] or [type(item) for item in said[1:]] != list(kinds):
        raise BadCursor("not a cursor of this list; ask for its first page without one")
    if cursor_of(of, said[1:]) != cursor:
        raise BadCursor("not a cursor of this list; ask for its first page without one")
    return said[1:]
