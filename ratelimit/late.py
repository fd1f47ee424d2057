"""What was let through without the counters is reserved when they are back.

Its end is charged from the spool in any case. But where Envoy is killed before that, a reservation is all that says
that there was such a request: the ledger charges it. One that has ended meanwhile reserves nothing. In memory: a
worker that is killed before the counters are back takes with it what it let through.
"""

import asyncio
import contextlib
import time
from collections import deque

import structlog

from headgate.counters.client import Counters, Failed, Unavailable
from headgate.counters.scripts import Call

AGAIN_S = 0.1  # calls that took too long
AT_ONCE = 50
MOST = 20_000  # about 20 MB; the oldest are let go of

log = structlog.get_logger()


class Late:
    """Calls that are still to be made, in the background of the running loop."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._waiting: deque[tuple[float, Call]] = deque(maxlen=MOST)
        self._working: asyncio.Task[None] | None = None
        self._back = asyncio.Event()

    def add(self, call: Call, lease_ms: int) -> None:
        """Reserve this as soon as that can be done, but not when its lease would be over."""
        self._waiting.append((time.monotonic() + lease_ms / 1000, call))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())

    def try_now(self) -> None:
        """Counters are back."""
        self._back.set()

    async def _work(self) -> None:
        while self._waiting:
            self._back.clear()
            waiting = list(self._waiting)
            self._waiting.clear()
            for at in range(0, len(waiting), AT_ONCE):
                some = waiting[at : at + AT_ONCE]
                made = await asyncio.gather(*(self._made(call) for _, call in some))
                left = (one for one, is_made in zip(some, made, strict=True) if not is_made)
                self._waiting.extend(one for one in left if time.monotonic() < one[0])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._back.wait()

    async def _made(self, call: Call) -> bool:
        """Whether there is no more to do; a node that is away holds up no other one's."""
        _, keys, _ = call
        if self._counters.is_away(keys[0]):
            return False
        try:
            await self._counters.run(*call)
        except Failed as failed:
            log.warning("not reserved, though let through", reason=failed.reason)
        except Unavailable:
            return False
        return True
