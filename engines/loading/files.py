"""Adapters' files for engines: fetched once for all replicas of this host, verified before each load.

What is here stays here while the store is away. What the directory has no more, and no engine has loaded, goes.
"""

import threading
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath

import structlog

from engines.loading.lora import CannotServe
from engines.loading.reasons import Reason
from engines.loading.versions import Version
from headgate.adapters.cache import AdapterCache, Cached
from headgate.adapters.failures import AdapterError, KeyAway, NoSuchVersion, Untrusted
from headgate.adapters.layout import AdapterId
from headgate.adapters.opening import AdapterAccess
from headgate.objects.failures import ObjectsError
from headgate.objects.threads import StoreThreads

MOST_BYTES = 20 * 2**30  # of what no engine has loaded, the least recently used goes above that
_AT_ONCE = 4  # fetched, and as many verified

log = structlog.get_logger()


class AdapterFiles:
    """A cache below `root`. Engines see it as `seen_as`, where that is another path."""

    def __init__(self, root: Path, access: Callable[[], AdapterAccess], seen_as: str | None = None) -> None:
        """`access` is asked for with each fetch."""
        self._root = root
        self._access = access
        self._seen_as = PurePosixPath(seen_as) if seen_as else None
        # A store that hangs holds up neither what is here already nor what else is done in threads.
        self._here = StoreThreads(_AT_ONCE, "adapters")
        self._fetching = StoreThreads(_AT_ONCE, "adapters from the store")
        self._opening = threading.Lock()
        self._cache: AdapterCache | None = None
        self._problem: str | None = None

    async def path_for(self, version: Version) -> str:
        """The folder as the engine sees it. Raises CannotServe."""
        try:
            cached = await self._here.run(lambda: self._find(version))
            if cached is None:
                cached = await self._fetching.run(lambda: self._fetch(version))
            _check(cached, version)
        except NoSuchVersion as error:
            raise CannotServe(Reason.MISSING, str(error)) from None
        except KeyAway as error:
            self._note(str(error))
            raise CannotServe(Reason.KEY, str(error)) from None
        except AdapterError as error:
            raise CannotServe(Reason.UNTRUSTED, str(error)) from None
        except (ObjectsError, OSError) as error:
            text = str(error) if isinstance(error, ObjectsError) else f"the cache of adapters: {error.strerror}"
            self._note(text)
            raise CannotServe(Reason.STORE, text) from None
        self._note(None)
        return str(self._seen_as / cached.folder.name if self._seen_as else cached.folder)

    async def sweep(self, known: Collection[str], loaded: Collection[str]) -> None:
        """Removes what is neither `known` nor `loaded`, by names on engines, and what is too much."""
        try:
            await self._here.run(lambda: self._sweep(known, loaded))
        except OSError as error:
            log.warning("the cache of adapters can't be tidied", reason=error.strerror)

    def _find(self, version: Version) -> Cached | None:
        adapter, digest = _named(version)
        return self._opened().find(adapter, digest, self._access().trusted())

    def _fetch(self, version: Version) -> Cached:
        (adapter, digest), access = _named(version), self._access()
        return self._opened().fetch(access.store(), adapter, digest, access.trusted())

    def _opened(self) -> AdapterCache:
        with self._opening:
            if self._cache is None:
                self._cache = AdapterCache(self._root)
            return self._cache

    def _sweep(self, known: Collection[str], loaded: Collection[str]) -> None:
        cache = self._opened()
        names = {digest: manifest.engine_name for digest, manifest in cache.entries().items()}
        for digest, name in names.items():
            if name not in known and name not in loaded:
                cache.remove(digest)
        cache.evict({digest for digest, name in names.items() if name in loaded}, MOST_BYTES)

    def _note(self, problem: str | None) -> None:
        """One line when it goes wrong, one when it goes well again."""
        if problem and not self._problem:
            log.warning("adapters can't be fetched: what is loaded stays, it is tried again", reason=problem)
        elif self._problem and not problem:
            log.info("adapters are fetched again")
        self._problem = problem


def _named(version: Version) -> tuple[AdapterId, str]:
    entry = version.entry
    adapter = AdapterId(entry.tenant, entry.name, entry.number)
    if entry.manifest_sha256 is None:
        raise NoSuchVersion(f"{adapter} was not published to its end")
    return adapter, entry.manifest_sha256


def _check(cached: Cached, version: Version) -> None:
    if cached.manifest.engine_name != version.name:  # then its files would come under a name of others
        raise Untrusted(f"{cached.manifest.id}: its weights are not those that were registered")
