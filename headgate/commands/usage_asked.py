"""What `headgate usage` is asked for: which time, and sums by what. Pure but for the clock that is given."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import get_args

import click

from headgate.config.wording import nearest, quoted
from headgate.usage_questions import LAST_S, Dimension, Width

_DIMENSIONS: Mapping[str, Dimension] = {name.removesuffix("_id"): name for name in get_args(Dimension)}
_WIDTHS: Mapping[str, Width] = {name: name for name in get_args(Width)}


def period(month: str | None, since: str | None, until: str | None, now: dt.datetime) -> tuple[int, int]:
    """From when to before when, in Unix seconds: this month until now, where nothing is given. Raises UsageError."""
    if month is not None:
        if since or until:
            raise click.UsageError("give either --month, or --since and --until")
        return _month(month)
    until_s = _seconds("--until", until) if until else int(now.timestamp()) + 1
    begin = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    since_s = _seconds("--since", since) if since else int(begin.timestamp())
    if since_s >= until_s:
        raise click.UsageError("--since: needs to be before --until, which is now unless given")
    return since_s, until_s


def grouped(by: str | None) -> tuple[tuple[Dimension, ...], Width | None]:
    """Dimensions and width of `model,key,day`. Raises UsageError."""
    names = [name.strip() for name in by.split(",")] if by else []
    widths = [_WIDTHS[name] for name in names if name in _WIDTHS]
    dimensions = [_DIMENSIONS[name] for name in names if name in _DIMENSIONS]
    for name in names:
        if name not in _WIDTHS and name not in _DIMENSIONS:
            known = [*_DIMENSIONS, *_WIDTHS]
            raise click.UsageError(f"--by: unknown {quoted(name)}{nearest(name, known)}: may be {', '.join(known)}")
    if len(widths) > 1:
        raise click.UsageError(f"--by: one of {', '.join(_WIDTHS)}, found {' and '.join(widths)}")
    if len(set(dimensions)) < len(dimensions):
        raise click.UsageError("--by: names something twice")
    return tuple(dimensions), widths[0] if widths else None


def month_around(moment: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """Where the month of `moment` begins, and the next."""
    begin = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return begin, (begin + dt.timedelta(days=32)).replace(day=1)


def moment_text(seconds: int) -> str:
    """RFC 3339, in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _month(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(20\d\d)-(0[1-9]|1[0-2])", text, re.ASCII)
    if not found:
        raise click.UsageError(f"--month: expected one such as 2026-11, found {quoted(text)}")
    begin, end = month_around(dt.datetime(int(found[1]), int(found[2]), 1, tzinfo=dt.UTC))
    return int(begin.timestamp()), int(end.timestamp())


def _seconds(option: str, moment: str) -> int:
    found = int(dt.datetime.fromisoformat(moment).timestamp())
    if not 0 <= found <= LAST_S:
        raise click.UsageError(
            f"{option}: expected a time from 1970 to {moment_text(LAST_S)}, found {quoted(moment)}"
        )
    return found
