"""Settling: a request has ended, so what it holds is given back. Tried until it is done, harmless when done twice."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog

from headgate import metrics
from headgate.counters.client import Counters, Failed, Unavailable
from headgate.counters.scripts import (
    OPEN_PATTERN,
    REMEMBER_MS,
    SETTLE,
    member_of,
    open_key,
    record_key,
    request_of,
    tenant_of,
)
from ledger.lines import Line

log = structlog.get_logger()

_CALL_LIMIT = 200  # requests in one call: a server does nothing else meanwhile
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0

Ended = dict[str, list[tuple[str, str]]]  # tenant -> (epoch, request id)


def ended(epoch: str, lines: Iterable[Line]) -> Ended:
    """Whose requests have ended and may hold something; `reserved` is false where the limiter knows of nothing."""
    found: Ended = defaultdict(list)
    for line in lines:
        if line.type == "end" and line.request_id and line.tenant and line.model and line.reserved is not False:
            found[line.tenant].append((epoch, line.request_id))
    return found


class Settlement:
    """Gives back through the counters; waits for them as long as it takes."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._by = {by: metrics.LIMITER_SETTLEMENTS.labels(by) for by in ("end", "epoch")}

    async def settle(self, requests: Ended, by: str = "end") -> int:
        """Close all these requests; how many held something."""
        calls = [
            (tenant, some[at : at + _CALL_LIMIT])
            for tenant, some in requests.items()
            for at in range(0, len(some), _CALL_LIMIT)
        ]
        freed = 0
        for at in range(0, len(calls), 50):
            freed += sum(await asyncio.gather(*(self._close(*call) for call in calls[at : at + 50])))
        if freed:
            self._by[by].inc(freed)
        return freed

    async def close_epoch(self, epoch: str) -> int:
        """Close everything that a dead Envoy's requests hold; how many there were."""
        found: Ended = defaultdict(list)
        cursor = b"0"
        while True:
            cursor, keys = await self._persist("SCAN", cursor.decode(), "MATCH", OPEN_PATTERN, "COUNT", 1000)
            for key in keys:
                name = key.decode(errors="replace")
                for member in await self._persist("ZRANGE", name, 0, -1):
                    owner, request_id = request_of(member.decode(errors="replace"))
                    if owner == epoch:
                        found[tenant_of(name)].append((owner, request_id))
            if cursor == b"0":
                return await self.settle(found, by="epoch")

    async def _close(self, tenant: str, some: list[tuple[str, str]]) -> int:
        keys = (open_key(tenant), *(record_key(tenant, request_id) for _, request_id in some))
        members = tuple(member_of(epoch, request_id) for epoch, request_id in some)
        try:
            return int(await self._until_done(lambda: self._counters.run(SETTLE, keys, (REMEMBER_MS, *members))))
        except Failed as failed:
            log.warning("not settled, left to their lease", requests=len(some), tenant=tenant, reason=failed.reason)
            return 0

    async def _persist(self, *words: str | int) -> Any:
        return await self._until_done(lambda: self._counters.command(*words))

    async def _until_done(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Raises Failed. Everything else passes: the counters come back, and the spool is not lost meanwhile."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await ask()
            except Failed:
                raise
            except Unavailable:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
