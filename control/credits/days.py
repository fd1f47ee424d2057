"""Days of UTC as numbers, since 1970. Pure."""

import datetime as dt

_EPOCH = dt.date(1970, 1, 1)
DAY_MS = 86_400_000


def number_of(day: dt.date) -> int:
    """0 is 1970-01-01."""
    return (day - _EPOCH).days


def day_of_moment(moment: dt.datetime) -> int:
    """The day that it is then."""
    return number_of(moment.astimezone(dt.UTC).date())


def date_of(number: int) -> dt.date:
    """Back."""
    return _EPOCH + dt.timedelta(days=number)


def ends_ms(day: dt.date) -> int:
    """When it is over, in ms since 1970."""
    return (number_of(day) + 1) * DAY_MS
