"""Canonical JSON: one text for one value, so that a digest of it means something. Pure.

RFC 8785 for objects, arrays, strings, true, false, null and whole numbers up to 2^53 - 1: UTF-8, no white space,
keys in the order of their UTF-16 code units. Fractions are refused: amounts and durations are written as text.
"""

import json
from collections.abc import Mapping
from typing import Any

_MOST = 2**53 - 1


def canonical(value: Any) -> bytes:
    """The only encoding of a value. Raises ValueError for what has none."""
    try:
        return json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate is no text") from None


def _ordered(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int() if -_MOST <= value <= _MOST:
            return value
        case list() | tuple():
            return [_ordered(item) for item in value]
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise ValueError("keys of objects are text")
            try:
                return {key: _ordered(value[key]) for key in sorted(value, key=_units)}
            except UnicodeEncodeError:
                raise ValueError("a lone surrogate is no text") from None
    raise ValueError(f"no canonical JSON for {type(value).__name__}")


def _units(key: str) -> bytes:
    return key.encode("utf-16-be")
