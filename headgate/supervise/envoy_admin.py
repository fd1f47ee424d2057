"""Envoy's admin interface on its Unix socket: the few calls that supervision needs.

Measured on Envoy 1.40: `/drain_listeners` closes the listening sockets (new connections are refused within
50 ms), running streams go on, open connections get one more answer with `connection: close`. With
`?graceful` the sockets stay open for the whole of --drain-time-s, so it is not used. SIGTERM cuts what
still runs and logs it (flag DC).
"""

import asyncio
from pathlib import Path

import aiohttp
import msgspec

TIMEOUT = aiohttp.ClientTimeout(total=1)
ACTIVE = r"^http\.edge\.downstream_rq_active$"


class _Stat(msgspec.Struct):
    name: str
    value: int


class _Stats(msgspec.Struct):
    stats: list[_Stat]


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

    async def active_requests(self) -> int:
        """Requests of clients that are being answered now."""
        stats = await self._call("GET", "/stats", {"filter": ACTIVE, "format": "json"})
        return _first_value(stats)

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
            active = await admin.active_requests()
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


def _first_value(stats: str) -> int:
    found = msgspec.json.decode(stats, type=_Stats).stats
    return found[0].value if found else 0  # Envoy leaves it out before the first request
