"""The database for the event loop: in a thread of its own, and waited for while it can't be used.

Holds the sums of the calendar windows that are asked for, and keeps them up to date by what is added.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

import structlog

from headgate import metrics
from headgate.counters.calendar import DAY_MS
from headgate.counters.limits import Limit, TenantLimits
from headgate.counters.scripts import OTHER_USERS
from ledger.journal.entries import Changed
from ledger.settling.usage import (
    NOT_KEPT_APART,
    Counted,
    EndLine,
    Entry,
    Estimate,
    FileId,
    SumWish,
    Used,
    Where,
)
from ledger.settling.usage_store import UsageStore

KEPT_SUMS = 20_000  # some 300 bytes each; others are summed again
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0

T = TypeVar("T")

log = structlog.get_logger()


class Window(NamedTuple):
    """A calendar window of a limit."""

    tenant: str
    limit: Limit
    start_ms: int
    end_ms: int

    @property
    def name(self) -> tuple[str, int]:
        """What tells it from all others."""
        return self.limit.key, self.start_ms


class Books:
    """All that counts and charges goes through here, one after the other."""

    def __init__(self, store: UsageStore, limits_of: Callable[[str], TenantLimits]) -> None:
        self._store = store
        self._limits_of = limits_of
        self._thread = ThreadPoolExecutor(1, "usage")
        self._sums: dict[tuple[str, int], int] = {}
        self.turn = asyncio.Lock()  # whoever changes what is counted has it
        self._sequence = 0
        self._waits = 0

    @property
    def waits(self) -> bool:
        """Whether the database can't be used."""
        return self._waits > 0

    async def count(
        self,
        files: Mapping[FileId, int],
        entries: Sequence[Entry],
        lines: Sequence[tuple[FileId | None, EndLine]] = (),
    ) -> Counted:
        """As the store does; `turn` is the caller's."""
        return self._took(await self._until_done(lambda: self._store.count(files, entries, lines)))

    async def charge(self, estimates: Sequence[Estimate], reason: str) -> tuple[Counted, set[str]]:
        """As the store does; `turn` is the caller's."""
        counted, fresh = await self._until_done(lambda: self._store.charge(estimates, reason))
        return self._took(counted), fresh

    async def sums(self, windows: Iterable[Window]) -> dict[tuple[str, int], int]:
        """What was used in these windows, by their names; `turn` is the caller's."""
        wanted = {window.name: window for window in windows}
        missing = [(name, window) for name, window in wanted.items() if name not in self._sums]
        if missing:
            wishes = [self._wish(window) for _, window in missing]
            found = await self._until_done(lambda: self._store.sums(wishes))
            for (name, _), value in zip(missing, found, strict=True):
                self._sums[name] = value
        answer = {name: self._sums[name] for name in wanted}
        while len(self._sums) > KEPT_SUMS:
            del self._sums[next(iter(self._sums))]
        return answer

    async def used(self, tenant: str, month: tuple[int, int], today: int) -> tuple[int, list[Used]]:
        """As the store has it."""
        return await self._until_done(lambda: self._store.used(tenant, month, today))

    async def charged_since(self, tenant: str, day: int) -> tuple[int, int]:
        """As the store has it."""
        return await self._until_done(lambda: self._store.charged_since(tenant, day))

    async def counted(self) -> dict[FileId, int]:
        """As the store has it."""
        return await self._until_done(self._store.counted)

    async def erase(self, tenant: str, name: str) -> int:
        """As the store does, rows in the journal included; the tenant's sums go too. Raises sqlite3.Error."""
        async with self.turn:
            gone = await self._until_done(lambda: self._store.erase(tenant, name))
            self._sums.clear()
        gone += await self._through_journal(lambda after: self._store.erase_rows(tenant, name, after))
        await self.once(UsageStore.empty_log)
        return gone

    async def rows_of(self, tenant: str) -> int:
        """As the store has it, rows in the journal included."""
        waiting = await self._through_journal(lambda after: self._store.look_for_rows(tenant, after))
        return waiting + await self._until_done(lambda: self._store.rows_of(tenant))

    async def note_counted(self, file: FileId, counted: int, instead_of: FileId | None = None) -> None:
        """As the store does."""
        async with self.turn:
            await self._until_done(lambda: self._store.note_counted(file, counted, instead_of))

    async def once(self, work: Callable[[UsageStore], T]) -> T:
        """What need not be done now. Raises sqlite3.Error."""
        return await self._run(partial(work, self._store))

    async def prune(
        self, present: Sequence[FileId], keep_s: float = 0.0, may_have_account: Callable[[str], bool] = lambda _: True
    ) -> int:
        """As the store does; the sums of old windows go with the rows."""
        async with self.turn:
            tenants = await self._until_done(self._store.old_tenants)
            without = {tenant for tenant in tenants if not may_have_account(tenant)}
            gone = await self._until_done(lambda: self._store.prune(present, keep_s, without))
            if gone:
                self._sums.clear()
        return gone

    def windows_at(self, where: Where) -> Iterator[Window]:
        """The calendar windows that count what is used there."""
        limits = self._limits_of(where.tenant)
        if not limits.has_calendar:
            return
        apart = where.user not in (NOT_KEPT_APART, OTHER_USERS)
        for limit in limits.applying_to(where.key, where.model, where.user if apart else "").limits:
            if limit.is_calendar and (apart or "user" not in limit.row.by):
                start_ms, end_ms = limit.window_ms(where.day * DAY_MS)
                if start_ms <= where.day * DAY_MS:  # an account does not count what was used before it
                    yield Window(where.tenant, limit, start_ms, end_ms)

    def close(self) -> None:
        """Let go of the database."""
        self._thread.submit(self._store.close)
        self._thread.shutdown()

    def _took(self, counted: Counted) -> Counted:
        if counted.before != self._sequence:  # another process has counted
            self._sums.clear()
        self._sequence = counted.sequence
        for where, amounts in counted.added:
            for window in self.windows_at(where):
                if window.name in self._sums:
                    self._sums[window.name] += amounts.of(window.limit.kind.dimension)
        return counted

    def _wish(self, window: Window) -> SumWish:
        limit, row = window.limit, window.limit.row
        return SumWish(
            tenant=window.tenant,
            first=window.start_ms // DAY_MS,
            end=window.end_ms // DAY_MS,
            dimension=limit.kind.dimension,
            key=limit.key_id if "key" in row.by else None,
            models=(limit.model,) if "model" in row.by else row.models,
            user=limit.user if "user" in row.by else None,
            ever=limit.is_credits,
        )

    async def _through_journal(self, look: Callable[[int], Changed]) -> int:
        """All of it, in pieces, so that settling goes on in between; how many rows were found."""
        rows, at = 0, 0
        while True:
            changed = await self._until_done(partial(look, at))
            rows += changed.rows
            if changed.until is None:
                return rows
            at = changed.until

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _until_done(self, work: Callable[[], T]) -> T:
        """Whatever it takes: nothing that was used is left out of the count."""
        pause_s = _FIRST_PAUSE_S
        waits = False
        try:
            while True:
                try:
                    return await self._run(work)
                except sqlite3.Error as error:
                    if not waits:
                        waits = True
                        self._wait(error)
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        finally:
            if waits:
                self._waits -= 1
                self._say()

    def _wait(self, error: sqlite3.Error) -> None:
        if not self._waits:
            log.error("usage can't be counted: settling waits, slots are freed", error=str(error))
        self._waits += 1
        self._say()

    def _say(self) -> None:
        if not self._waits:
            log.info("usage is counted again")
        metrics.LEDGER_WAITS.set(1 if self._waits else 0)
