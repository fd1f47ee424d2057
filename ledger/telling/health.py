"""Watches how the gateway's Envoy sees its providers, and tells the publisher what is not good.

Asks the newest Envoy that serves, over its Unix socket. While none can be asked, what was known counts for a moment,
and then nothing is known to be bad.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp
import msgspec
import structlog

from headgate.contract import ENVOY_ADMIN_SOCKET
from headgate.feed.states import FORGET_S, State
from headgate.supervise.envoy_admin import EnvoyAdmin
from ledger.spool import epochs
from ledger.telling import cluster_health, cluster_load

LOOK_EVERY_S = 0.4
ENVOYS_EVERY_S = 1.0
DETAILS_EVERY_S = 1.0
ALL_EVERY_S = 5.0
CLUSTERS_A_SECOND = 40  # that may be looked at in detail without need: 1.4 ms of Envoy's time

_TIMEOUT = aiohttp.ClientTimeout(total=1)

log = structlog.get_logger()


class _Eye:
    """One Envoy's admin interface, over a connection that stays open."""

    def __init__(self, admin: Path) -> None:
        self.admin = admin
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(admin)), timeout=_TIMEOUT)
        self._troubled: frozenset[str] = frozenset()
        self._bad: dict[str, State] = {}
        self._next_details = self._next_all = 0.0

    async def look(self) -> dict[str, State]:
        """The clusters that are not good."""
        now = time.monotonic()
        if now >= self._next_all:  # which says all that gauges would
            states = await self._states_of(frozenset())
            pause_s = len(states) / CLUSTERS_A_SECOND
            self._next_all = now + min(max(pause_s, DETAILS_EVERY_S), ALL_EVERY_S)
            self._take(states, {}, now)
            return self._bad
        troubled = cluster_health.troubled(await self._get("/stats", cluster_health.GAUGES))
        if troubled != self._troubled or (troubled and now >= self._next_details):
            changed = troubled | self._troubled
            others = {name: bad for name, bad in self._bad.items() if cluster_health.provider_of(name) not in changed}
            self._take(await self._states_of(troubled) if troubled else {}, others, now)
        self._troubled = troubled
        return self._bad

    async def load(self, clusters: Mapping[str, str]) -> dict[str, int]:
        """Attempts under way at these providers, by cluster."""
        return cluster_load.load_of(await self._get("/stats", cluster_load.QUERY), clusters)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._session.close()

    def _take(self, states: Mapping[str, State], others: Mapping[str, State], now: float) -> None:
        self._bad = {**{name: state for name, state in states.items() if state is not State.OK}, **others}
        self._next_details = now + DETAILS_EVERY_S

    async def _states_of(self, providers: frozenset[str]) -> dict[str, State]:
        query = {"filter": cluster_health.clusters_filter(providers), "format": "json"}
        return cluster_health.states_of(await self._get("/clusters", query))

    async def _get(self, path: str, query: Mapping[str, str]) -> bytes:
        async with self._session.get(f"http://envoy{path}", params=query) as response:
            response.raise_for_status()
            return await response.read()


class HealthWatcher:
    """`told` gets the clusters that are not good, after every look.

    `told_load` gets what is under way at those that `clusters` names, by provider; None while nobody can say.
    """

    def __init__(
        self,
        told: Callable[[Mapping[str, State]], None],
        clusters: Callable[[], Mapping[str, str]] = dict,
        told_load: Callable[[Mapping[str, int] | None], None] = lambda _: None,
    ) -> None:
        self._told = told
        self._clusters = clusters
        self._told_load = told_load
        self._eye: _Eye | None = None
        self._looked_for = -ENVOYS_EVERY_S
        self._known = -FORGET_S  # when something was known last

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                await self._turn()
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await self._turn_to(None)

    async def _turn(self) -> None:
        now = time.monotonic()
        try:
            if now - self._looked_for >= ENVOYS_EVERY_S or self._eye is None:
                self._looked_for = now
                await self._find()
            if self._eye:
                self._told(await self._eye.look())
                self._known = now
                clusters = self._clusters()
                self._told_load(await self._eye.load(clusters) if clusters else None)
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError):
            await self._turn_to(None)
        except Exception:  # a bug of ours must not leave the plans without health for good
            log.exception("health of targets can't be read")
        if now - self._known >= FORGET_S:
            self._told({})
            self._told_load(None)

    async def _find(self) -> None:
        """Turn to the newest Envoy that serves; stay with the present one while no newer one does."""
        living = epochs.living()
        admins = [ENVOY_ADMIN_SOCKET] if living is None else [living[epoch].admin for epoch in sorted(living)[::-1]]
        for admin in admins:
            if self._eye and admin == self._eye.admin:
                return
            if await _serves(admin):
                await self._turn_to(admin)
                return
        if living is not None and self._eye and self._eye.admin not in admins:
            await self._turn_to(None)

    async def _turn_to(self, admin: Path | None) -> None:
        if self._eye:
            await self._eye.close()
        self._eye = _Eye(admin) if admin else None


async def _serves(admin: Path) -> bool:
    try:
        return await EnvoyAdmin(admin).state() == "LIVE"
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
