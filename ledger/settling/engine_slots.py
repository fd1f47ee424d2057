"""Slots of engines (docs/engines.md) are given back as soon as a request's `end` line is read, before it is settled.

Nobody waits for it, and nothing of it is kept: what can't be told while the counters are away is told when they are
back, and what this process takes with it is left to its lease. An Envoy that has died gives back all that it held.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable

import structlog

from headgate.counters.client import Counters, Failed, Unavailable
from headgate.counters.queue import release_call
from headgate.counters.scripts import member_of, queue_keys
from headgate.snapshot import Snapshot
from ledger.spool.lines import RECOVERED, Line

AT_ONCE = 100  # of one engine, in one call
MOST = 20_000  # that wait for the counters
AGAIN_S = 0.1
BROKEN_S = 3.0  # how long a slot whose engine broke off is kept: who watches engines knows by then what is left of it
_BROKEN = frozenset({"UF", "UC", "UPE"})  # Envoy's flags: no connection, cut, no HTTP

log = structlog.get_logger()


class EngineSlots:
    """`on_end` takes note; `run` tells."""

    def __init__(self, counters: Counters, snapshot: Callable[[], Snapshot | None]) -> None:
        self._counters = counters
        self._snapshot = snapshot
        self._ended: dict[str, list[str]] = defaultdict(list)  # members by pool
        self._waiting = 0
        self._news = asyncio.Event()

    def on_end(self, line: Line, epoch: str) -> None:
        """A request has ended. It is not asked whether it held something: giving back nothing does no harm."""
        if not line.request_id or self._waiting >= MOST:
            return
        broke_off = not _BROKEN.isdisjoint((line.flags or "").split(","))
        for pool in self._pools_of(line):
            member = member_of(epoch, line.request_id)
            if broke_off:  # or all that wait would go to a dead engine, one wave after the other
                asyncio.get_running_loop().call_later(BROKEN_S, self._note, pool, member)
            else:
                self._note(pool, member)

    def _note(self, pool: str, member: str) -> None:
        self._ended[pool].append(member)
        self._waiting += 1
        self._news.set()

    def _pools_of(self, line: Line) -> tuple[str, ...]:
        """Where it may hold one: a line says it, and the record that a lost one was made of does not."""
        if line.engine or RECOVERED not in (line.flags or ""):
            return (line.engine,) if line.engine else ()
        snapshot = self._snapshot()
        row = snapshot.models.get(line.declared_model) if snapshot and snapshot.slots else None
        return row.engines if row else ()

    def noted(self, pool: str) -> list[str]:
        """Who is to give back a slot of this engine now."""
        return list(self._ended[pool])

    async def close_epoch(self, epoch: str) -> None:
        """All that a dead Envoy's requests hold; counters that are away leave it to the leases."""
        snapshot = self._snapshot()
        for pool in snapshot.slots if snapshot else ():
            slots, _, _, tickets, *_ = queue_keys(pool)
            with contextlib.suppress(Unavailable):
                held = [*await self._counters.command("ZRANGE", slots, 0, -1)]
                held += await self._counters.command("HKEYS", tickets)
                names = [member.decode(errors="replace") for member in held]
                if own := [name for name in names if name.startswith(member_of(epoch, ""))]:
                    await self._counters.run(*release_call(pool, own))

    async def run(self) -> None:
        """Tell, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            for pool in list(self._ended):
                await self._tell(pool)
            if self._waiting:
                self._news.set()
                await asyncio.sleep(AGAIN_S)

    async def _tell(self, pool: str) -> None:
        while members := self._ended[pool][:AT_ONCE]:
            try:
                await self._counters.run(*release_call(pool, members))
            except Failed as failed:
                log.warning("slots of an engine are left to their lease", pool=pool, reason=failed.reason)
            except Unavailable:
                return
            del self._ended[pool][: len(members)]
            self._waiting -= len(members)
        del self._ended[pool]
