"""One engine: a loop for each of its replicas that is ready, one plan for all of them, and what has come of it."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

import structlog

from engines.loading.keeping import Keeping, Seen
from engines.loading.lora import Lora
from engines.loading.newcomers import Newcomers
from engines.loading.next_step import Rank, Resident, Wanted
from engines.loading.promotion import Fails, Outcome, verdict
from engines.loading.reasons import PASSING, Reason
from engines.loading.replica_loop import Files, Plan, ReplicaLoop
from engines.loading.seating import Seating
from engines.loading.versions import Version
from engines.watch.asking import Asker
from engines.watch.replica import Replica
from headgate import adapter_metrics as metrics
from headgate.feed.replicas import ReplicaState

UNSERVED_AFTER_S = 5.0  # a load after a restart, or for a request, takes less
GLANCE_S = 4.0  # no older is what the watch has seen of a replica that is up: a look a second, 2 s at most each

_Key = tuple[str, int]  # a replica's address, and how often it was seen to start anew
_NOBODY: Mapping[str, float] = {}

log = structlog.get_logger()


class EngineLoop:
    """Call `turn` now and then, `end` at the end. `is_ours`: whether nobody else loads an adapter of that name."""

    def __init__(self, engine: str, files: Files, is_ours: Callable[[str], bool]) -> None:
        self._engine = engine
        self._files = files
        self._is_ours = is_ours
        self._plan = Plan(places=0)
        self._keeping = Keeping()
        self._seating = Seating()
        self._seated: set[str] = set()
        self._live: set[str] = set()  # of those
        self.hidden: frozenset[str] = frozenset()  # live, and without a place: no more requests are to come there
        self._newcomers = Newcomers(files)
        self._others = 0
        self._missing: dict[str, float] = {}  # live ones that no replica has, since when
        self._loops: dict[_Key, tuple[ReplicaLoop, asyncio.Task[None]]] = {}
        self._had: dict[str, frozenset[str]] = {}  # by address, what they had when they were up last

    def turn(
        self,
        places: int,
        versions: Mapping[str, Version],
        replicas: Collection[Replica],
        waits_s: float = 0.0,
        called: Mapping[str, float] = _NOBODY,
    ) -> None:
        """Takes note of what is wanted and of who is there.

        `waits_s`: how long requests may wait for the engine. `called`: when there was a request for a version last.
        """
        ranks = {name: version.rank for name, version in versions.items()}
        seen = self._seen(replicas)
        wanted = self._keeping.wanted(ranks, seen, time.monotonic(), waits_s, called)
        self._take_seats(wanted, places, seen, versions)
        self._plan.places, self._plan.versions = places, dict(versions)
        ready = [one for one in replicas if one.known.state is ReplicaState.READY] if places else []
        self._follow({(one.place.address, one.known.restarts): one for one in ready})
        self._note_missing()
        for loop, _ in self._loops.values():
            loop.wake()

    def outcome(self, name: str) -> Outcome:
        """Of one that was wanted with the last turn: whether all ready replicas have it, and have answered by it.

        One that waits for a place has not failed, but where none can come; a staged one that has lost its own has.
        """
        version = self._plan.versions[name]
        if version.rank is not Rank.AWAITED and name not in self._seated:
            return Fails(Reason.NO_PLACE, self._no_place())
        if self._seating.is_full_for_good(name, self._plan.places - self._others):
            return Fails(Reason.NO_PLACE, self._no_place())
        fails = self._newcomers.failure_of(version)
        if fails and fails.reason not in PASSING:
            return fails
        return verdict({address: loop.outcome(name) for (address, _), (loop, _) in self._loops.items()})

    def has_live(self, replica: Replica) -> bool:
        """Whether the replica has the live versions that have a place, as far as it can."""
        served, address = replica.known.served, replica.place.address
        if not self._live or (served and self._live <= served.adapters):
            return True
        return any(loop.is_caught_up for (known, _), (loop, _) in self._loops.items() if known == address)

    def unserved(self) -> dict[str, str]:
        """Live versions that no ready replica has had for `UNSERVED_AFTER_S`, and why; none that come when they are
        asked for.
        """
        before = time.monotonic() - UNSERVED_AFTER_S
        return {name: self._why_unserved(name) for name, since in self._missing.items() if since <= before}

    def loaded(self) -> frozenset[str]:
        """All that some replica has or may be given just now; one that does not answer may still have what it had."""
        given = {*self._seated, *(loop.loading for loop, _ in self._loops.values() if loop.loading)}
        return frozenset(given).union(*self._had.values())

    def end(self) -> None:
        """Ends the loops; adapters stay where they are."""
        self._follow({})
        self._newcomers.end()

    def _note_missing(self) -> None:
        has_places = self._plan.places > self._others
        wanted = self._live if has_places else self._live | self.hidden
        there = {one.name for loop, _ in self._loops.values() for one in loop.residents}
        now = time.monotonic()
        self._missing = {name: self._missing.get(name, now) for name in wanted - there}

    def _why_unserved(self, name: str) -> str:
        if name in self.hidden:
            return self._no_place()
        if not self._loops:
            return f'no replica of engine "{self._engine}" is ready'
        troubles = (loop.trouble(name) for loop, _ in self._loops.values())
        return next(filter(None, troubles), "it is being loaded")

    def _take_seats(
        self, wanted: tuple[Wanted, ...], places: int, seen: Seen, versions: Mapping[str, Version]
    ) -> None:
        self._others = max(
            (sum(not one.ours for one in loop.residents) for loop, _ in self._loops.values()), default=0
        )
        verified = self._newcomers.verified
        seats = self._seating.take(wanted, places - self._others, seen, time.monotonic(), verified)
        self._newcomers.take(seats.unverified, versions)
        self._newcomers.settle(seats.seated)
        for name, why in seats.gone.items():
            metrics.ADAPTER_EVICTIONS.labels(self._engine, why).inc()
            log.info("adapter makes room", engine=self._engine, adapter=name, why=why)
        metrics.ADAPTER_DEMANDS.labels(self._engine).inc(len(seats.came))
        seated, live = set(seats.seated), {one.name for one in wanted if one.rank is Rank.LIVE}
        self._seated, self._live, self.hidden = seated, live & seated, frozenset(live - seated)
        self._plan.wanted = tuple(
            replace(one, pinned=one.pinned or one.name in seats.leaving)
            for one in wanted
            if one.name in seated or one.name in seen.resident
        )
        self._plan.seated = seats.seated

    def _seen(self, replicas: Iterable[Replica]) -> Seen:
        by_address = {one.place.address: self._residents(one) for one in replicas if one.known.is_up}
        fresh = {address: frozenset(one.name for one in some) for address, some in by_address.items()}
        before = {one.place.address: self._had.get(one.place.address, frozenset()) for one in replicas}
        self._had = {**before, **fresh}
        residents = [one for some in by_address.values() for one in some]
        ours = [one for one in residents if one.ours]
        busy = frozenset(one.name for one in ours if one.busy)
        return Seen(time.monotonic() - GLANCE_S, frozenset(one.name for one in ours), busy)

    def _residents(self, replica: Replica) -> tuple[Resident, ...]:
        known = replica.known
        names = known.served.adapters if known.served else frozenset()
        busy = frozenset() if known.is_idle else known.measured.running_adapters
        return tuple(Resident(name, name in busy, self._is_ours(name)) for name in sorted(names))

    def _follow(self, ready: Mapping[_Key, Replica]) -> None:
        for key in self._loops.keys() - ready.keys():
            self._loops.pop(key)[1].cancel()
        for key in ready.keys() - self._loops.keys():
            self._loops[key] = self._begin(ready[key])

    def _begin(self, replica: Replica) -> tuple[ReplicaLoop, asyncio.Task[None]]:
        asker = Asker(replica.place)
        loop = ReplicaLoop(
            engine=self._engine,
            address=replica.place.address,
            lora=Lora(asker, replica.note, self._is_ours),
            files=self._files,
            plan=self._plan,
            glance=lambda: self._residents(replica),
        )
        return loop, asyncio.create_task(_run(loop, asker))

    def _no_place(self) -> str:
        taken = f", {self._others} taken by other adapters" if self._others else ""
        return f'engine "{self._engine}" has {self._plan.places} places for adapters (max_loras){taken}: none is left'


async def _run(loop: ReplicaLoop, asker: Asker) -> None:
    try:
        await loop.run()
    finally:
        await asker.close()
