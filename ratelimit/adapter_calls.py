"""Tells who watches engines which adapters requests come for: what was used last stays, and what is missed is loaded.

Nobody waits for it. What can't be told while the counters are away is forgotten: a request that waits says it again.
"""

import asyncio
import contextlib
from collections import defaultdict

from headgate.counters.address import counters_address
from headgate.counters.client import Counters, Unavailable
from headgate.feed.identity import gateway_id
from headgate.feed.messages import CALLS_CHANNEL, calls_alone

EVERY_S = 1.0
AT_MOST_EVERY_S = 0.05
COUNTERS_TIMEOUT_S = 1.0


class AdapterCalls:
    """Of one worker."""

    def __init__(self) -> None:
        self._counters = Counters(counters_address(), COUNTERS_TIMEOUT_S)
        self._names: dict[str, set[str]] = defaultdict(set)  # on engines, by cluster
        self._is_urgent = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """In a running loop; once is enough."""
        if self._task is None:
            self._counters.start()
            self._task = asyncio.create_task(self._run())

    def note(self, cluster: str, name: str, *, waits: bool = False) -> None:
        """There is a request for it; `waits`: one that can't go on without."""
        self._names[cluster].add(name)
        if waits:
            self._is_urgent.set()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._is_urgent.wait()
            self._is_urgent.clear()
            if self._names:
                said = calls_alone(gateway_id() or "", self._names)
                self._names = defaultdict(set)
                with contextlib.suppress(Unavailable):
                    await self._counters.publish(CALLS_CHANNEL, said)
            await asyncio.sleep(AT_MOST_EVERY_S)
