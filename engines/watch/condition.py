"""How one replica is, made of what each look at it has found. Pure: who looks, and when, is engines/watch/replica.py.

`ready` is one that says it is well and serves what it should. One that refuses, breaks off or answers with an error
is `away` at once; one that only takes long is given a few looks, since an engine that works on long prompts may be
slow to answer. A process of ours that has not been ready yet is `starting`, for as long as it lives.
"""

from dataclasses import dataclass, field, replace

from engines.watch.exposition import Measured
from engines.watch.models import Served
from headgate.feed.replicas import ReplicaState

SILENT_LOOKS = 3  # in a row, before a ready replica is away
_SAME_START_S = 2.0  # vLLM's own clock reads a little different each time


@dataclass(frozen=True, slots=True)
class Look:
    """One look. `trouble` is why there is nothing to go by, in words without an address; `is_slow`: that is all.

    `served` and `measured` are None where they were not asked for, or not answered.
    """

    trouble: str | None = None
    is_slow: bool = False
    served: Served | None = None
    measured: Measured | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a replica; `since` is when it came into its state. Both times are in seconds since the epoch.

    `served` is what it serves, empty unless it is ready, or that which it serves instead of what it should. `last` is
    what it measured last, kept while it is away: a start is noticed by it. `restarts` counts those.
    """

    state: ReplicaState
    since: float
    detail: str | None = "not looked at yet"
    served: Served | None = None
    last: Measured = field(default_factory=Measured)
    restarts: int = 0
    slow_looks: int = 0

    @property
    def is_up(self) -> bool:
        """Whether it answers requests that are sent to it."""
        return self.state in (ReplicaState.READY, ReplicaState.DRAINING)

    @property
    def measured(self) -> Measured:
        """What it measures now; nothing unless it is ready."""
        return self.last if self.is_up else Measured()

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits there, as far as it says."""
        return not self.measured.running and not self.measured.waiting


def after(known: Known, look: Look, wanted: str | None, now: float, *, lives: bool, drains: bool = False) -> Known:
    """What is known after a look.

    `wanted` is the name that has to be served, None if any will do. `lives`: its process is ours, runs and was not
    ready yet. `drains`: whoever runs it gives it no more requests.
    """
    if look.trouble and look.is_slow and known.is_up and known.slow_looks + 1 < SILENT_LOOKS:
        return replace(known, slow_looks=known.slow_looks + 1)
    served = look.served or known.served
    problem = look.trouble or _wrong(served, wanted)
    if problem:
        state = ReplicaState.STARTING if lives and look.trouble else ReplicaState.AWAY
        since = known.since if state is known.state else now
        return Known(state, since, problem, None if look.trouble else served, known.last, known.restarts)
    state = ReplicaState.DRAINING if drains else ReplicaState.READY
    anew = look.measured is not None and is_another(known.last, look.measured)
    return Known(
        state=state,
        since=known.since if state is known.state and not anew else now,
        detail=None,
        served=served,
        last=look.measured or known.last,
        restarts=known.restarts + anew,
    )


def is_another(before: Measured, now: Measured) -> bool:
    """Whether the process that says this is not the one that said that before."""
    if before.started is not None and now.started is not None:
        return abs(now.started - before.started) > _SAME_START_S
    both = before.counters.keys() & now.counters.keys()
    return any(now.counters[name] < before.counters[name] for name in both)


def _wrong(served: Served | None, wanted: str | None) -> str | None:
    if served is None or wanted is None or wanted in served.models:
        return None
    return f'does not serve "{wanted}"'
