"""A request waits until a replica has its adapter: docs/adapters.md, "More adapters than places".

Nothing of it is kept: a worker holds the call, goes by what it hears of replicas, and says every second that somebody
waits. Another worker, asked instead of one that has died, begins anew.
"""

import asyncio
import time

import structlog

from headgate import adapter_metrics as metrics
from headgate.adapters.layout import of_engine_name
from headgate.contract import ADAPTER_AGAIN_S, ADAPTER_NOT_LOADED, ERROR_SOURCE
from headgate.error_shapes import Problem
from headgate.limiting import Ask
from headgate.refusals import Refusals
from headgate.snapshot import Snapshot
from ratelimit.adapter_calls import AdapterCalls
from ratelimit.engines import Engines
from ratelimit.refusal import Refusal
from ratelimit.waiting import Places

WAIT_S = 30.0
LOOK_EVERY_S = 0.05  # at what was heard: no call to anybody
SAY_EVERY_S = 1.0

log = structlog.get_logger()


class AdapterWait:
    """Of one worker. `connect` is called with every generation of the tables."""

    def __init__(self, refusals: Refusals, engines: Engines) -> None:
        self._refusals = refusals
        self._engines = engines
        self._calls = AdapterCalls()
        self._places = Places()

    def connect(self, snapshot: Snapshot) -> None:
        """Before a request needs it, where some will; in a running loop."""
        if any(row.max_loras for row in snapshot.engines.values()):
            self._engines.start()
            self._calls.start()

    def note(self, ask: Ask) -> None:
        """It goes on to a replica that has its adapter, or is about to wait for one."""
        self._calls.note(ask.adapter_cluster, ask.adapter)

    async def wait(self, ask: Ask) -> Refusal | list[str]:
        """Where the request goes when a replica has its adapter, or why there was none in time.

        Nowhere else than it was planned to go, if there is one already.
        """
        if self._is_there(ask):
            return []
        if not self._places.take(ask.tenant):
            return self._refused(ask, "full", 0.0)
        began = time.monotonic()
        try:
            is_there = await self._wait(ask, began + min(WAIT_S, ask.patience_s or WAIT_S))
        except asyncio.CancelledError:  # the client has left, or Envoy has gone
            metrics.ADAPTER_WAITS.labels("left").inc()
            raise
        finally:
            self._places.leave(ask.tenant)
        waited_s = time.monotonic() - began
        metrics.ADAPTER_WAIT.observe(waited_s)
        if not is_there:
            return self._refused(ask, "timeout", waited_s)
        metrics.ADAPTER_WAITS.labels("loaded").inc()
        return self._engines.choose(ask, ask.adapter_cluster)

    async def _wait(self, ask: Ask, until: float) -> bool:
        said_at = float("-inf")
        while (now := time.monotonic()) < until:
            if now - said_at >= SAY_EVERY_S:
                said_at = now
                self._calls.note(ask.adapter_cluster, ask.adapter, waits=True)
            await asyncio.sleep(LOOK_EVERY_S)
            if self._is_there(ask):
                return True
        return False

    def _is_there(self, ask: Ask) -> bool:
        """Where nobody says anything of replicas, only one that was planned without its adapter waits."""
        ready = self._engines.ready(ask.adapter_cluster)
        return any(ask.adapter in one.adapters for one in ready) if ready else not ask.lacks_adapter

    def _refused(self, ask: Ask, outcome: str, waited_s: float) -> Refusal:
        metrics.ADAPTER_WAITS.labels(outcome).inc()
        self._refusals.count(ADAPTER_NOT_LOADED)
        said = {"reason": ADAPTER_NOT_LOADED, "adapter": ask.adapter, "waited_s": round(waited_s, 1)}
        log.info("refused", request_id=ask.request_id, tenant=ask.tenant, status=503, **said)
        return _refusal(ask, waited_s)


def _refusal(ask: Ask, waited_s: float) -> Refusal:
    named = of_engine_name(ask.adapter)
    alias = f"{named[0].tenant}/{named[0].adapter}" if named else ask.adapter
    why = f"and could not be loaded within {waited_s:.0f} s" if waited_s else "and too many requests wait already"
    text = f"The adapter '{alias}' is not loaded by its engine, {why}. Retry in {ADAPTER_AGAIN_S} s."
    problem = Problem(503, text, "server_error", code=ADAPTER_NOT_LOADED)
    first = (("content-type", "application/json"), (ERROR_SOURCE, "gateway"), ("retry-after", str(ADAPTER_AGAIN_S)))
    return Refusal(problem, first)
