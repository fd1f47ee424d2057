"""A request waits until a replica has its adapter: docs/adapters.md, "More adapters than places".

Nothing of it is kept: a worker holds the call, goes by what it hears of replicas, and says every second that somebody
waits. Another worker, asked instead of one that has died, begins anew.
"""

import asyncio
import time
from typing import Literal

import structlog

from headgate import adapter_metrics as metrics
from headgate.adapters.layout import of_engine_name
from headgate.contract import ADAPTER_AGAIN_S, ADAPTER_NOT_LOADED, ADAPTER_WAIT_S, ERROR_SOURCE
from headgate.error_shapes import Problem
from headgate.limiting import Ask
from headgate.refusals import Refusals
from headgate.snapshot import Snapshot
from ratelimit.adapter_calls import AdapterCalls
from ratelimit.engines import Engines
from ratelimit.refusal import Refusal
from ratelimit.waiting import Places

LOOK_EVERY_S = 0.05  # at what was heard: no call to anybody
SAY_EVERY_S = 1.0
_NEVER = float("-inf")

Outcome = Literal["timeout", "full"]

log = structlog.get_logger()


class Adapters:
    """Of one worker. `connect` is called with every generation of the tables."""

    def __init__(self, refusals: Refusals, engines: Engines) -> None:
        self._refusals = refusals
        self.engines = engines
        self.calls = AdapterCalls()
        self.places = Places()

    def connect(self, snapshot: Snapshot) -> None:
        """Before a request needs it, where some will; in a running loop."""
        if any(row.max_loras for row in snapshot.engines.values()):
            self.engines.start()
            self.calls.start()

    def note(self, ask: Ask) -> None:
        """It goes on to a replica that has its adapter, or is about to wait for one."""
        self.calls.note(ask.adapter_cluster, ask.adapter)

    def refused(self, ask: Ask, outcome: Outcome, lacked_s: float) -> Refusal:
        """What its client is told; counted, and logged."""
        metrics.ADAPTER_WAITS.labels(outcome).inc()
        self._refusals.count(ADAPTER_NOT_LOADED)
        said = {"reason": ADAPTER_NOT_LOADED, "adapter": ask.adapter, "waited_s": round(lacked_s, 1)}
        log.info("refused", request_id=ask.request_id, tenant=ask.tenant, status=503, **said)
        return _refusal(ask, outcome, lacked_s)


class AdapterWait:
    """Of one request: it goes without its adapter for ADAPTER_WAIT_S in all, and not beyond `until`, a monotonic
    clock's time. One that is for no adapter never waits.
    """

    def __init__(self, adapters: Adapters, ask: Ask, until: float) -> None:
        self._adapters = adapters
        self._ask = ask
        self.until = until
        self._lacks_since: float | None = None
        self._lacked_s = 0.0  # before that
        self._said_at = _NEVER

    def look(self) -> bool:
        """Whether it is there. Whoever waits, for whatever, looks every second at least: so it is known to be wanted,
        and stays.
        """
        if not self._ask.adapter:
            return True
        now = time.monotonic()
        is_there = self._adapters.engines.has_adapter(self._ask, self._ask.adapter_cluster)
        if now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            self._adapters.calls.note(self._ask.adapter_cluster, self._ask.adapter, waits=not is_there)
        if not is_there:
            self._lacks_since = self._lacks_since or now
        elif self._lacks_since is not None:
            self._lacked_s, self._lacks_since = self._lacked(now), None
        return is_there

    @property
    def is_over(self) -> bool:
        """Whether it was not there when somebody looked last, and is not waited for any longer."""
        now = time.monotonic()
        return self._lacks_since is not None and (now >= self.until or self._lacked(now) >= ADAPTER_WAIT_S)

    async def wait(self) -> Refusal | list[str]:
        """Where the request goes when a replica has its adapter, or why there was none in time.

        Nowhere else than it was planned to go, if there is one already.
        """
        if self.look():
            return []
        if self.is_over:
            return self._adapters.refused(self._ask, "timeout", self._lacked(time.monotonic()))
        if not self._adapters.places.take(self._ask.tenant):
            return self._adapters.refused(self._ask, "full", 0.0)
        began = time.monotonic()
        try:
            is_there = await self._until_there()
        except asyncio.CancelledError:  # the client has left, or Envoy has gone
            metrics.ADAPTER_WAITS.labels("left").inc()
            raise
        finally:
            self._adapters.places.leave(self._ask.tenant)
        now = time.monotonic()
        metrics.ADAPTER_WAIT.observe(now - began)
        if not is_there:
            return self._adapters.refused(self._ask, "timeout", self._lacked(now))
        metrics.ADAPTER_WAITS.labels("loaded").inc()
        return self._adapters.engines.choose(self._ask, self._ask.adapter_cluster)

    async def _until_there(self) -> bool:
        while not self.is_over:
            await asyncio.sleep(LOOK_EVERY_S)
            if self.look():
                return True
        return False

    def _lacked(self, now: float) -> float:
        return self._lacked_s + (0.0 if self._lacks_since is None else now - self._lacks_since)


def _refusal(ask: Ask, outcome: Outcome, lacked_s: float) -> Refusal:
    named = of_engine_name(ask.adapter)
    alias = f"{named[0].tenant}/{named[0].adapter}" if named else ask.adapter
    why = {
        "timeout": f"and could not be loaded within {lacked_s:.0f} s",
        "full": "and too many requests wait already",
    }
    text = f"The adapter '{alias}' is not loaded by its engine, {why[outcome]}. Retry in {ADAPTER_AGAIN_S} s."
    problem = Problem(503, text, "server_error", code=ADAPTER_NOT_LOADED)
    first = (("content-type", "application/json"), (ERROR_SOURCE, "gateway"), ("retry-after", str(ADAPTER_AGAIN_S)))
    return Refusal(problem, first)
