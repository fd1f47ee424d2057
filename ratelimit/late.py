"""What was let through without the counters is reserved when they are back.

Its end is charged from the spool in any case. But where Envoy is killed before that, a reservation is all that says
that there was such a request: the ledger charges it. One that has ended meanwhile reserves nothing. In memory: a
worker that ends before the counters are back takes with it what it let through, and says how much that was.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence

import structlog

from headgate.counters.client import Counters, Failed, Unavailable
from headgate.counters.scripts import Call

AGAIN_S = 0.1  # calls that took too long
AT_ONCE = 8  # half a millisecond of a server's, whose other callers wait 20 ms at most
PAUSE_S = 0.004  # and then it is theirs: some 1,500 calls a second
LOOKED_AT = 500  # of those whose nodes are away, before others have their turn here
LOOK_EVERY_S = 2.0  # without news: a cluster's map may have changed
MOST = 20_000  # about 20 MB; the oldest are let go of

log = structlog.get_logger()


class Late:
    """Calls that are still to be made, in the background of the running loop."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._waiting: deque[tuple[float, Call]] = deque()
        self._working: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._dropped = 0

    def add(self, call: Call, lease_ms: int) -> None:
        """Reserve this as soon as that can be done, but not when its lease would be over."""
        if len(self._waiting) >= MOST:
            self._drop()
        self._waiting.append((time.monotonic() + lease_ms / 1000, call))
        if not self._is_away(call):
            self._news.set()
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())

    def try_now(self) -> None:
        """Counters are back."""
        self._news.set()

    async def _work(self) -> None:
        try:
            while self._waiting:
                self._news.clear()
                has_failed = await self._round()
                if self._waiting:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(AGAIN_S if has_failed else LOOK_EVERY_S):
                            await self._news.wait()
        finally:
            while self._waiting:  # the worker ends
                self._drop()
            if self._dropped:
                log.warning("let through without the counters, and never reserved", requests=self._dropped)
            self._dropped = 0

    async def _round(self) -> bool:
        """All that wait, once, a few at a time; whether any failed though its node seems to be there."""
        has_failed, left = False, len(self._waiting)
        while left > 0:
            some, looked_at = self._some(min(left, len(self._waiting), LOOKED_AT))
            left -= max(looked_at, 1)
            if some:
                has_failed |= await self._make(some)
            await asyncio.sleep(PAUSE_S if some else 0)
        return has_failed

    def _some(self, most: int) -> tuple[list[tuple[float, Call]], int]:
        """The next that can be made, and how many of those that wait were looked at."""
        some: list[tuple[float, Call]] = []
        looked_at, now = 0, time.monotonic()
        while looked_at < most and len(some) < AT_ONCE:
            one = self._waiting.popleft()
            looked_at += 1
            if now < one[0]:
                (self._waiting if self._is_away(one[1]) else some).append(one)
        return some, looked_at

    async def _make(self, some: Sequence[tuple[float, Call]]) -> bool:
        """Whether some of them are to be made again."""
        made = [False] * len(some)
        try:
            made = await asyncio.gather(*(self._made(call) for _, call in some))
        finally:
            self._waiting.extend(one for one, is_made in zip(some, made, strict=True) if not is_made)
        return not all(made)

    async def _made(self, call: Call) -> bool:
        """Whether there is no more to do."""
        try:
            await self._counters.run(*call)
        except Failed as failed:
            log.warning("not reserved, though let through", reason=failed.reason)
        except Unavailable:
            return False
        return True

    def _is_away(self, call: Call) -> bool:
        """A node that is away holds up no other one's."""
        _, keys, _ = call
        return self._counters.is_away(keys[0])

    def _drop(self) -> None:
        until, _ = self._waiting.popleft()
        if time.monotonic() < until:
            self._dropped += 1
