"""When a request began and ended, by its line. Pure."""

import datetime as dt
from functools import lru_cache

import msgspec

from ledger.spool.lines import Line

_LONGEST_MS = 7 * 86_400_000  # no request lasts for so long
AHEAD_MS = 2_000  # no line was made so much later than it is read


def began_ms(line: Line) -> int | None:
    """When the request's body was there, Unix time in ms, and so right before it reserved. None where no line says.

    Its line was made at its end.
    """
    ended = ended_ms(line)
    if ended is None:
        return None
    lasted_ms = min(max(line.duration_ms or 0, 0), _LONGEST_MS)
    return ended - lasted_ms + min(max(line.request_ms or 0, 0), lasted_ms)


def ended_ms(line: Line) -> int | None:
    """When the line was made, Unix time in ms. None where it does not say."""
    return _unix_ms(line.time or "")


def is_ahead(line: Line, now_ms: int) -> bool:
    """Whether its time has not come yet: the clock was put back, or somebody else's line was put in."""
    ended = ended_ms(line)
    return ended is not None and ended > now_ms + AHEAD_MS


def made_at(line: Line, now_ms: int) -> Line:
    """The line as if it was made now."""
    time = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC).isoformat(timespec="milliseconds")
    return msgspec.structs.replace(line, time=time)


@lru_cache(maxsize=64)  # each line is asked several times, and those that were flushed together say the same
def _unix_ms(text: str) -> int | None:
    try:
        return round(dt.datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
