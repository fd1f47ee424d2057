"""What providers say is left of their limits, as their answers' headers have it in the spool. Pure.

OpenAI and those who follow it write how long it takes until all is left again (`1s`, `6m0s`, `20ms`), Anthropic the
moment (RFC 3339). What is neither says nothing.
"""

import datetime as dt
import re
from collections.abc import Iterator

from headgate.feed.allowances import KINDS, LONGEST_RESET_S, Kind, Left

DEFAULT_RESET_S = 60.0  # where a provider does not say: the window that most of them have
_MOST = 2**53

_NUMBER = re.compile(r"\d{1,16}(?:\.0*)?", re.ASCII)
_PARTS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Junk(ValueError):  # noqa: N818 - it is no error of ours
    """A provider says what is no number and no time."""


def left_of(text: str, at: dt.datetime, age_s: float) -> Iterator[Left | Junk]:
    """What the field `provider_left` of a line says; the answer began `at` this moment, `age_s` ago."""
    cluster, _, rest = text.partition("\n")
    model, _, said = rest.rpartition("\n")
    for one in said.split(";"):
        name, _, values = one.partition("=")
        limit, left, reset, *more = [*(value.strip() for value in values.split(",")), "", "", ""]
        kind = next((kind for kind in KINDS if kind == name), None)
        if kind is None or any(more):
            yield Junk(one)
        elif left:
            try:
                yield _left(cluster, model, kind, (limit, left, reset), at, age_s)
            except Junk as junk:
                yield junk


def _left(cluster: str, model: str, kind: Kind, values: tuple[str, str, str], at: dt.datetime, age_s: float) -> Left:
    limit, left, reset = values
    resets_in_s = DEFAULT_RESET_S if reset in ("", "-") else reset_s(reset, at)
    most = None if limit in ("", "-") else _number(limit)
    return Left(cluster, model, kind, most, _number(left), max(resets_in_s - age_s, 0.0), age_s)


def reset_s(text: str, at: dt.datetime) -> float:
    """How long after `at` a limit resets, in seconds: `6m0s`, `20ms`, `12`, `2026-11-21T09:00:00Z`. Raises Junk."""
    if _NUMBER.fullmatch(text):
        return min(float(text), LONGEST_RESET_S)
    parts = _PARTS.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return min(sum(float(number) * _SECONDS[unit] for number, unit in parts), LONGEST_RESET_S)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Junk(text) from None
    if moment.tzinfo is None:
        raise Junk(text)
    return min(max((moment - at).total_seconds(), 0.0), LONGEST_RESET_S)


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise Junk(text)
    return min(int(float(text)), _MOST)
