"""How much those who are no platform admins may ask at once, so that no tenant takes the API away from the others.

A tenant has `AT_ONCE` requests at a time, until they are answered, and a rate of writes; what goes beyond is 429
before its body is read. All tenants together have `WORKING` threads and connections: less than there are of both, so
that platform admins, who are not counted, find some. Counted in this process alone, from the event loop alone.
"""

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from control.problems import Problem
from control.roles import Asker

AT_ONCE = 8
WORKING = 4  # of 8 connections (control/store/engine.py) and 40 threads (anyio's)
UPLOADING = 3
UPLOAD_AGAIN_S = 5
WAIT_S = 5.0  # for one of them
WRITES_AT_ONCE = 60
WRITES_PER_S = 5.0
_MOST_NOTED = 1000  # tenants, before those are forgotten that have all of their writes again


@dataclass(slots=True)
class _Writes:
    left: float
    at: float


class Traffic:
    """What is asked now. `clock` is monotonic, in seconds; `share` is how many of WORKING a tenant may hold."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, share: int = WORKING) -> None:
        self._clock = clock
        self._now: Counter[str] = Counter()
        self._writes: dict[str, _Writes] = {}
        self._working = asyncio.Semaphore(WORKING)
        self._share = share
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._uploading: set[str] = set()

    @contextmanager
    def asking(self, asker: Asker, *, writes: bool) -> Iterator[None]:
        """From the first look at a request to the end of its answer. Raises Problem (429)."""
        if asker.is_admin:
            yield
            return
        whose = _whose(asker)
        if self._now[whose] >= AT_ONCE:
            raise _too_many(f"expected at most {AT_ONCE} requests of a tenant at once", 1)
        if writes:
            self._take_write(whose)
        self._now[whose] += 1
        try:
            yield
        finally:
            self._now[whose] -= 1
            if not self._now[whose]:
                del self._now[whose]
                self._shares.pop(whose, None)

    @asynccontextmanager
    async def working(self, asker: Asker) -> AsyncIterator[None]:
        """While a thread and a connection are used; within `asking`. Raises Problem (503)."""
        if asker.is_admin:
            yield
            return
        share = self._shares.setdefault(_whose(asker), asyncio.Semaphore(self._share))
        async with contextlib.AsyncExitStack() as held:
            whose = "of this tenant"
            try:
                async with asyncio.timeout(WAIT_S):
                    await held.enter_async_context(share)
                    whose = "of others"
                    await held.enter_async_context(self._working)
            except TimeoutError:
                text = f"requests {whose} are being answered: ask again in a moment"
                raise Problem(503, "store_busy", text, headers={"retry-after": "1"}) from None
            yield

    @asynccontextmanager
    async def uploading(self, asker: Asker) -> AsyncIterator[None]:
        """While a body of any size arrives and is worked on: one of a tenant's at a time. Raises Problem (429)."""
        whose = _whose(asker)
        if whose in self._uploading:
            raise _too_many("an upload of this tenant is under way: expected one at a time", UPLOAD_AGAIN_S)
        if len(self._uploading) >= UPLOADING:
            text = f"{UPLOADING} uploads of other tenants are under way: expected {UPLOADING} at a time on a host"
            raise _too_many(text, UPLOAD_AGAIN_S)
        self._uploading.add(whose)
        try:
            yield
        finally:
            self._uploading.discard(whose)

    def _take_write(self, whose: str) -> None:
        now = self._clock()
        if len(self._writes) >= _MOST_NOTED:
            self._writes = {one: has for one, has in self._writes.items() if _left(has, now) < WRITES_AT_ONCE}
        has = self._writes.setdefault(whose, _Writes(WRITES_AT_ONCE, now))
        has.left, has.at = _left(has, now), now
        if has.left < 1:
            text = f"expected at most {WRITES_AT_ONCE} changes by a tenant at once, and {WRITES_PER_S:.0f} a second"
            raise _too_many(text, math.ceil((1 - has.left) / WRITES_PER_S))
        has.left -= 1


def _left(has: _Writes, now: float) -> float:
    return min(WRITES_AT_ONCE, has.left + (now - has.at) * WRITES_PER_S)


def _whose(asker: Asker) -> str:
    """The tenant that is asked about, else the caller's own; a caller of none counts for itself."""
    tenant = asker.tenant or asker.identity.tenant
    return f"of {tenant}" if tenant else asker.principal


def _too_many(text: str, retry_s: int) -> Problem:
    return Problem(429, "too_many_requests", text, headers={"retry-after": str(retry_s)})
