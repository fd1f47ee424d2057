"""The values of engines in gateway.yaml that nothing else has: flags, variables and ranks.

The parsers are as those of values.py.
"""

import json
import re
from decimal import Decimal
from typing import Any

from headgate.config.wording import found

# What vLLM has room for: its kernels are made for these.
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
MAX_GPUS = 64

Argument = bool | str | tuple[str, ...]
"""A flag's value: true or false for one without, text, or several."""

_FLAG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def flag_name(value: Any) -> str:
    """A flag without the dashes before it."""
    if not isinstance(value, str) or len(value) > 64 or not _FLAG.fullmatch(value):
        raise ValueError(f"expected a flag as in max-model-len, without dashes before it, found {found(value)}")
    return value


def argument(value: Any) -> Argument:
    """What follows a flag: `true` is the flag alone, `false` its opposite (`--no-…`), a mapping becomes JSON."""
    if isinstance(value, bool | tuple):
        return value
    if isinstance(value, dict):
        return json.dumps(_jsonable(value))
    if isinstance(value, list):
        return tuple(_item(one) for one in value)
    return _text(value)


def variable_name(value: Any) -> str:
    """The name of an environment variable."""
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise ValueError(f"expected the name of an environment variable, found {found(value)}")
    return value


def variable_value(value: Any) -> str:
    """Its value. Not quoted: it may be a secret."""
    if isinstance(value, bool | dict | list) or value is None or "\0" in str(value):
        raise ValueError("expected text or a number")
    return str(value)


def folder_there(value: Any) -> str:
    """A folder as an engine elsewhere sees it."""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable():
        raise ValueError(f"expected a path that starts with /, as the engine sees it, found {found(value)}")
    return value


def lora_rank(value: Any) -> int:
    """The largest rank of adapters."""
    if value not in LORA_RANKS or isinstance(value, bool | Decimal):
        raise ValueError(f"expected one of {', '.join(map(str, LORA_RANKS))}, found {found(value)}")
    return int(value)


def _text(value: Any) -> str:
    if value is None or not str(value).isprintable():
        raise ValueError(f"expected printable text, a number, true, false, a list or a mapping, found {found(value)}")
    return str(value)


def _item(value: Any) -> str:
    """One of several: they stand alone, so one that begins with a dash would be a flag."""
    if isinstance(value, dict | list):
        return json.dumps(_jsonable(value))
    text = str(value).lower() if isinstance(value, bool) else _text(value)
    if text.startswith("-"):
        raise ValueError(f"expected no item that begins with -, found {found(value)}")
    return text


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_jsonable(inner) for inner in value]
    return float(value) if isinstance(value, Decimal) else value
