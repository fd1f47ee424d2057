"""Slots of engines (docs/engines.md) are given back as soon as a request's `end` line is read, before it is settled.

Nobody waits for it, and nothing of it is kept: what can't be told while the counters are away is told when they are
back, unless its lease is over by then. What this process takes with it is left to its lease, and so are the oldest of
more than `MOST`, which is counted. An Envoy that has died gives back all that it held.
"""

import asyncio
import contextlib
import time
from collections import defaultdict, deque
from collections.abc import Callable

import structlog

from headgate import queue_metrics as metrics
from headgate.counters.client import Counters, Failed, Unavailable
from headgate.counters.limits import lease_ms
from headgate.counters.queue import engine_of, release_call
from headgate.counters.scripts import member_of, queue_keys
from headgate.snapshot import Snapshot
from ledger.spool.lines import RECOVERED, Line

AT_ONCE = 100  # of one engine, in one call
SCANNED = 1000  # members of its slots that are looked at, in one call
MOST = 100_000  # that wait for the counters: some 20 MB, and in ten minutes 160 a second
AGAIN_S = 0.1
BROKEN_S = 3.0  # how long a slot whose engine broke off is kept: who watches engines knows by then what is left of it
_BROKEN = frozenset({"UF", "UC", "UPE"})  # Envoy's flags: no connection, cut, no HTTP

log = structlog.get_logger()

_Ended = tuple[float, str]  # until when the slot's lease lasts at most, by the monotonic clock; its member


class EngineSlots:
    """`on_end` takes note; `run` tells."""

    def __init__(self, counters: Counters, snapshot: Callable[[], Snapshot | None]) -> None:
        self._counters = counters
        self._snapshot = snapshot
        self._ended: dict[str, deque[_Ended]] = defaultdict(deque)  # by pool
        self._waiting = 0
        self._told_full = False
        self._news = asyncio.Event()

    def on_end(self, line: Line, epoch: str) -> None:
        """A request has ended. It is not asked whether it held something: giving back nothing does no harm."""
        if not line.request_id:
            return
        until = time.monotonic() + self._lease_s(line)
        broke_off = not _BROKEN.isdisjoint((line.flags or "").split(","))
        for pool in self._pools_of(line):
            ended = until, member_of(epoch, line.request_id)
            if broke_off:  # or all that wait would go to a dead engine, one wave after the other
                asyncio.get_running_loop().call_later(BROKEN_S, self._note, pool, ended)
            else:
                self._note(pool, ended)

    def _note(self, pool: str, ended: _Ended) -> None:
        self._ended[pool].append(ended)
        self._waiting += 1
        if self._waiting > MOST:
            self._drop()
        self._news.set()

    def _drop(self) -> None:
        """Leaves the oldest to its lease, which is over first."""
        pool = min((pool for pool, ended in self._ended.items() if ended), key=lambda pool: self._ended[pool][0])
        self._take(pool, 1)
        metrics.SLOTS_LEFT.labels(engine_of(pool)).inc()
        if not self._told_full:
            self._told_full = True
            log.warning("too many ends wait for the counters: slots are left to their lease", pool=pool, most=MOST)

    def _take(self, pool: str, most: int) -> list[_Ended]:
        ended = self._ended[pool]
        taken = [ended.popleft() for _ in range(min(most, len(ended)))]
        self._waiting -= len(taken)
        return taken

    def _lease_s(self, line: Line) -> float:
        snapshot = self._snapshot()
        row = snapshot.models.get(line.declared_model) if snapshot else None
        return lease_ms(row.total_ms if row else None) / 1000

    def _pools_of(self, line: Line) -> tuple[str, ...]:
        """Where it may hold one: a line says it, and the record that a lost one was made of does not."""
        if line.engine or RECOVERED not in (line.flags or ""):
            return (line.engine,) if line.engine else ()
        snapshot = self._snapshot()
        row = snapshot.models.get(line.declared_model) if snapshot and snapshot.slots else None
        return row.engines if row else ()

    def noted(self, pool: str) -> list[str]:
        """Who is to give back a slot of this engine now."""
        return [member for _, member in self._ended[pool]]

    async def close_epoch(self, epoch: str) -> None:
        """All that a dead Envoy's requests hold; counters that are away leave it to the leases."""
        snapshot = self._snapshot()
        for pool in snapshot.slots if snapshot else ():
            slots, _, _, _, beats, *_ = queue_keys(pool)
            with contextlib.suppress(Unavailable):
                await self._close_epoch(pool, slots, epoch)
                await self._close_epoch(pool, beats, epoch)

    async def _close_epoch(self, pool: str, key: str, epoch: str) -> None:
        """Its members of a sorted set, some at a time: others' calls have their turn between these."""
        cursor: bytes | int = 0
        while True:
            # No character of an epoch means anything there.
            cursor, found = await self._counters.command(
                *("ZSCAN", key, cursor, "MATCH", member_of(epoch, "*"), "COUNT", SCANNED)
            )
            own = [member.decode(errors="replace") for member in found[::2]]
            for at in range(0, len(own), AT_ONCE):
                await self._counters.run(*release_call(pool, own[at : at + AT_ONCE]))
            if cursor == b"0":
                return

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
        while taken := self._take(pool, AT_ONCE):
            now = time.monotonic()
            members = [member for until, member in taken if until > now]
            try:
                if members:
                    await self._counters.run(*release_call(pool, members))
            except Failed as failed:
                metrics.SLOTS_LEFT.labels(engine_of(pool)).inc(len(members))
                log.warning("slots of an engine are left to their lease", pool=pool, reason=failed.reason)
            except Unavailable:
                self._ended[pool].extendleft(reversed(taken))
                self._waiting += len(taken)
                return
            self._told_full = False
        del self._ended[pool]
