"""Keeps the keys of tokens' issuers, one process for the whole host: fetched before they are stale, and when wanted.

They lie in files, from which all workers take them, so that neither a new worker nor an issuer that is down costs a
fetch. What can't be fetched is tried again, ever more slowly; the last keys stay until then, and the workers judge
how old they may be. Nothing here can hold up or end the ledger.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

import msgspec
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from headgate import metrics
from headgate.contract import ISSUER_KEYS
from headgate.issuers import REFETCH_S, IssuerKeys, IssuerRow, keys_file, read_keys, wanted_file
from headgate.snapshot import Snapshot
from headgate.supervise.files import write_atomic
from headgate.ticks import until_next
from ledger.issuers.issuer_answers import FRESH_S
from ledger.issuers.issuer_fetch import Unfetched, fetch_keys

LOOK_EVERY_S = 0.25
FIRST_WITHIN_S = 1.0  # while there is no issuer
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0

_Source = tuple[str, str | None, str | None]  # all of a row that the keys come by

log = structlog.get_logger()


class KeyKeeper:
    """A task for each issuer of the tables. `snapshot` is the tables in use, None while there are none."""

    def __init__(self, snapshot: Callable[[], Snapshot | None]) -> None:
        self._snapshot = snapshot
        self._rows: tuple[IssuerRow, ...] = ()
        self._tasks: dict[_Source, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                snapshot = self._snapshot()
                if snapshot and snapshot.issuers != self._rows:
                    await self._turn_to(snapshot.issuers)
                await asyncio.sleep(until_next(LOOK_EVERY_S if self._rows else FIRST_WITHIN_S))
        finally:
            await _end(self._tasks.values())

    async def _turn_to(self, rows: tuple[IssuerRow, ...]) -> None:
        sources = {_source(row): row for row in rows}
        await _end([self._tasks.pop(source) for source in list(self._tasks) if source not in sources])
        self._rows = rows
        try:
            _prepare(rows)
        except OSError as error:
            log.error("keys of issuers can't be kept", error=str(error))  # noqa: TRY400 - no fault of ours
        for source, row in sources.items():
            if source not in self._tasks:
                self._tasks[source] = asyncio.create_task(_Keeping(row).run())


class _Keeping:
    """One issuer's keys."""

    def __init__(self, row: IssuerRow) -> None:
        self._row = row
        self._file, self._wanted = keys_file(row), wanted_file(row)
        self._said = IssuerKeys(row.issuer, [], fetched=0.0, tried=0.0)
        self._fresh_s = FRESH_S
        self._fails = False
        self._retrying = AsyncRetrying(
            wait=wait_random_exponential(multiplier=FIRST_PAUSE_S, min=1, max=LONGEST_PAUSE_S),
            retry=retry_if_exception_type((Unfetched, OSError)),
            before_sleep=self._on_failure,
            sleep=self._pause,
        )

    async def run(self) -> None:
        """Until it is cancelled."""
        self._load()
        await self._pause(self._said.fetched + FRESH_S - time.time())
        while True:
            try:
                await self._retrying(self._renew)
            except Exception:  # a bug must not leave the issuer without keys for good
                log.exception("keys of an issuer can't be fetched", issuer=self._row.issuer)
                self._fresh_s = LONGEST_PAUSE_S
            await self._pause(self._fresh_s)

    def _load(self) -> None:
        """What an earlier process has fetched."""
        try:
            said = read_keys(self._file)
        except (OSError, msgspec.DecodeError) as error:
            log.warning("keys of an issuer can't be read", issuer=self._row.issuer, error=str(error))
            return
        if said and said.issuer == self._row.issuer:
            self._said = said

    async def _renew(self) -> None:
        """Fetch and write. Raises Unfetched or OSError; that it was tried is written in any case."""
        tried = time.time()
        try:
            keys, unusable, self._fresh_s = await fetch_keys(self._row)
        except Unfetched:
            self._write(msgspec.structs.replace(self._said, tried=tried))
            raise
        if keys != self._said.keys or not self._said.fetched:
            log.info("keys of an issuer fetched", issuer=self._row.issuer, keys=len(keys), unusable=unusable)
        self._write(IssuerKeys(self._row.issuer, keys, fetched=tried, tried=tried))
        metrics.ISSUER_FETCHES.labels(self._row.issuer, "fetched").inc()
        self._fails = False

    def _write(self, said: IssuerKeys) -> None:
        self._said = said
        write_atomic(self._file, msgspec.json.encode(said))

    def _on_failure(self, state: RetryCallState) -> None:
        """One line until it goes well again."""
        metrics.ISSUER_FETCHES.labels(self._row.issuer, "failed").inc()
        if not self._fails:
            self._fails = True
            reason = str(state.outcome.exception()) if state.outcome else ""
            log.warning("keys of an issuer can't be fetched: tried again", issuer=self._row.issuer, reason=reason)

    async def _pause(self, seconds: float) -> None:
        """For so long, or until somebody wants them and they have not just been tried."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._is_wanted():  # noqa: ASYNC110 - it is a file that says so
            await asyncio.sleep(min(left, LOOK_EVERY_S))

    def _is_wanted(self) -> bool:
        tried = self._said.tried
        if 0 <= time.time() - tried < REFETCH_S:
            return False
        try:
            return self._wanted.stat().st_mtime > tried
        except OSError:
            return False


def _source(row: IssuerRow) -> _Source:
    return row.issuer, row.jwks_uri, row.ca


def _prepare(rows: Iterable[IssuerRow]) -> None:
    """The folder, with nothing in it of issuers that are not asked any more."""
    ISSUER_KEYS.mkdir(mode=0o700, exist_ok=True)
    ours = {file(row).name for row in rows for file in (keys_file, wanted_file)}
    for path in ISSUER_KEYS.iterdir():
        if path.name not in ours:
            path.unlink(missing_ok=True)


async def _end(tasks: Iterable["asyncio.Task[None]"]) -> None:
    waited = list(tasks)
    for task in waited:
        task.cancel()
    if waited:
        await asyncio.wait(waited)
