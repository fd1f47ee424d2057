"""What makes adapters come and go in the part `engines`: the directory, the tables and the watch, put together.

While nobody knows what is wanted (there is no directory yet, or it can't be read) nothing is changed anywhere.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import structlog

from engines.loading.engine_loop import EngineLoop
from engines.loading.files import AdapterFiles
from engines.loading.next_step import Rank
from engines.loading.promotion import Fails, Fits, Outcome
from engines.loading.telling import ReportTeller
from engines.loading.wishes import Wishes
from engines.watch.replica import Replica
from headgate.adapter_reports import LONGEST_REASON, MOST_REPORTS, AdapterReport
from headgate.adapters.layout import of_engine_name
from headgate.engine_rows import EngineRow
from headgate.snapshot import Snapshot
from headgate.tenants import Followed

LOOK_EVERY_S = 0.25
PAUSE_S = 0.1  # every look at a replica may be news, and there may be thousands of adapters to go through
SWEEP_EVERY_S = 60.0
SWEEP_SOON_S = 5.0  # which is how long files stay that nobody has loaded any more

log = structlog.get_logger()


class Loader:
    """`turn` is one round; `run` goes round. `files_of` says where an engine's adapters lie."""

    def __init__(
        self,
        following: Followed,
        snapshot: Callable[[], Snapshot | None],
        replicas: Callable[[], Sequence[Replica]],
        files_of: Callable[[EngineRow], AdapterFiles],
        teller: ReportTeller,
        called: Callable[[str], Mapping[str, float]],
    ) -> None:
        """`called`: when there was a request for each adapter last, on an engine by its cluster."""
        self._following = following
        self._snapshot = snapshot
        self._replicas = replicas
        self._files_of = files_of
        self._teller = teller
        self._called = called
        self._registered: set[str] = set()  # names on engines, also of what has been deleted since
        self._registered_of = 0
        self._news = asyncio.Event()
        self._loops: dict[str, tuple[AdapterFiles, EngineLoop]] = {}
        self._wishes = Wishes(following)

    def news(self) -> None:
        """Something may be new."""
        self._news.set()

    def has_adapters(self, replica: Replica) -> bool:
        """Whether it has the live ones of its engine, as far as it can."""
        known = self._loops.get(replica.engine)
        return known[1].has_live(replica) if known else True

    def hidden(self, engine: str) -> frozenset[str]:
        """Live versions that requests are not to be led to there any more."""
        known = self._loops.get(engine)
        return known[1].hidden if known else frozenset()

    async def run(self) -> None:
        """Until cancelled. Adapters stay where they are then."""
        others = [asyncio.create_task(self._teller.run()), asyncio.create_task(self._sweep())]
        try:
            while True:
                self._news.clear()
                try:
                    self.turn()
                except Exception:  # a bug of ours must not end the watch of engines
                    log.exception("adapters can't be looked after")
                await asyncio.sleep(PAUSE_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._news.wait()
        finally:
            for task in others:
                task.cancel()
            for engine in list(self._loops):
                self._end(engine)

    def turn(self) -> None:
        """One round: what is wanted where, and what has come of it."""
        snapshot = self._snapshot()
        if snapshot is None or not self._following.directory.version:
            return
        self._wishes.read(snapshot)
        replicas = self._replicas()
        for engine in self._loops.keys() - snapshot.engines.keys():
            self._end(engine)
        for engine, row in snapshot.engines.items():
            its = [one for one in replicas if one.engine == engine]
            wanted, called = self._wishes.by_engine.get(engine, {}), self._called(row.cluster)
            self._loop_of(engine, row).turn(row.max_loras, wanted, its, row.longest_wait_s, called)
        serves = msgspec.structs.replace(self._wishes.serves, unserved=dict(self._unserved()))
        self._teller.take(serves, dict(self._reports()))

    def _loop_of(self, engine: str, row: EngineRow) -> EngineLoop:
        files = self._files_of(row)
        if engine in self._loops and self._loops[engine][0] is not files:
            self._end(engine)
        if engine not in self._loops:
            is_ours = _is_named_so if row.managed else self._is_registered
            self._loops[engine] = files, EngineLoop(engine, files, is_ours)
        return self._loops[engine][1]

    def _is_registered(self, name: str) -> bool:
        """On engines that others use, too: names of that form may be another gateway's."""
        directory = self._following.directory
        if directory.version != self._registered_of:
            self._registered_of = directory.version
            self._registered.update(one.engine_name for some in directory.all_adapters() for one in some.versions)
        return name in self._registered

    def _end(self, engine: str) -> None:
        self._loops.pop(engine)[1].end()

    async def _sweep(self) -> None:
        """Now and then, and soon when somebody wants or has something no more: who is deleted waits for that."""
        swept: object = None
        at = time.monotonic()
        while True:
            await asyncio.sleep(SWEEP_SOON_S)
            if not self._following.directory.version:
                continue
            versions = [one for some in self._following.directory.all_adapters() for one in some.versions]
            known = {one.engine_name for one in versions if one.state != "retired"}
            loaded = self._loaded()
            if (known, loaded) != swept or time.monotonic() - at > SWEEP_EVERY_S:
                swept, at = (known, loaded), time.monotonic()
                for files, names in loaded.items():
                    await files.sweep(known, names)

    def _loaded(self) -> dict[AdapterFiles, frozenset[str]]:
        found: dict[AdapterFiles, frozenset[str]] = {}
        for files, loop in self._loops.values():
            found[files] = found.get(files, frozenset()) | loop.loaded()
        return found

    def _reports(self) -> Iterator[tuple[AdapterReport, int]]:
        """What is to be told: of awaited versions what came of them, of staged ones if they can't be kept."""
        versions = {name: version for some in self._wishes.by_engine.values() for name, version in some.items()}
        for name, version in versions.items():
            if version.rank is Rank.LIVE:
                continue
            found, entry = self._outcome(name), version.entry
            place = entry.tenant, entry.name, entry.number, entry.sha256
            if isinstance(found, Fails):
                yield AdapterReport(*place, found.text[:LONGEST_REASON]), entry.version
            elif isinstance(found, Fits) and version.rank is Rank.AWAITED:
                yield AdapterReport(*place), entry.version

    def _unserved(self) -> Iterator[tuple[str, str]]:
        """Live versions that none of the engines has that are to have them."""
        wanted = self._wishes.by_engine
        missing = {engine: self._loops[engine][1].unserved() for engine in wanted}
        first = {name: why for some in missing.values() for name, why in some.items()}
        for name in sorted(first)[:MOST_REPORTS]:
            engines = [engine for engine, some in wanted.items() if name in some]
            found = next((wanted[engine][name].entry.manifest_sha256 for engine in engines), None)
            if found and all(name in missing[engine] for engine in engines):
                yield found, first[name][:LONGEST_REASON]

    def _outcome(self, name: str) -> Outcome:
        """Of all engines that are to have it."""
        found = [
            self._loops[engine][1].outcome(name) for engine, some in self._wishes.by_engine.items() if name in some
        ]
        failed = next((one for one in found if isinstance(one, Fails)), None)
        return failed or (Fits() if found and all(found) else None)


def _is_named_so(name: str) -> bool:
    """On engines that nobody else loads adapters on."""
    return of_engine_name(name) is not None
