"""Which keys were used, from the lines of the spool: collected, and handed over every ten seconds."""

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from headgate.key_uses import add_uses
from ledger.spool.lines import Line

EVERY_S = 10.0

log = structlog.get_logger()


class KeyUses:
    """An observer of lines. `flush` is called every second or so."""

    def __init__(self, state: Path = Path(), clock: Callable[[], float] = time.monotonic) -> None:
        self._state, self._clock = state, clock
        self._times: dict[tuple[str, str], str] = {}  # as the lines write them, which sort as the times do
        self._flushed = clock()

    def on_line(self, line: Line) -> None:
        """Note whose key it was, and when."""
        if line.tenant and line.key_id and line.time:
            key = (line.tenant, line.key_id)
            if line.time > self._times.get(key, ""):
                self._times[key] = line.time

    def flush(self, *, at_once: bool = False) -> None:
        """Hand over what was collected, if it is time."""
        now = self._clock()
        if not self._times or (now - self._flushed < EVERY_S and not at_once):
            return
        self._flushed = now
        times = {key: moment for key, text in self._times.items() if (moment := _moment(text))}
        try:
            add_uses(self._state, times)
        except OSError as error:  # a full disk: they go on with the next ones
            log.warning("uses of keys could not be written", error=error.strerror)
            return
        self._times.clear()


def _moment(text: str) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
