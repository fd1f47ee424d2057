"""Refusals that are sent later: bad keys from one place slow themselves down, and nobody else.

What waits is bounded, for the process and for each place; what comes on top is told so at once. Good keys never come
here, whoever else is at their address.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable

from authz.mistakes import LONGEST_S, Mistakes, places_of
from headgate import metrics

MOST, MOST_OF_ONE = 128, 16
RETRY_S = math.ceil(LONGEST_S)


class Waiting:
    """The answers of one process that wait. Every worker counts for itself."""

    def __init__(self) -> None:
        self._mistakes = Mistakes()
        self._held: Counter[str] = Counter()  # by place

    def refuse(self, address: str, now: float, refused: Callable[[int | None], bytes]) -> bytes | Awaitable[bytes]:
        """The answer, now or later. `refused` makes it: one that says when to come back, or with None the plain one.

        `now` is monotonic.
        """
        places = places_of(address)
        delay_s = self._mistakes.note(places, now)
        if delay_s <= 0.0:
            return refused(None)
        place = places[0].name
        if self._held.total() >= MOST or self._held[place] >= MOST_OF_ONE:
            metrics.SLOWED.labels("refused").inc()
            return refused(RETRY_S)
        metrics.SLOWED.labels("held").inc()
        return self._later(place, delay_s, refused(None))

    def _later(self, place: str, delay_s: float, answer: bytes) -> Awaitable[bytes]:
        """A future and no coroutine: it gives its place back also when nobody awaits it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        self._held[place] += 1

        def send() -> None:
            if not future.done():
                future.set_result(answer)

        def give_back(_: "asyncio.Future[bytes]") -> None:
            timer.cancel()
            self._held[place] -= 1
            if not self._held[place]:
                del self._held[place]

        timer = loop.call_later(delay_s, send)
        future.add_done_callback(give_back)
        return future
