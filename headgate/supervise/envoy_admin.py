"""Envoy's admin interface on its Unix socket: the few calls that supervision needs.

Measured on Envoy 1.40: `/drain_listeners` closes the listening sockets (new connections are refused within
50 ms), running streams go on, open connections get one more answer with `connection: close`. With
`?graceful` the sockets stay open for the whole of --drain-time-s, so it is not used. SIGTERM cuts what
still runs and logs it (flag DC).
"""

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

TIMEOUT = aiohttp.ClientTimeout(total=1)
EDGE = r"^http\.edge\.downstream_(rq_active|rq_total|cx_active)$"
CLUSTERS_VERSION = "cluster_manager.cds.version_text"

# Clients drop connections that they have not used for some seconds (httpx: 5 s, aiohttp: 15 s); what is still open
# after a minute without a request is closed when its Envoy ends.
UNUSED_S = 60.0
VERSIONS = r"^(cluster_manager\.cds|http\.[^.]+\.rds\.edge)\.version_text$"


class _Stat(msgspec.Struct):
    name: str
    value: int


class _Stats(msgspec.Struct):
    stats: list[_Stat]


class _AnyStat(msgspec.Struct):
    name: str = ""
    value: float | str = ""


class _AnyStats(msgspec.Struct):
    stats: list[_AnyStat]


class _Named(msgspec.Struct):
    name: str


class _Warming(msgspec.Struct):
    cluster: _Named


class _Dump(msgspec.Struct):
    configs: list[_Warming] = []


class _Host(msgspec.Struct):
    address: dict[str, Any]
    health_status: dict[str, Any]  # `eds_health_status`, and a flag for every reason to leave it out
    stats: list[dict[str, Any]] = []

    @property
    def healthy(self) -> bool:
        """Whether requests go there."""
        return set(self.health_status) <= {"eds_health_status"}

    @property
    def active(self) -> int:
        """Requests that it has now."""
        return sum(int(stat.get("value", 0)) for stat in self.stats if stat.get("name") == "rq_active")

    def is_at(self, host: str, port: int) -> bool:
        """Whether this is its address."""
        found = self.address.get("socket_address", {})
        return (found.get("address"), found.get("port_value")) == (host, port)


class _Cluster(msgspec.Struct):
    name: str
    host_statuses: list[_Host] = []


class _Clusters(msgspec.Struct):
    cluster_statuses: list[_Cluster] = []


class Use(NamedTuple):
    """Connections and requests of clients, now, and requests since it started."""

    connections: int
    active: int
    total: int


class Endpoint(NamedTuple):
    """Whether requests go to an address, and how many it has now."""

    healthy: bool
    active: int


class EnvoyAdmin:
    """A client of one admin socket; a call that fails raises aiohttp.ClientError, OSError or TimeoutError."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    async def state(self) -> str:
        """`LIVE`, `DRAINING`, `PRE_INITIALIZING` or `INITIALIZING`."""
        return (await self._call("GET", "/ready")).strip()

    async def drain(self) -> None:
        """Take no new connection, and close the open ones after their next answer."""
        await self._call("POST", "/healthcheck/fail")
        await self._call("POST", "/drain_listeners")

    async def versions(self) -> tuple[str, str]:
        """Of the clusters and of the routes that it has read last."""
        text = await self._call("GET", "/stats", {"filter": VERSIONS, "format": "json"})
        found = {stat.name: str(stat.value) for stat in msgspec.json.decode(text, type=_AnyStats).stats}
        return found.pop(CLUSTERS_VERSION, ""), next(iter(found.values()), "")

    async def warming(self) -> set[str]:
        """Names of new clusters that do not take requests yet: addresses are looked up, or health is checked."""
        query = {"resource": "dynamic_warming_clusters", "mask": "cluster.name"}
        dump = msgspec.json.decode(await self._call("GET", "/config_dump", query), type=_Dump)
        return {entry.cluster.name for entry in dump.configs}

    async def reopen_logs(self) -> None:
        """Close the spool file and open the one of its name, within the flush interval."""
        await self._call("POST", "/reopen_logs")

    async def use(self) -> Use:
        """What clients are doing with it."""
        text = await self._call("GET", "/stats", {"filter": EDGE, "format": "json"})
        stats = msgspec.json.decode(text, type=_Stats).stats
        # Envoy leaves a figure out until it is one.
        found = {stat.name.removeprefix("http.edge.downstream_"): stat.value for stat in stats}
        return Use(found.get("cx_active", 0), found.get("rq_active", 0), found.get("rq_total", 0))

    async def is_healthy(self, cluster: str, socket: str) -> bool:
        """Whether it would send a call to the endpoint at this Unix socket."""
        text = await self._call("GET", "/clusters", {"filter": f"^{cluster}$", "format": "json"})
        clusters = msgspec.json.decode(text, type=_Clusters).cluster_statuses
        hosts = [host for found in clusters if found.name == cluster for host in found.host_statuses]
        health = [host.healthy for host in hosts if host.address.get("pipe", {}).get("path") == socket]
        return bool(health) and all(health)

    async def endpoint(self, host: str, port: int) -> Endpoint:
        """An address, in all clusters that have it: a provider that was edited is in two for a while."""
        text = await self._call("GET", "/clusters", {"format": "json"})
        clusters = msgspec.json.decode(text, type=_Clusters).cluster_statuses
        hosts = [one for cluster in clusters for one in cluster.host_statuses if one.is_at(host, port)]
        return Endpoint(bool(hosts) and all(one.healthy for one in hosts), sum(one.active for one in hosts))

    async def stats(self, pattern: str) -> list[tuple[str, float]]:
        """Counters and gauges whose name matches the regular expression; also those that are still 0."""
        text = await self._call("GET", "/stats", {"filter": pattern, "format": "json"})
        found = msgspec.json.decode(text, type=_AnyStats).stats
        return [(stat.name, stat.value) for stat in found if isinstance(stat.value, float)]

    async def _call(self, method: str, path: str, query: dict[str, str] | None = None) -> str:
        # One connection per call: a restarted Envoy has a new socket under the same name.
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.socket)), timeout=TIMEOUT) as session,
            session.request(method, f"http://envoy{path}", params=query) as response,
        ):
            return await response.text()


async def until_idle(admin: EnvoyAdmin, within_s: float, hurry: asyncio.Event) -> int | None:
    """Wait until no request is active, twice in a row: one may be on its way through an open connection.

    Returns the number still active when `within_s` was over or `hurry` was set, None when Envoy can't be
    asked.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    idle_before = False
    while True:
        try:
            active = (await admin.use()).active
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        if (active == 0 and idle_before) or hurry.is_set() or loop.time() >= deadline:
            return active
        idle_before = active == 0
        await _pause(hurry, min(0.1, deadline - loop.time()))


async def _pause(hurry: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(hurry.wait(), max(seconds, 0.001))
    except TimeoutError:
        return


async def until_unused(admin: EnvoyAdmin, within_s: float, stops: asyncio.Event) -> None:
    """Wait until it has no connection left, or only idle ones that nobody has used for `UNUSED_S`.

    An open connection gets `connection: close` or GOAWAY with its next answer: closing it earlier would fail a
    request that is on its way. Returns at the latest after `within_s`, when `stops` is set or Envoy can't be asked.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    last, since = Use(0, 0, -1), loop.time()
    while not stops.is_set() and loop.time() < deadline:
        try:
            use = await admin.use()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return
        if use.active or use.total != last.total:
            last, since = use, loop.time()
        if use.connections == 0 or loop.time() - since > UNUSED_S:
            return
        await _pause(stops, 0.25)
