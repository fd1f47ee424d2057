"""Limits in the words that programs get: amounts, moments, whose a limit is. Pure.

Money is decimal text in US dollars, exactly; all other amounts are whole numbers.
"""

import datetime as dt
import re
from decimal import Decimal

import msgspec

from headgate.limits import KINDS, NANO, SCOPES, LimitRow, LimitsRow, limit_name

Amount = int | str

# Nothing that stands in a name, and nothing that an expression gives a meaning.
_MARKS = {scope: chr(0xE000 + at) for at, scope in enumerate(SCOPES)}


class Owner(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose a limit is within its tenant; `user` as the records' hash. What is not there does not matter."""

    key: str | None = None
    model: str | None = None
    user: str | None = None
    models: tuple[str, ...] | None = None


def amount(kind: str, value: int) -> Amount:
    """An amount of this kind of limit, for JSON."""
    return dollars(value) if KINDS[kind].dimension == "usd" else value


def dollars(nano: int) -> str:
    """Nano-USD as decimal text: `12.5`, never an exponent."""
    text = f"{Decimal(nano) / NANO:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def unit(kind: str) -> str:
    """What amounts of this kind are."""
    dimension = KINDS[kind].dimension
    return "tokens" if dimension in ("input", "output") else dimension


def moment(at_ms: int) -> str:
    """RFC 3339, UTC."""
    at = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day_of(number: int) -> str:
    """A day since 1970, UTC: `2026-11-21`."""
    return (dt.date(1970, 1, 1) + dt.timedelta(days=number)).isoformat()


def find_row(limits: LimitsRow, name: str) -> tuple[LimitRow, Owner] | None:
    """The limit of this name, and whose it is; None when the tables have none (any more)."""
    for key_id, rows in limits.keys.items():  # they stand in for the rules by key, and so come first
        for row in rows:
            if limit_name(row, key_id) == name:
                return row, Owner(key=key_id, models=row.models)
    for row in limits.limits:
        found = re.fullmatch(_pattern(row), name, re.DOTALL)
        if found:
            return row, Owner(models=row.models, **found.groupdict())
    return None


def _pattern(row: LimitRow) -> str:
    """What names of this limit look like, as `limit_name` makes them."""
    pattern = re.escape(limit_name(row, *_MARKS.values()))
    for scope, mark in _MARKS.items():
        pattern = pattern.replace(mark, f"(?P<{scope}>.*)")
    return pattern
