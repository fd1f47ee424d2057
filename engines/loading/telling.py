"""Tells control which engines load adapters here and what has become of versions: at once where it is new, and again
every `REPEATED_AFTER_S`, whatever control made of it the last time.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from headgate import adapter_metrics as metrics
from headgate.adapter_reports import (
    MOST_REPORTS,
    REPEATED_AFTER_S,
    AdapterReport,
    HostReport,
    ReportRefused,
    Serves,
    Taken,
    report,
)

LONGEST_PAUSE_S = 30.0
_NOT_SAID = "control says nothing of it"

Reports = Mapping[AdapterReport, int]
"""The version of the row that each is about."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Told:
    row: int
    at: float
    refused: str | None


class ReportTeller:
    """`take` only takes note; `run` tells."""

    def __init__(self, socket: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._socket = socket
        self._clock = clock
        self._serves: Serves | None = None
        self._wanted: Reports = {}
        self._told: dict[AdapterReport, _Told] = {}
        self._told_serves: tuple[Serves | None, float] = (None, 0.0)
        self._news = asyncio.Event()
        self._fails = False

    def take(self, serves: Serves, reports: Reports) -> None:
        """All that there is to say now; what was told of others is forgotten."""
        self._serves, self._wanted = serves, reports
        self._told = {one: told for one, told in self._told.items() if reports.get(one) == told.row}
        if self._next() is not None:
            self._news.set()

    async def run(self) -> None:
        """Tell, until cancelled."""
        retrying = AsyncRetrying(
            wait=wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE_S),
            retry=retry_if_exception_type(OSError),
            before_sleep=self._on_failure,
        )
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                while self._next() is not None:
                    await retrying(self._tell_next)
            except Exception:  # a bug of ours must not leave control without news for good
                log.exception("control can't be told of adapters")

    def _next(self) -> HostReport | None:
        if self._serves is None:
            return None
        before = self._clock() - REPEATED_AFTER_S
        due = [one for one in self._wanted if one not in self._told or self._told[one].at <= before]
        serves, at = self._told_serves
        is_told = serves == self._serves and (at > before or not self._serves.bases)
        return None if is_told and not due else HostReport(self._serves, tuple(due[:MOST_REPORTS]))

    async def _tell_next(self) -> None:
        """What is to be told may be another one with each attempt. Raises OSError."""
        said, rows = self._next(), self._wanted
        if said is None:
            return
        try:
            taken = await asyncio.to_thread(report, said, self._socket)
        except ReportRefused as error:
            taken = Taken(tuple(str(error) for _ in said.reports))
        refused = (*taken.refused, *(_NOT_SAID for _ in said.reports))
        now = self._clock()
        self._told_serves = said.serves, now
        for one, why_not in zip(said.reports, refused, strict=False):
            self._note(one, _Told(rows[one], now, why_not))
        if self._fails:
            self._fails = False
            log.info("control is told of adapters again")

    def _note(self, said: AdapterReport, told: _Told) -> None:
        """One line until it is another one."""
        known = self._told.get(said)
        self._told[said] = told
        if known is not None and known.refused == told.refused:
            return
        if told.refused is None:
            _count(said)
        else:  # it was changed since, most often: the directory will tell
            log.info("control does not take a report of an adapter", adapter=_shown(said), reason=told.refused)

    def _on_failure(self, state: RetryCallState) -> None:
        """One line until it goes well again."""
        if not self._fails:
            self._fails = True
            reason = str(state.outcome.exception()) if state.outcome else ""
            log.warning("control can't be told of adapters: tried again", reason=reason)


def _count(said: AdapterReport) -> None:
    metrics.ADAPTERS_STAGED.labels("failed" if said.reason else "staged").inc()
    if said.reason:
        log.warning("adapter can't be served: what is live stays live", adapter=_shown(said), reason=said.reason)
    else:
        log.info("adapter staged", adapter=_shown(said))


def _shown(said: AdapterReport) -> str:
    return f"{said.tenant}/{said.adapter}@{said.version}"
