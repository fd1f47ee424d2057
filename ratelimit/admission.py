"""A slot of an engine for a request, or a place in the line for one: docs/engines.md, "When all replicas are full".

Who waits is in the counters. A worker only holds the call, says now and then that it is still there, and asks when it
hears that it is somebody's turn. Where the counters are away, requests go on without a slot: engines queue, too.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import structlog

from headgate.counters.address import counters_address
from headgate.counters.client import Counters, Unavailable
from headgate.counters.limits import lease_ms
from headgate.counters.queue import Admitted, Notice, Seat, Verdict, admit_call, read_admitted, release_call
from headgate.feed.full_engines import QueueListener
from headgate.grpc_server import CallFailed, Status
from headgate.limiting import Ask
from headgate.limits import LimitsRow
from headgate.refusals import Refusals
from headgate.snapshot import SlotsRow, Snapshot
from ratelimit import codec
from ratelimit.engines import Engines
from ratelimit.queue_refusal import CODES, Reason, queue_headers, queue_refusal
from ratelimit.queue_tally import QueueTally

COUNTERS_TIMEOUT_S = 0.25  # who may wait for an engine has the time for busy counters
POLL_S = 1.0  # a notice may be lost, and slots may have come with a replica
AGAIN_S = 0.05  # after a call that took too long
GRACE_S = 2.0  # how long one that waits goes on waiting while the counters are away

log = structlog.get_logger()

GiveBack = Callable[[], Awaitable[bool]]

_REASONS: dict[Verdict, Reason] = {Verdict.WAITS: "timeout", Verdict.FULL: "full", Verdict.TOO_LATE: "too_late"}


class _Asked(NamedTuple):
    """Who wanted a slot, and what came of it."""

    seat: Seat
    admitted: Admitted


@dataclass(slots=True)
class _Waiting:
    """A request that waits: what it was told first, and until when it does, by the loop's clock."""

    first: Admitted
    since: float
    until: float
    called: asyncio.Event


