"""Makes Envoy's messages plain dataclasses: envoy-data-plane's ask pydantic to check every value that is set.

Preparing 700 such checks, and making them, took two thirds of a start's rendering. mypy checks the values' types, a
test what pydantic would say of them, Envoy (`--mode validate`) all of them. It has to stand before the first import
of `envoy_data_plane`: the package sees to that. Classes that are no protobuf message are made as ever.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import pydantic.dataclasses
from betterproto2 import Message

_checked: Any = pydantic.dataclasses.dataclass


def _dataclass(made: type | None = None, /, **options: Any) -> Any:
    """As pydantic's, of messages without `config`, which says how they are checked."""

    def decorated(made: type) -> type:
        plain = issubclass(made, Message)
        decorate: Callable[..., Any] = dataclasses.dataclass if plain else _checked
        kept = {key: value for key, value in options.items() if not (plain and key == "config")}
        one: type = decorate(**kept)(made)
        return one

    return decorated if made is None else decorated(made)


def make_messages_plain() -> None:
    """From now on; those that are there already stay as they are."""
    pydantic.dataclasses.dataclass = _dataclass
    # betterproto2 works out a class's type hints anew for every message: it took two fifths of all rendering.
    hints: Any = functools.cache(Message._type_hints.__func__)  # type: ignore[attr-defined]
    Message._type_hints = classmethod(hints)  # type: ignore[method-assign, assignment]
