"""What a walk over a client's request finds: members of the wrong type, and members the provider has no place for.

Paths are the client's own, as in `messages[2].content[0].type`.
"""

import re
from collections.abc import Container, Iterable
from typing import Any

from extproc.refusal import BadRequest
from extproc.surface import json_type

_SHOWN = 100  # characters of a client's value in a message
_NOT_IN_NAMES = re.compile(r"[^!-+\--~]")  # the names go into a header, between commas


class Walk:
    """One request's walk; collects what has no place, in the order found."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    @property
    def unsupported(self) -> tuple[str, ...]:
        """The paths, each once."""
        return tuple(self._found)

    def no_place(self, path: str) -> None:
        """The provider's API cannot express this member; it is left out."""
        self._found[_NOT_IN_NAMES.sub("?", path)] = None

    def only(self, value: dict[str, Any], known: Container[str], path: str) -> None:
        """Every other member that says something has no place."""
        for name in value:
            if name not in known and value[name] is not None:
                self.no_place(f"{path}.{shown(name)}")


def shown(name: str) -> str:
    """A name of the client's own making, short enough for a message."""
    return name[:_SHOWN]


def object_of(value: Any, path: str) -> dict[str, Any]:
    """The value, if it is an object. Raises BadRequest."""
    if isinstance(value, dict):
        return value
    raise _wrong_type(value, path, "an object")


def list_of(value: Any, path: str) -> list[Any]:
    """The value, if it is an array. Raises BadRequest."""
    if isinstance(value, list):
        return value
    raise _wrong_type(value, path, "an array")


def text_of(value: Any, path: str) -> str:
    """The value, if it is a string. Raises BadRequest."""
    if isinstance(value, str):
        return value
    raise _wrong_type(value, path, "a string")


def named(value: Any, path: str) -> str:
    """The value, if it is a string with something in it. Raises BadRequest."""
    if text_of(value, path):
        return str(value)
    raise BadRequest(f"'{path}' is empty.", param=path, code="invalid_value")


def number_of(value: Any, path: str, least: float, most: float) -> float:
    """The value, if it is a number in the range. Raises BadRequest."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(value, path, "a number")
    if not least <= value <= most:
        raise BadRequest(
            f"Invalid value for '{path}': {str(value)[:_SHOWN]} is not between {least:g} and {most:g}.",
            param=path,
            code="invalid_value",
        )
    return value


def count_of(value: Any, path: str) -> int:
    """The value, if it is a whole number above 0. Raises BadRequest."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(value, path, "an integer")
    if value < 1:
        raise BadRequest(
            f"Invalid value for '{path}': {str(value)[:_SHOWN]} is less than 1.", param=path, code="invalid_value"
        )
    return value


def not_one_of(value: Any, path: str, allowed: Iterable[str]) -> BadRequest:
    """What to raise for a value outside a closed list."""
    found = f"'{value[:_SHOWN]}'" if isinstance(value, str) else json_type(value)
    choices = ", ".join(f"'{one}'" for one in allowed)
    return BadRequest(
        f"Invalid value for '{path}': found {found}, allowed are {choices}.", param=path, code="invalid_value"
    )


def checked_kind(value: Any, path: str, allowed: tuple[str, ...]) -> str:
    """The value, if it is one of a closed list. Raises BadRequest."""
    if value in allowed:
        return str(value)
    raise not_one_of(value, path, allowed)


def _wrong_type(value: Any, path: str, expected: str) -> BadRequest:
    return BadRequest(
        f"Invalid type for '{path}': expected {expected}, found {json_type(value)}.", param=path, code="invalid_type"
    )
