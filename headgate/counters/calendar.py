"""The calendar's windows: days and months in UTC, and from a day on for ever. Pure; windows.lua computes the same,
and a test compares them.
"""

import datetime as dt
import functools

from headgate.limits import Shape

DAY_MS = 86_400_000
NO_END_MS = 10**8 * DAY_MS  # of a window for ever: whole days, and exact as a double


def window_of(shape: Shape, day: int, at_ms: int) -> tuple[int, int]:
    """Where the window of a `day` or a `month` that has this moment begins and ends, in ms.

    `day` is the one on which months begin, or on which (since 1970) the only window of `ever` begins.
    """
    if shape == "ever":
        return day * DAY_MS, NO_END_MS
    if shape == "day":
        start = at_ms // DAY_MS * DAY_MS
        return start, start + DAY_MS
    return _month_of(at_ms // DAY_MS, day)


@functools.lru_cache(maxsize=1024)  # asked for with each limit of each request, of today nearly always
def _month_of(at_day: int, day: int) -> tuple[int, int]:
    """The month that begins on a `day` and has that day since 1970."""
    today = dt.date(1970, 1, 1) + dt.timedelta(days=at_day)
    month = 12 * today.year + today.month - 1
    if today < _beginning(month, day):
        month -= 1
    return _ms(_beginning(month, day)), _ms(_beginning(month + 1, day))


def _beginning(month: int, day: int) -> dt.date:
    first, following = (dt.date(number // 12, number % 12 + 1, 1) for number in (month, month + 1))
    return first.replace(day=min(day, (following - first).days))


def _ms(day: dt.date) -> int:
    return (day - dt.date(1970, 1, 1)).days * DAY_MS
