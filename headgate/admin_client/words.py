"""Texts of others, as a terminal may be given them: on one line, without control characters. Pure."""

import json
from typing import Any


def plain(value: Any) -> str:
    """Text as it is when all of it can be printed, otherwise as JSON writes it; everything else as JSON."""
    if isinstance(value, str):
        return value if value.isprintable() else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
