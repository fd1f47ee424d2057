"""Whether a part can work, asked in the way its users would: one probe per kind of part.

A probe answers within `TIMEOUT_S`: None for ready, otherwise what is missing. It never raises for a part
that is down.
"""

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import hiredis
import msgspec

from headgate.contract import FILTERS_CLUSTER
from headgate.counters.address import EMBEDDED, CountersAddress, parsed
from headgate.counters.connection import Lost, accepted, connect
from headgate.counters.unavailable import reason_of
from headgate.engine_standing import EnginesStanding
from headgate.spool_room import free_bytes
from headgate.standing import ASK_STANDING, Standing
from headgate.supervise.asking import asking
from headgate.supervise.control_socket import Unreadable, control_standing
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.part import Probe

TIMEOUT_S = 1.0
SILENCE = f"no answer within {TIMEOUT_S:g} s"

# RFC 9113, sections 3.4 and 4.1: the client's preface with empty settings; the server answers with a frame.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME_HEAD_BYTES = 9
_MEMBERS = ("healthy", "total")
_MOST_STANDING_BYTES = 2**24  # of 500 replicas with all that they count
_MOST_SHOWN = 5  # engines


def worker_answers(path: Path) -> Probe:
    """A filter worker: it answers an HTTP/2 preface. Connecting alone, a stopped process would seem well."""

    async def probe() -> str | None:
        async with asking(path, _HTTP2_PREFACE) as answer:
            return None if len(await answer.piece()) >= _FRAME_HEAD_BYTES else "closes connections"

    return _guarded(probe)


def says_a_line(path: Path) -> Probe:
    """The ledger: it says how far it is to whoever connects."""

    async def probe() -> str | None:
        async with asking(path) as answer:
            return None if await answer.piece() else "closes connections"

    return _guarded(probe)


def tells_events(path: Path) -> Probe:
    """What the part that tells usage events meets at its brokers: Kafka's name of it, never an address."""

    async def probe() -> str | None:
        async with asking(path) as answer:
            problem = json.loads(await answer.line() or b"{}").get("problem")
        return f"events wait: {problem}" if problem else None

    return _guarded(probe)


def refuses_http(path: Path) -> Probe:
    """The bridge: it answers a request that is no WebSocket, whatever it answers."""

    async def probe() -> str | None:
        async with asking(path, b"GET / HTTP/1.1\r\nhost: probe\r\n\r\n") as answer:
            return None if (await answer.line()).startswith(b"HTTP/1.1 ") else "closes connections"

    return _guarded(probe)


def control_answers(path: Path) -> Probe:
    """Control: it says how it is, whether it has its database or not."""

    async def probe() -> str | None:
        await control_standing(path)
        return None

    return _guarded(probe)


def database_up(path: Path) -> Probe:
    """Control's database, by what control says of it."""

    async def probe() -> str | None:
        return _words(await control_standing(path))

    return _known(_guarded(probe), "control")


def usage_answers(path: Path) -> Probe:
    """The usage store's part: it says how it is, whether it has its store or not."""

    async def probe() -> str | None:
        await _store_standing(path)
        return None

    return _guarded(probe)


def engines_watched(path: Path) -> Probe:
    """The engines' part: it says how they are, however they are."""

    async def probe() -> str | None:
        await engines_standing(path)
        return None

    return _guarded(probe)


def engines_ready(path: Path) -> Probe:
    """All replicas of all engines, by what their part says of them."""

    async def probe() -> str | None:
        return _not_ready(await engines_standing(path))

    return _known(_guarded(probe), "engines")


