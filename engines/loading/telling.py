"""Reports to control what has become of versions: once for each change of the row, until control has taken it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from headgate import adapter_metrics as metrics
from headgate.adapter_reports import AdapterReport, ReportRefused, report

LONGEST_PAUSE_S = 30.0

Reports = Mapping[AdapterReport, int]
"""The version of the row that each is about."""

log = structlog.get_logger()


class ReportTeller:
    """`take` only takes note; `run` tells."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._wanted: dict[AdapterReport, int] = {}
        self._told: dict[AdapterReport, int] = {}
        self._news = asyncio.Event()
        self._fails = False

    def take(self, reports: Reports) -> None:
        """All that there is to report now; what was told of others is forgotten."""
        self._wanted = dict(reports)
        self._told = {one: row for one, row in self._told.items() if self._wanted.get(one) == row}
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

    def _next(self) -> tuple[AdapterReport, int] | None:
        return next((one for one in self._wanted.items() if self._told.get(one[0]) != one[1]), None)

    async def _tell_next(self) -> None:
        """What is to be told may be another one with each attempt. Raises OSError."""
        found = self._next()
        if found is None:
            return
        said, row = found
        try:
            await asyncio.to_thread(report, said, self._socket)
        except ReportRefused as error:  # it was changed since: the directory will tell
            log.info("control does not take a report of an adapter", adapter=_shown(said), reason=str(error))
        else:
            _count(said)
        self._told[said] = row
        if self._fails:
            self._fails = False
            log.info("control is told of adapters again")

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