class Admission:
    """Of one worker. `connect` is called with every generation of the tables."""

    def __init__(self, refusals: Refusals, engines: Engines) -> None:
        self._counters = Counters(counters_address(), COUNTERS_TIMEOUT_S)
        self._engines = engines
        self._listener: QueueListener | None = None
        self._tally = QueueTally(refusals)
        self._calls: dict[tuple[str, str], asyncio.Event] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def connect(self, snapshot: Snapshot) -> None:
        """Before a request needs it, where some will; in a running loop."""
        if snapshot.slots and self._listener is None:
            self._listener = QueueListener(counters_address(), self._on_notice)
            self._counters.start()
            self._listener.start()
            self._engines.start()

    async def admit(self, ask: Ask, snapshot: Snapshot, limits: LimitsRow | None, give_back: GiveBack) -> bytes:
        """Answers when it has a slot, or gets none. `give_back`: what was reserved for it; whether that is done."""
        engine = snapshot.slots.get(ask.engine)
        if engine is None:  # a reload has taken the queue away since the request was planned
            return codec.GOES_ON
        seat = _seat(ask, snapshot, limits or LimitsRow())
        try:
            asked = await self._asked(ask, seat, engine)
            if asked.admitted.verdict is not Verdict.WAITS:
                return await self._answer(ask, engine, asked, give_back)
            return await self._wait(ask, engine, asked, give_back)
        except Unavailable as gone:
            self._tally.ended(ask, "emergency")
            self._leave(seat)  # a call that was cut off may have made a ticket, which would be in others' way
            log.warning("let through without a slot", request_id=ask.request_id, model=ask.model, reason=gone.reason)
            return codec.GOES_ON
        except (asyncio.CancelledError, CallFailed):  # client or Envoy gone, or another worker asked
            self._tally.ended(ask, "left")
            self._leave(seat)
            raise

    async def _wait(self, ask: Ask, engine: SlotsRow, asked: _Asked, give_back: GiveBack) -> bytes:
        loop, seat, waiting = asyncio.get_running_loop(), asked.seat, _waiting(asked)
        key = (seat.pool, seat.member)
        self._calls[key] = waiting.called
        self._tally.begins(ask)
        try:
            while asked.admitted.verdict is Verdict.WAITS and loop.time() < waiting.until:
                await self._pause(waiting)
                asked = await self._asked(ask, seat, engine, GRACE_S, again=True)
            waited_s = loop.time() - waiting.since
            if asked.admitted.verdict is Verdict.WAITS:
                await self._give_back(seat)
        finally:
            if self._calls[key] is waiting.called:  # or else this worker was asked for it again
                del self._calls[key]
            self._tally.stops(ask)
        return await self._answer(ask, engine, asked, give_back, waiting.first, waited_s)

    async def _pause(self, waiting: _Waiting) -> None:
        left_s = waiting.until - asyncio.get_running_loop().time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(POLL_S, max(0.0, left_s))):
                await waiting.called.wait()
        waiting.called.clear()

    async def _asked(
        self, ask: Ask, seat: Seat, engine: SlotsRow, grace_s: float = 0.0, *, again: bool = False
    ) -> _Asked:
        """A call that took too long is made again; who waits has the patience for counters that are restarted.

        Raises CallFailed where another worker has been asked since: nobody listens to this one any more.
        """
        places = self._engines.places(ask, engine)
        now = replace(seat, length=None) if places is None else replace(seat, places=places)
        until, is_first = time.monotonic() + grace_s, True
        while True:
            try:
                admitted = read_admitted(await self._counters.run(*admit_call(now, again=again)))
                break
            except Unavailable:
                if not is_first and time.monotonic() >= until:
                    raise
            is_first = False
            await asyncio.sleep(AGAIN_S)
        if admitted.verdict is Verdict.TAKEN_OVER:
            raise CallFailed(Status.CANCELLED, "another worker was asked for this request")
        return _Asked(now, admitted)

    async def _answer(
        self,
        ask: Ask,
        engine: SlotsRow,
        asked: _Asked,
        give_back: GiveBack,
        first: Admitted | None = None,
        waited_s: float = 0.0,
    ) -> bytes:
        admitted, places = asked.admitted, asked.seat.places
        if first:
            self._tally.waited(ask, waited_s, first.expected_ms if admitted.verdict is Verdict.SLOT else None)
        if admitted.verdict in (Verdict.SLOT, Verdict.ENDED):
            self._tally.ended(ask, "waited" if first else "at_once")
            hosts = self._engines.lead(ask, engine.cluster, places, admitted.replica)
            return codec.goes_on(queue_headers(first) if first else (), hosts) if first or hosts else codec.GOES_ON
        reason: Reason = _REASONS[admitted.verdict] if places.replicas else "unavailable"
        self._tally.refused(ask, reason, CODES[reason])
        refusal = queue_refusal(reason, ask.model, first or admitted, admitted, waited_s)
        headers = queue_headers(first or admitted)
        return codec.refused(ask, refusal, headers, reserved=False if await give_back() else None)

    def _leave(self, seat: Seat) -> None:
        """Its ticket, and the slot that it may just have got: unless another worker has been asked for it since."""
        task = asyncio.create_task(self._give_up(seat))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _give_up(self, seat: Seat) -> None:
        with contextlib.suppress(Unavailable):  # its heartbeat is over soon, and its `end` line gives a slot back
            await self._give_back(seat)

    async def _give_back(self, seat: Seat) -> None:
        """It may come again. Raises Unavailable."""
        await self._counters.run(*release_call(seat.pool, [seat.member], 0, caller=seat.caller))

    def _on_notice(self, notice: Notice) -> None:
        for member in notice.called:
            if called := self._calls.get((notice.pool, member)):
                called.set()


def _waiting(asked: _Asked) -> _Waiting:
    seat, first = asked
    since = asyncio.get_running_loop().time() - first.waited_ms / 1000  # with another worker before, which has gone
    return _Waiting(first, since, since + (seat.patience_ms or 0) / 1000, asyncio.Event())


def _seat(ask: Ask, snapshot: Snapshot, limits: LimitsRow) -> Seat:
    row = snapshot.models.get(ask.model)
    queue = row.queue if row else None
    patience_ms = None
    if queue:
        patience_ms = queue.max_wait_ms
        if ask.patience_s is not None:
            patience_ms = min(patience_ms, round(ask.patience_s * 1000))
    return Seat(
        pool=ask.engine,
        request_id=ask.request_id,
        epoch=ask.epoch,
        tenant=ask.tenant,
        model=ask.model,
        lease_ms=lease_ms(row.total_ms if row else None),
        priority=limits.priority,
        share=limits.share,
        length=queue.length if queue else None,
        patience_ms=patience_ms,
        caller=secrets.token_hex(4),
    )
