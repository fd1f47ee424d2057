"""A part that must keep running: started, watched, restarted with growing pauses, ended.

A part restarts on every end that `retire` or `stop` did not announce. What it is made of is a `PartSpec`.
"""

import asyncio
import time
from collections import Counter
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
class End:
    """An end that nobody wanted: `how` (`exit 1`, `SIGKILL`), after how long, and when; `not started` has no life."""

    how: str
    lived_s: float | None
    at: float  # seconds since the epoch

    def __str__(self) -> str:
        return self.how if self.lived_s is None else f"{self.how} after {self.lived_s:.1f} s"


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
    """The running side of a `PartSpec`; `changed` is called whenever its process is another one.

    `restarts` are those under supervisors that were killed.
    """

    def __init__(
        self, spec: PartSpec, changed: Callable[[], None], adopted: Process | None = None, restarts: int = 0
    ) -> None:
        self.spec = spec
        self.process = adopted
        if adopted:
            adopted.leads = spec.leads
        self.restarts = restarts
        self.last_end: End | None = None
        self.ends: Counter[str] = Counter()  # by how
        self.renewing = False  # its process ends and another starts because somebody wants that
        self._changed = changed
        self._again_at: float | None = None
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
        """Seconds since its process was started, by whichever supervisor; None while it is down."""
        return self.process.age_s if self.process else None

    @property
    def again_in_s(self) -> float | None:
        """Seconds until it is started again; None while it runs, or is not to."""
        if self.process or self._again_at is None:
            return None
        return max(self._again_at - time.monotonic(), 0.0)

    def trouble(self, detail: str | None) -> str | None:
        """What keeps it from work, in our words: what its probe said, and how its process ended before."""
        if detail is None or self.last_end is None:
            return detail
        if self.process:
            return f"{detail}; before that {self.last_end}"
        again = "" if self.again_in_s is None else f", again in {self.again_in_s:.1f} s"
        return f"{self.last_end}{again}; see {self.spec.log_path}"

    def begin(self) -> None:
        """Start it, or go on with the adopted process, and keep it running from here on."""
        if self.process is None:
            self._start()
        self._keeper = asyncio.create_task(self._keep())
        self._keeper.add_done_callback(self._on_keeper_end)

    def hand_over(self, successor: Process) -> Process | None:
        """Go on with `successor`; what ran until now, if anything did, is the caller's to end."""
        before, self.process = self.process, successor
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
            ended = await self._last_of_them()
            lived_s = ended.age_s if ended else 0.0
            self.process = None
            pause_s = 0.0 if self.renewing else self._backoff.pause_s(lived_s)
            if not (self._final.is_set() or self.renewing):
                self._again_at = time.monotonic() + pause_s
                if ended:
                    self._note(ended, lived_s, pause_s)
            if ended:
                self._changed()
            if await _set_within(self._final, pause_s):
                self._again_at = None
                return
            if self.process is None:
                self.restarts += not self.renewing
                self._start()

    def _note(self, ended: Process, lived_s: float, pause_s: float) -> None:
        self._has_ended(status_text(ended.status), lived_s)
        log.warning(
            "part ended",
            part=self.name,
            pid=ended.pid,
            how=status_text(ended.status),
            lived_s=round(lived_s, 3),
            restarts=self.restarts,
            again_in_s=pause_s,
            its_log=str(self.spec.log_path),
        )

    def _has_ended(self, how: str, lived_s: float | None) -> None:
        self.last_end = End(how, lived_s if lived_s is None else round(lived_s, 3), time.time())
        self.ends[how] += 1

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
            self._has_ended("not started", None)
            return
        self._again_at = None
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
