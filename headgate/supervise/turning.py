"""Whether the others go by a new configuration yet: Envoy by its files, the parts by the workers' tables."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence

import aiohttp
import msgspec
import structlog

from headgate import contract
from headgate.remote.handing import Handing
from headgate.supervise.edge_files import EdgeFiles
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.part import Part
from headgate.supervise.refusal import Refusal

log = structlog.get_logger()

ENVOY_WITHIN_S = 10.0
TABLES_WITHIN_S = 10.0
RETRY_S = 5.0  # an edit that could not be taken over
_NO_ANSWER = (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError)


class Turning:
    """`edge` are the files that Envoy is to read, `parts` those that run now, `handing` knows workers elsewhere."""

    def __init__(self, edge: EdgeFiles, parts: Callable[[], Sequence[Part]], handing: Handing | None) -> None:
        self._edge, self._parts, self._handing = edge, parts, handing
        self._envoy = EnvoyAdmin(contract.ENVOY_ADMIN_SOCKET)

    async def until_envoy_has(self, new: set[str]) -> None:
        """Wait until Envoy has read its files, and reached what it can of the clusters. Raises Refusal."""
        deadline = time.monotonic() + ENVOY_WITHIN_S
        read, warming = False, new
        while True:
            try:
                read = read or await self._envoy.versions() == self._edge.versions
                warming = new & await self._envoy.warming() if read and new else set()
            except _NO_ANSWER:
                read = False  # it is being restarted: it reads the files before it takes requests
            if read and not warming:
                return
            if time.monotonic() >= deadline:
                break
            await asyncio.sleep(0.02)
        if not read:
            raise Refusal(f"Envoy has read no new file for {ENVOY_WITHIN_S:g} s; tried again every {RETRY_S:g} s")
        log.warning("providers are not reachable yet", clusters=sorted(warming))

    async def envoy_has_read(self) -> bool:
        """Whether it has read its files by now."""
        try:
            return await self._envoy.versions() == self._edge.versions
        except _NO_ANSWER:
            return False

    async def until_tables_turned(self, number: int) -> None:
        """Have every part that works by the tables read them, also one that is just starting."""
        deadline = time.monotonic() + TABLES_WITHIN_S
        told: set[int] = set()
        while behind := [part for part in self._parts() if _works_by_older_tables(part, number)]:
            for part in behind:
                # Before it has said which tables it has, it starts, and a signal would end it.
                if part.process and part.process.pid not in told and _tables_of(part) is not None:
                    part.process.send(signal.SIGHUP)
                    told.add(part.process.pid)
            if time.monotonic() >= deadline:
                await _end_hanging(behind)
                deadline = time.monotonic() + TABLES_WITHIN_S
            await asyncio.sleep(0.01)
        if self._handing:
            await self._handing.until_turned(number, TABLES_WITHIN_S)


async def _end_hanging(behind: Sequence[Part]) -> None:
    """One that hangs would come back with old tables; its successor reads the new ones."""
    for part in behind:
        if part.process:
            log.warning("part does not take the new tables, it ends", part=part.name, pid=part.process.pid)
            await part.process.end(1.0)


def _works_by_older_tables(part: Part, number: int) -> bool:
    """A part that does not run works by no tables: it reads the newest when it starts."""
    return part.spec.tables is not None and part.process is not None and (_tables_of(part) or 0) < number


def _tables_of(part: Part) -> int | None:
    """The generation that it says it has; None while it starts."""
    try:
        return int(part.spec.tables.read_text()) if part.spec.tables else None
    except (FileNotFoundError, ValueError):
        return None
