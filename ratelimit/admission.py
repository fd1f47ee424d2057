"""A replica with its adapter for a request, and a slot of its engine, or a place in the line for one.

docs/engines.md, "When all replicas are full"; docs/adapters.md, "More adapters than places".

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
from headgate.counters.queue import Admitted, Notice, Seat, Verdict, admit_call, read_admitted, release_call
from headgate.feed.full_engines import QueueListener
from headgate.feed.identity import gateway_id
from headgate.grpc_server import CallFailed, Status
from headgate.limiting import Ask
from headgate.limits import LimitsRow
from headgate.refusals import Refusals
from headgate.snapshot import SlotsRow, Snapshot
from ratelimit import codec
from ratelimit.adapter_wait import LOOK_EVERY_S, Adapters, AdapterWait
from ratelimit.engines import Engines
from ratelimit.queue_refusal import CODES, Reason, queue_headers, queue_refusal
from ratelimit.queue_tally import QueueTally
from ratelimit.refusal import Refusal
from ratelimit.seats import patience_ms, seat_of, wait_s

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


class _Seated(NamedTuple):
    """The same in the end, and of one that has waited what it was told first, and for how long it has."""

    asked: _Asked
    first: Admitted | None = None
    waited_s: float = 0.0


@dataclass(slots=True)
class _Waiting:
    """A request that waits: what it was told first, and until when it does, by the loop's clock."""

    first: Admitted
    since: float
    until: float
    called: asyncio.Event


class Admission:
    """Of one worker. `connect` is called with every generation of the tables."""

    def __init__(self, refusals: Refusals, engines: Engines, adapters: Adapters) -> None:
        self._counters = Counters(counters_address(), COUNTERS_TIMEOUT_S)
        self._engines = engines
        self._adapters = adapters
        self._gateway = gateway_id() or ""
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
        """Answers when a replica has its adapter and it has a slot, or gets none.

        Its adapter is there before it stands in the line, and when it goes on: also without a slot. `give_back`: what
        was reserved for it; whether that is done.
        """
        adapter = AdapterWait(self._adapters, ask, time.monotonic() + wait_s(ask, snapshot))
        made, found = codec.GOES_ON, await adapter.wait()
        if ask.engine and not isinstance(found, Refusal):
            made = await self._slot(ask, snapshot, limits, give_back, adapter)
            if not ask.adapter or codec.is_refusal(made):
                return made
            found = await adapter.wait() or (found if made == codec.GOES_ON else [])
        if isinstance(found, Refusal):
            return codec.refused(ask, found, (), reserved=False if await give_back() else None)
        return made + codec.goes_on((), found) if found else made

    async def _slot(
        self, ask: Ask, snapshot: Snapshot, limits: LimitsRow | None, give_back: GiveBack, adapter: AdapterWait
    ) -> bytes:
        engine = snapshot.slots.get(ask.engine)
        if engine is None:  # a reload has taken the queue away since the request was planned
            return codec.GOES_ON
        seat = seat_of(ask, snapshot, limits or LimitsRow(), secrets.token_hex(4), self._gateway)
        try:
            seated = await self._seated(ask, seat, engine, adapter)
            if isinstance(seated, Refusal):
                return codec.refused(ask, seated, (), reserved=False if await give_back() else None)
            return await self._answer(ask, engine, seated, give_back)
        except Unavailable as gone:
            self._tally.ended(ask, "emergency")
            self._leave(seat)  # a call that was cut off may have made a ticket, which would be in others' way
            log.warning("let through without a slot", request_id=ask.request_id, model=ask.model, reason=gone.reason)
            return codec.GOES_ON
        except (asyncio.CancelledError, CallFailed):  # client or Envoy gone, or another worker asked
            self._tally.ended(ask, "left")
            self._leave(seat)
            raise

    async def _seated(self, ask: Ask, seat: Seat, engine: SlotsRow, adapter: AdapterWait) -> _Seated | Refusal:
        """What comes of it. While its adapter is not there it holds no slot, which others can use."""
        seated = _Seated(await self._asked(ask, seat, engine, adapter))
        while True:
            if seated.asked.admitted.verdict is Verdict.WAITS:
                seated = await self._wait(ask, engine, seated.asked, adapter)
            verdict = seated.asked.admitted.verdict
            lacks = adapter.is_over if verdict is Verdict.WAITS else verdict is Verdict.SLOT and not adapter.look()
            if lacks or verdict is Verdict.WAITS:
                await self._give_back(seat)
            if not lacks:
                return seated
            if isinstance(found := await adapter.wait(), Refusal):
                return found
            seated = _Seated(await self._asked(ask, seat, engine, adapter, again=True))

    async def _wait(self, ask: Ask, engine: SlotsRow, asked: _Asked, adapter: AdapterWait) -> _Seated:
        loop, seat, waiting = asyncio.get_running_loop(), asked.seat, _waiting(asked)
        key = (seat.pool, seat.member)
        self._calls[key] = waiting.called
        self._tally.begins(ask)
        try:
            while asked.admitted.verdict is Verdict.WAITS and loop.time() < waiting.until and not adapter.is_over:
                await self._pause(waiting, adapter)
                asked = await self._asked(ask, seat, engine, adapter, GRACE_S, again=True)
        finally:
            if self._calls.get(key) is waiting.called:  # or else this worker was asked for it again
                del self._calls[key]
            self._tally.stops(ask)
        return _Seated(asked, waiting.first, loop.time() - waiting.since)

    async def _pause(self, waiting: _Waiting, adapter: AdapterWait) -> None:
        """Until it is called, or its adapter has come, but for a second at most."""
        loop, is_there = asyncio.get_running_loop(), adapter.look()
        until = min(loop.time() + POLL_S, waiting.until)
        while not waiting.called.is_set() and (left_s := until - loop.time()) > 0 and adapter.look() is is_there:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s if is_there else min(left_s, LOOK_EVERY_S)):
                    await waiting.called.wait()
        waiting.called.clear()

    async def _asked(
        self,
        ask: Ask,
        seat: Seat,
        engine: SlotsRow,
        adapter: AdapterWait,
        grace_s: float = 0.0,
        *,
        again: bool = False,
    ) -> _Asked:
        """A call that took too long is made again; who waits has the patience for counters that are restarted.

        Raises CallFailed where another worker has been asked since: nobody listens to this one any more.
        """
        places = self._engines.places(ask, engine)
        now = replace(seat, patience_ms=patience_ms(seat, adapter.until - time.monotonic()))
        now = replace(now, length=None) if places is None else replace(now, places=places)
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

    async def _answer(self, ask: Ask, engine: SlotsRow, seated: _Seated, give_back: GiveBack) -> bytes:
        (seat, admitted), first, waited_s = seated
        places = seat.places
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
