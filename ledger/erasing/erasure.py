"""Erases what a host has of a deleted tenant: spool, usage, alerts, counters. docs/control.md says what stays.

What was used is kept under the deletion's id, by day and model, so that the sums of the whole gateway stay right; who
used it is gone. Everything may be killed at any point, and is done again by the next process: nothing is reported
before a look over all of it has found nothing.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import hiredis
import structlog

from headgate.contract import ERASURES
from headgate.counters.client import Counters, Unavailable
from headgate.counters.scripts import keys_pattern
from headgate.erasures import Erasure, Report, asked, report, reported
from headgate.ticks import until_next
from ledger.alerting.alerts import Alerts
from ledger.erasing.erased import Erased
from ledger.settling.books import Books
from ledger.settling.usage import FileId
from ledger.spool import recorder
from ledger.spool.follower import Follower
from ledger.spool.lines import Line
from ledger.spool.quarantine import Quarantine
from ledger.spool.scrub import count_of, draft_of, remove_drafts

LOOK_EVERY_S = 1.0
AGAIN_S = 5.0  # after something that was away

log = structlog.get_logger()


class Eraser:
    """`run` looks what control asks for, and after files that were finished since."""

    def __init__(
        self,
        erased: Erased,
        books: Books,
        alerts: Alerts,
        counters: Counters,
        quarantine: Quarantine,
        folder: Path = ERASURES,
    ) -> None:
        self._erased = erased
        self._books = books
        self._alerts = alerts
        self._counters = counters
        self._quarantine = quarantine
        self._folder = folder
        self._looked_through: dict[int, frozenset[str]] = {}  # files by inode: for which deletions

    async def run(self, follower: Follower) -> None:
        """Until it is cancelled."""
        await asyncio.to_thread(remove_drafts)
        while True:
            try:
                for erasure in self._open():
                    await self._erase(erasure, follower)
                if self._erased.ids:
                    await self._scrub(follower)
            except (OSError, sqlite3.Error, Unavailable) as error:
                log.warning("a tenant's data can't be erased yet", error=str(error) or type(error).__name__)
                await asyncio.sleep(AGAIN_S)
            await asyncio.sleep(until_next(LOOK_EVERY_S))

    def _open(self) -> list[Erasure]:
        if not self._folder.exists():
            return []
        return [one for one in asked(self._folder) if reported(one.id, self._folder) is None]

    async def _erase(self, erasure: Erasure, follower: Follower) -> None:
        """Everything that there is by now; lines that come later are the deletion's as they are read."""
        self._erased.start(erasure)
        lines = 0
        waits_for = follower.set_aside()
        while waits_for & follower.unfinished():  # noqa: ASYNC110 - whatever they wait for
            await asyncio.sleep(LOOK_EVERY_S / 4)
        lines += await self._scrub(follower)
        erased = {
            "spool": lines,
            "usage": await self._books.erase(erasure.tenant, erasure.id),
            "alerts": await self._alerts.erase(erasure.tenant),
            "counters": await self._forget_counters(erasure.tenant),
            "quarantine": self._quarantine.clear(),  # nobody knows whose its lines are
        }
        left = await self._left(erasure.tenant, follower)
        if any(left.values()):
            log.info("something of a deleted tenant came meanwhile: erasing goes on", deletion=erasure.id, **left)
            return
        self._erased.finish(erasure.id)
        report(Report(erasure.id, erased, left), self._folder)
        log.info("a deleted tenant's data is erased here", deletion=erasure.id, **erased)

    async def _scrub(self, follower: Follower) -> int:
        """Write finished files anew where needed, and wipe records; how many lines and records that were."""
        ids, files = self._erased.ids, follower.finished()
        lines = await asyncio.to_thread(recorder.forget, self._is_meant)
        for file in files:
            if self._looked_through.get(file.inode) == ids:
                continue
            draft = await asyncio.to_thread(draft_of, file.path, self._erased.scrubbed)
            if draft is None:
                self._looked_through[file.inode] = ids
                continue
            if draft.head:  # before it is there: nothing in it is counted again
                before = FileId(file.epoch, file.head) if file.head else None
                await self._books.note_counted(FileId(file.epoch, draft.head), draft.size, before)
            follower.replace(file, draft.path)
            lines += draft.lines
        kept = {file.inode for file in follower.finished()}
        self._looked_through = {inode: known for inode, known in self._looked_through.items() if inode in kept}
        return lines

    def _is_meant(self, line: Line) -> bool:
        return self._erased.name_of(line) is not None

    async def _left(self, tenant: str, follower: Follower) -> dict[str, int]:
        paths = [file.path for file in follower.finished()]
        lines = [await asyncio.to_thread(count_of, path, self._erased.scrubbed) for path in paths]
        return {
            "spool": sum(lines) + await asyncio.to_thread(recorder.count_of, self._is_meant),
            "usage": await self._books.rows_of(tenant),
            "alerts": await self._alerts.waiting_of(tenant),
            "counters": len([key async for key in self._keys(tenant)]),
        }

    async def _forget_counters(self, tenant: str) -> int:
        gone = 0
        async for key in self._keys(tenant):
            gone += await self._counters.command("UNLINK", key)
        if gone:
            await self._rewrite_logs()
        return gone

    async def _rewrite_logs(self) -> None:
        """Have the counters' append-only files forget what they say of keys that are gone, in the background."""
        for node in self._counters.nodes:
            reply = await node.call("BGREWRITEAOF")
            if isinstance(reply, hiredis.ReplyError):
                log.warning("counters keep names of a deleted tenant in their own log", reason=str(reply))

    async def _keys(self, tenant: str) -> AsyncIterator[str]:
        """All keys of a tenant's, on whichever node. Raises Unavailable."""
        if not self._counters.nodes:
            raise Unavailable("the counters are away", maybe=False)
        pattern = keys_pattern(tenant)
        for node in self._counters.nodes:
            cursor = b"0"
            while True:
                cursor, keys = await node.command("SCAN", cursor.decode(), "MATCH", pattern, "COUNT", 1000)
                for key in keys:
                    yield key.decode(errors="replace")
                if cursor == b"0":
                    break
