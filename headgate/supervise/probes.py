"""Whether a part can work, asked in the way its users would: one probe per kind of part.

A probe answers within `TIMEOUT_S`: None for ready, otherwise what is missing. It never raises for a part
that is down.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from redis.asyncio import Redis
from redis.exceptions import RedisError

from headgate import contract
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.part import Probe

TIMEOUT_S = 1.0

# RFC 9113, sections 3.4 and 4.1: the client's preface with empty settings; the server answers with a frame.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME_HEAD_BYTES = 9


def worker_answers(path: Path) -> Probe:
    """A filter worker: it answers an HTTP/2 preface. Connecting alone, a stopped process would seem well."""

    async def probe() -> str | None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            writer.write(_HTTP2_PREFACE)
            await reader.readexactly(_FRAME_HEAD_BYTES)
        except asyncio.IncompleteReadError:
            return "closes connections"
        finally:
            writer.close()
        return None

    return _guarded(probe)


def says_a_line(path: Path) -> Probe:
    """The ledger: it says how far it is to whoever connects."""

    async def probe() -> str | None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            return None if await reader.readline() else "closes connections"
        finally:
            writer.close()

    return _guarded(probe)


def envoy_live(admin: EnvoyAdmin) -> Probe:
    """Envoy: it says LIVE, so its clusters and routes are loaded and it accepts."""

    async def probe() -> str | None:
        state = await admin.state()
        return None if state == "LIVE" else state.lower().replace("_", " ")

    return _guarded(probe)


def http_ok(url: str) -> Probe:
    """An engine: GET answers 200."""

    async def probe() -> str | None:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return None if response.status == 200 else f"answers {response.status}"

    return _guarded(probe)


def counters_ping(url: str | None) -> Probe:
    """The counters: PING, on the embedded server's socket unless there is a `url` (which never shows)."""

    async def probe() -> str | None:
        async with _counters(url) as client:
            await client.execute_command("PING")  # type: ignore[no-untyped-call]
        return None

    return _guarded(probe)


def _counters(url: str | None) -> Redis:
    if url is None:
        return Redis(unix_socket_path=str(contract.COUNTERS_SOCKET), socket_timeout=TIMEOUT_S)
    return Redis.from_url(url.replace("valkey://", "redis://", 1), socket_timeout=TIMEOUT_S)


def _guarded(ask: Callable[[], Awaitable[str | None]]) -> Probe:
    async def probe() -> str | None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await ask()
        except TimeoutError:
            return f"no answer within {TIMEOUT_S:g} s"
        except (OSError, RedisError, aiohttp.ClientError) as error:
            return _REASONS.get(type(error), type(error).__name__)

    return probe


# The class alone: the text of a connection error may hold an address with a password.
_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "no socket yet",
    ConnectionRefusedError: "refuses connections",
    aiohttp.ClientConnectorError: "refuses connections",
}
