"""Which engines are full, as workers hear it from the scripts that give out slots (headgate/counters/queue.py).

Said when it changes, and every second or so while an engine is full: what nobody says any more is forgotten.
"""

import time
from collections.abc import Callable

from headgate.counters.address import CountersAddress
from headgate.counters.queue import QUEUE_CHANNEL, Notice, read_notice
from headgate.feed.listener import Listener

FORGET_S = 3.0


class FullEngines:
    """Asked by the planner with `is_full`, by the name of an engine's slots. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def is_full(self, pool: str) -> bool:
        """Whether a request would have to wait there."""
        until = self._until.get(pool)
        return until is not None and self._clock() < until

    def take(self, notice: Notice) -> None:
        """What was said."""
        if notice.is_full:
            self._until[notice.pool] = self._clock() + FORGET_S
        else:
            self._until.pop(notice.pool, None)


class QueueListener(Listener):
    """Listens until it is closed."""

    def __init__(self, address: CountersAddress, take: Callable[[Notice], None]) -> None:
        super().__init__(address, ("SUBSCRIBE", QUEUE_CHANNEL))
        self._take_notice = take

    def hear(self, message: bytes) -> bool:
        """What a script says."""
        notice = read_notice(message)
        if notice:
            self._take_notice(notice)
        return notice is not None
