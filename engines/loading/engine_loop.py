"""One engine: a loop for each of its replicas that is ready, one plan for all of them, and what has come of it."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping

from engines.loading.keeping import Keeping, Seen
from engines.loading.lora import Lora
from engines.loading.next_step import Rank, Resident, seats
from engines.loading.promotion import Fails, Outcome, verdict
from engines.loading.reasons import Reason
from engines.loading.replica_loop import Files, Plan, ReplicaLoop
from engines.loading.versions import Version
from engines.watch.asking import Asker
from engines.watch.replica import Replica
from headgate.adapters.layout import of_engine_name
from headgate.feed.replicas import ReplicaState

GLANCE_S = 4.0  # no older is what the watch has seen of a replica that is up: a look a second, 2 s at most each

_Key = tuple[str, int]  # a replica's address, and how often it was seen to start anew


class EngineLoop:
    """Call `turn` now and then, `end` at the end. `is_managed`: nobody else loads adapters on it."""

    def __init__(self, engine: str, files: Files, *, is_managed: bool) -> None:
        self._engine = engine
        self._files = files
        self._is_managed = is_managed
        self._plan = Plan(places=0)
        self._keeping = Keeping()
        self._loops: dict[_Key, tuple[ReplicaLoop, asyncio.Task[None]]] = {}
        self._wanted_once: set[str] = set()
        self._had: dict[str, frozenset[str]] = {}  # by address, what they had when they were up last

    def turn(
        self, places: int, versions: Mapping[str, Version], replicas: Collection[Replica], waits_s: float = 0.0
    ) -> None:
        """Takes note of what is wanted and of who is there. `waits_s`: how long requests may wait for the engine."""
        self._wanted_once.update(versions)
        self._plan.places, self._plan.versions = places, dict(versions)
        ranks = {name: version.rank for name, version in versions.items()}
        self._plan.wanted = self._keeping.wanted(ranks, self._seen(replicas), time.monotonic(), waits_s)
        ready = [one for one in replicas if one.known.state is ReplicaState.READY] if places else []
        self._follow({(one.place.address, one.known.restarts): one for one in ready})
        for loop, _ in self._loops.values():
            loop.wake()

    def outcome(self, name: str) -> Outcome:
        """Whether all replicas that are ready have a version, and have answered by it."""
        others = max((sum(not one.ours for one in loop.residents) for loop in self._running()), default=0)
        if name not in seats(self._plan.wanted, self._plan.places - others):
            return Fails(Reason.NO_PLACE, self._no_place(others))
        return verdict({address: loop.outcomes.get(name) for (address, _), (loop, _) in self._loops.items()})

    def has_live(self, replica: Replica) -> bool:
        """Whether the replica has the live versions, as far as it can."""
        served, address = replica.known.served, replica.place.address
        live = {one.name for one in self._plan.wanted if one.rank is Rank.LIVE} if self._plan.places else set()
        if not live or (served and live <= served.adapters):
            return True
        return any(loop.is_caught_up for (known, _), (loop, _) in self._loops.items() if known == address)

    def loaded(self) -> frozenset[str]:
        """All that some replica has or may be given just now; one that does not answer may still have what it had."""
        return frozenset().union(*self._had.values(), (one.name for one in self._plan.wanted))

    def end(self) -> None:
        """Ends the loops; adapters stay where they are."""
        self._follow({})

    def _running(self) -> list[ReplicaLoop]:
        return [loop for loop, _ in self._loops.values()]

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

    def _is_ours(self, name: str) -> bool:
        """On engines that others use too: what was wanted here since this process began."""
        return of_engine_name(name) is not None if self._is_managed else name in self._wanted_once

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

    def _no_place(self, others: int) -> str:
        taken = f", {others} taken by other adapters" if others else ""
        return f'engine "{self._engine}" has {self._plan.places} places for adapters (max_loras){taken}: none is left'


async def _run(loop: ReplicaLoop, asker: Asker) -> None:
    try:
        await loop.run()
    finally:
        await asker.close()