async def engines_standing(path: Path) -> EnginesStanding:
    """What the engines' part says. Raises OSError or Unreadable."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=_MOST_STANDING_BYTES)
    try:
        return msgspec.json.decode(await reader.readline(), type=EnginesStanding)
    except (msgspec.DecodeError, ValueError):  # the latter is the reader's, of a line beyond its limit
        raise Unreadable from None
    finally:
        writer.close()


def _not_ready(said: EnginesStanding) -> str | None:
    texts = []
    for engine in said.engines:
        its = [one for one in said.replicas if one.engine == engine]
        bad = [one for one in its if one.state != "ready"]
        if bad or not its:
            why = ", ".join(dict.fromkeys(f"{one.state}: {one.detail}" if one.detail else one.state for one in bad))
            texts.append(f"{engine}: {len(its) - len(bad)} of {len(its)} ready" + (f" ({why[:200]})" if why else ""))
    shown = texts[:_MOST_SHOWN] + ([f"and {len(texts) - _MOST_SHOWN} more"] if len(texts) > _MOST_SHOWN else [])
    return "; ".join(shown) or None


def shortage(min_free_bytes: int) -> Probe | None:
    """Of room for the spool, while there is too little: then every request is refused."""
    free = free_bytes()
    if free is None or free >= min_free_bytes:
        return None

    async def probe() -> str | None:
        return f"{free} bytes are free, spool.min_free is {min_free_bytes}: every request is 503 spool_full"

    return probe


def usage_store_up(path: Path) -> Probe:
    """The usage store, by what its part says of it. One that nothing was to be kept in yet is well."""

    async def probe() -> str | None:
        said = await _store_standing(path)
        return None if said.state == "opening" else _words(said)

    return _known(_guarded(probe), "usage")


async def _store_standing(path: Path) -> Standing:
    async with asking(path, ASK_STANDING) as answer:
        line = await answer.line()
    try:
        return msgspec.json.decode(line, type=Standing)
    except msgspec.DecodeError:
        raise Unreadable from None


def _words(said: Standing) -> str | None:
    if said.state == "up":
        return None
    since = dt.datetime.fromtimestamp(said.since, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{said.state} since {since}: {said.detail}" if said.detail else said.state


def _known(asked: Probe, part: str) -> Probe:
    async def known() -> str | None:
        found = await asked()
        return f"not known: {part} does not answer" if found in (SILENCE, *_REASONS.values()) else found

    return known


def envoy_live(admin: EnvoyAdmin) -> Probe:
    """Envoy: it says LIVE, so its clusters and routes are loaded and it accepts."""

    async def probe() -> str | None:
        state = await admin.state()
        return None if state == "LIVE" else state.lower().replace("_", " ")

    return _guarded(probe)


def filters_healthy(admin: EnvoyAdmin) -> Probe:
    """Filter workers on other hosts, as Envoy sees them: they have their tables, and one is enough."""

    async def probe() -> str | None:
        figures = dict(await admin.stats(rf"^cluster\.{FILTERS_CLUSTER}\.membership_(healthy|total)$"))
        healthy, total = (int(figures.get(f"cluster.{FILTERS_CLUSTER}.membership_{one}", 0)) for one in _MEMBERS)
        return None if healthy else f"none of {total} workers can be asked"

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
                with contextlib.suppress(OSError, Lost, hiredis.HiredisError):
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
    connection = await connect(address, 2 * TIMEOUT_S, lambda _: None)  # the probe's own time is up before
    try:
        accepted(await connection.call(("PING",)))
    finally:
        connection.lose("has answered")


def _guarded(ask: Callable[[], Awaitable[str | None]]) -> Probe:
    async def probe() -> str | None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await ask()
        except TimeoutError:
            return SILENCE
        except (Lost, hiredis.HiredisError) as error:
            return reason_of(error)
        except (OSError, aiohttp.ClientError, Unreadable) as error:
            return _REASONS.get(type(error), type(error).__name__)

    return probe


# The class alone: the text of a connection error may hold an address with a password.
_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "no socket yet",
    ConnectionRefusedError: "refuses connections",
    aiohttp.ClientConnectorError: "refuses connections",
    Unreadable: "closes connections",
}
