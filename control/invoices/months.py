"""Months and days of invoices and credits: UTC's, by when requests began, whatever the anniversary of limits is.

Pure.
"""

import datetime as dt
import re
from dataclasses import dataclass

from headgate.counters.calendar import window_of
from headgate.limits import Shape

PATTERN = "^[0-9]{4}-(0[1-9]|1[0-2])$"
# A request belongs to the day that it began in, and is known when it ends: after `timeouts.total`, at most 24 h, or
# when its reservation's lease is over, 30 s later. The rest is for clocks that differ.
LATEST = dt.timedelta(hours=25)
DAY_S = 86_400
_FIRST_YEAR = 2020


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` on, before `end`; whole days."""

    name: str
    start: dt.datetime
    end: dt.datetime

    @property
    def known_at(self) -> dt.datetime:
        """When the last request that began in it has ended."""
        return self.end + LATEST

    @property
    def month(self) -> str:
        """That it is in: 2026-11."""
        return self.name[:7]

    @property
    def month_number(self) -> int:
        """Likewise: 202611."""
        return int(self.month.replace("-", ""))

    @property
    def start_s(self) -> int:
        """Unix seconds."""
        return int(self.start.timestamp())

    @property
    def end_s(self) -> int:
        """Unix seconds."""
        return int(self.end.timestamp())

    @property
    def first_day(self) -> int:
        """Days since 1970."""
        return self.start_s // DAY_S

    @property
    def last_day(self) -> int:
        """Likewise; of the period itself."""
        return self.end_s // DAY_S - 1


@dataclass(frozen=True, slots=True)
class Month(Period):
    """`name` is 2026-11."""


@dataclass(frozen=True, slots=True)
class Day(Period):
    """`name` is 2026-11-30."""


def month_of(name: str) -> Month:
    """Raises ValueError."""
    if not re.fullmatch(PATTERN[1:-1], name, re.ASCII) or not _FIRST_YEAR <= int(name[:4]) < 9999:
        raise ValueError("expected a month such as 2026-11")
    year, month = int(name[:4]), int(name[5:])
    return Month(name, _first(year, month), _first(year + month // 12, month % 12 + 1))


def month_before(moment: dt.datetime) -> Month:
    """The last one that is over."""
    last = moment.astimezone(dt.UTC).replace(day=1) - dt.timedelta(days=1)
    return month_of(f"{last.year:04}-{last.month:02}")


def day_of(number: int) -> Day:
    """By days since 1970."""
    start = dt.datetime.fromtimestamp(number * DAY_S, dt.UTC)
    return Day(start.date().isoformat(), start, start + dt.timedelta(days=1))


def day_before(moment: dt.datetime) -> Day:
    """The last one that is over."""
    return day_of(int(moment.timestamp()) // DAY_S - 1)


def windows_ending_in(month: Month, shape: Shape, anniversary: int) -> tuple[tuple[int, int], ...]:
    """The windows of limits that end in the month, its own end included: in Unix seconds, from the first on."""
    found: list[tuple[int, int]] = []
    at_s = month.end_s - 1
    while True:
        start, end = (ms // 1000 for ms in window_of(shape, anniversary, at_s * 1000))
        if end <= month.start_s:
            return tuple(reversed(found))
        if end <= month.end_s:
            found.append((start, end))
        at_s = start - 1


def _first(year: int, month: int) -> dt.datetime:
    return dt.datetime(year, month, 1, tzinfo=dt.UTC)
