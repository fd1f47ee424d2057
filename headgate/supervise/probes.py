"""Whether a part can work, asked in the way its users would: one probe per kind of part.

A probe answers within `TIMEOUT_S`: None for ready, otherwise what is missing. It never raises for a part
that is down.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from headgate.counters.address import EMBEDDED, CountersAddress, parsed
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.part import Probe

TIMEOUT_S = 1.0
SILENCE = f"no answer within {TIMEOUT_S:g} s"

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
    """The counters: PING, on the embedded server's socket unless there is a `url` (which never shows).

    Where that names several nodes of a cluster, one that answers is enough.
    """
    addresses = (parsed(url) if url else EMBEDDED).each()

    async def probe() -> str | None:
        pings = [asyncio.create_task(_ping(address)) for address in addresses]
        try:
            for ping in asyncio.as_completed(pings):
                with contextlib.suppress(OSError, RedisError):
                    await ping
                    return None
        finally:
            for one in pings:
                one.cancel()
            await asyncio.gather(*pings, return_exceptions=True)
        pings[0].result()  # raises what was wrong
        return None

    return _guarded(probe)


async def _ping(address: CountersAddress) -> None:
    async with Redis(
        host=address.host,
        port=address.port,
        unix_socket_path=address.path,
        ssl=address.tls,
        username=address.user,
        password=address.password,
        db=address.database,
        socket_timeout=TIMEOUT_S,
    ) as client:
        await client.execute_command("PING")  # type: ignore[no-untyped-call]


def _guarded(ask: Callable[[], Awaitable[str | None]]) -> Probe:
    async def probe() -> str | None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await ask()
        except (TimeoutError, RedisTimeoutError):
            return SILENCE
        except (OSError, RedisError, aiohttp.ClientError) as error:
            return _REASONS.get(type(error), type(error).__name__)

    return probe


# The class alone: the text of a connection error may hold an address with a password.
_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "no socket yet",
    ConnectionRefusedError: "refuses connections",
    aiohttp.ClientConnectorError: "refuses connections",
}
