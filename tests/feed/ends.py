"""Both ends of the feed on a real server: a gateway that tells, a worker that listens."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from headgate.counters.address import parsed
from headgate.counters.client import Counters
from headgate.feed.figures import Figures
from headgate.feed.publisher import Publisher
from headgate.feed.states import TargetStates
from headgate.feed.subscriber import Subscriber

WITHIN_S = 60.0


@asynccontextmanager
async def telling(url: str, gateway: str) -> AsyncIterator[Publisher]:
    """What the ledger's process runs."""
    counters = Counters(parsed(url), 1.0)
    publisher = Publisher(counters, gateway)
    counters.start()
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await counters.close()


@asynccontextmanager
async def listening(url: str, gateway: str | None) -> AsyncIterator[TargetStates]:
    """What a worker runs."""
    states = TargetStates()
    subscriber = Subscriber(parsed(url), gateway, states)
    subscriber.start()
    try:
        yield states
    finally:
        await subscriber.close()


@asynccontextmanager
async def figures_of(url: str, gateway: str | None) -> AsyncIterator[Figures]:
    """What a worker hears of strategies' figures."""
    figures = Figures(gateway)
    subscriber = Subscriber(parsed(url), gateway, TargetStates(), None, figures)
    subscriber.start()
    try:
        yield figures
    finally:
        await subscriber.close()


async def until(condition: Callable[[], object], within_s: float = WITHIN_S) -> float:
    """Wait until it holds; the seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s
        await asyncio.sleep(0.005)
    return time.monotonic() - began
