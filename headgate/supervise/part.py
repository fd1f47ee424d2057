"""A part that must keep running: started, watched, restarted with growing pauses, ended.

A part restarts on every end that `retire` or `stop` did not announce. What it is made of is a `PartSpec`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from headgate import contract
from headgate.supervise.process import Process, status_text

log = structlog.get_logger()

Probe = Callable[[], Awaitable[str | None]]
"""Asks a part whether it can work: None when it can, otherwise what is missing, in a few words."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
STABLE_AFTER_S = 10.0
END_GRACE_S = 5.0


@dataclass(slots=True)
class Backoff:
    """Pauses between restarts: none at first, then 0.1 s, doubling to 5 s; a stable life starts over."""

    _ends: int = 0

    def pause_s(self, lived_s: float) -> float:
        """The pause after a life of `lived_s` seconds."""
        self._ends = 1 if lived_s >= STABLE_AFTER_S else self._ends + 1
        if self._ends == 1:
            return 0.0
        return float(min(FIRST_PAUSE_S * 2 ** min(self._ends - 2, 10), LONGEST_PAUSE_S))


@dataclass(frozen=True, slots=True)
class PartSpec:
    """What to run and how to ask it. `digest` tells whether a running one is still what we would start."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    probe: Probe
    digest: str
    outlives: bool  # the supervisor's death; otherwise a lifeline on stdin ends it too
    essential: bool = True  # requests for models are not answered without it
    sockets: tuple[Path, ...] = ()  # removed before each start: a dead process leaves them behind
    before_start: Callable[[], None] | None = None
    launch: Callable[[Path], Process] | None = None  # how to start it with this log, if not just by `command`
    port: int | None = None
    gpus: tuple[int, ...] = ()
    leads: bool = False  # processes of its own, which end with it
    tables: Path | None = None  # it works by the snapshot: SIGHUP makes it read again, here it says what it has read

    @property
    def log_path(self) -> Path:
        """Where its output goes; never a pipe of the supervisor's, which may die first."""
        return contract.LOGS / f"{self.name}.log"

    def spawn(self) -> Process:
        """Run its command. Raises OSError."""
        process = Process.spawn(self.command, self.env, self.log_path, lifeline=not self.outlives)
        process.leads = self.leads
        return process


class Part:
    """The running side of a `PartSpec`; `changed` is called whenever its process is another one."""

    def __init__(self, spec: PartSpec, changed: Callable[[], None], adopted: Process | None = None) -> None:
        self.spec = spec
        self.process = adopted
        if adopted:
            adopted.leads = spec.leads
        self.restarts = 0
        self.renewing = False  # its process ends and another starts because somebody wants that
        self._changed = changed
        self._since = time.monotonic()
        self._backoff = Backoff()
        self._final = asyncio.Event()
        self._replaced = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Its name in logs, in parts.json and on /readyz."""
        return self.spec.name

    @property
    def uptime_s(self) -> float | None:
        """Seconds since it was started or taken over; None while it is down."""
        return time.monotonic() - self._since if self.process else None

    def begin(self) -> None:
        """Start it, or go on with the adopted process, and keep it running from here on."""
        if self.process is None:
            self._start()
        self._keeper = asyncio.create_task(self._keep())
        self._keeper.add_done_callback(self._on_keeper_end)

    def hand_over(self, successor: Process) -> Process | None:
        """Go on with `successor`; what ran until now, if anything did, is the caller's to end."""
        before, self.process = self.process, successor
        self._since = time.monotonic()
        self._replaced.set()
        self._replaced = asyncio.Event()
        self._changed()
        return before

    def retire(self) -> None:
        """From now on its end is the end: it is not started again."""
        self._final.set()

    async def stop(self, grace_s: float = END_GRACE_S) -> None:
        """End it for good; returns when it has ended."""
        self.retire()
        if self.process:
            await self.process.end(grace_s)
        if self._keeper:
            await self._keeper

    async def _keep(self) -> None:
        while True:
            lived_s = await self._live()
            pause_s = 0.0 if self.renewing else self._backoff.pause_s(lived_s)
            if await _set_within(self._final, pause_s):
                return
            if self.process is None:
                self.restarts += not self.renewing
                self._start()

    async def _live(self) -> float:
        """Wait for the end of the present process, if there is one; how long it lived."""
        process = await self._last_of_them()
        if process is None:
            return 0.0
        pid, status, self.process = process.pid, process.status, None
        lived_s = time.monotonic() - self._since
        if not (self._final.is_set() or self.renewing):
            log.warning("part ended", part=self.name, pid=pid, how=status_text(status), lived_s=round(lived_s, 3))
        self._changed()
        return lived_s

    async def _last_of_them(self) -> Process | None:
        """The present process when it has ended without a successor."""
        while process := self.process:
            ends = [asyncio.create_task(process.wait()), asyncio.create_task(self._replaced.wait())]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            if self.process is process and not process.running:
                return process
        return None

    def _on_keeper_end(self, keeper: asyncio.Task[None]) -> None:
        if not keeper.cancelled() and (error := keeper.exception()):
            log.critical("part is no longer supervised", part=self.name, exc_info=error)

    def _start(self) -> None:
        spec = self.spec
        try:
            if spec.before_start:
                spec.before_start()
            for socket in spec.sockets:
                socket.unlink(missing_ok=True)
            self.process = spec.launch(spec.log_path) if spec.launch else spec.spawn()
        except OSError as error:  # a full disk, a binary that went away: tried again like any other end
            log.warning("part did not start", part=self.name, error=str(error))
            return
        self._since = time.monotonic()
        self._changed()
        log.info("part started", part=self.name, pid=self.process.pid)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    if event.is_set() or seconds == 0:
        return event.is_set()
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
