"""A running process, ours or taken over, held by a pidfd.

A pidfd stays bound to one process even after its pid was given to another, so nothing here can signal a
stranger. A process taken over is not our child: its end is seen through the pidfd, its exit status stays
unknown.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

# The command's own input is /dev/null: a shell gives that to what it starts with `&`.
_APART = 'exec 3<&0; { read -r _ <&3 && exec 3<&- && exec "$@"; } >&2 & echo $!'
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_BEYOND_THE_SCRIPT = 10  # no descriptor that the script above names is as high


@dataclass(frozen=True, slots=True)
class Identity:
    """Names one process until the machine restarts: a pid alone is reused."""

    pid: int
    start_ticks: int


def start_ticks_of(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (clock ticks since boot); None when it has ended or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and parentheses
    return None if fields[0] in "ZX" else int(fields[19])


class Process:
    """One living process; made by `spawn` or `find`, inside a running event loop."""

    def __init__(self, identity: Identity, pidfd: int, child: subprocess.Popen[bytes] | None) -> None:
        self.identity = identity
        self.status: int | None = None  # as Popen gives it; stays None for a process that was taken over
        self.leads = False  # whether what it has started is to end with it
        self._pidfd = pidfd
        self._child = child
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._loop.add_reader(pidfd, self._on_end)

    @classmethod
    def spawn(cls, command: Sequence[str], env: Mapping[str, str], log: Path, *, lifeline: bool) -> "Process":
        """Start `command` in its own session, output appended to `log`.

        With a lifeline its stdin is a pipe that reaches its end when this process ends, however it ends.
        Raises OSError when the command can't be run.
        """
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                env=dict(env),
                stdin=subprocess.PIPE if lifeline else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # or Ctrl-C would reach Envoy before us and cut its streams
            )
        ticks = (
            start_ticks_of(child.pid) or 0
        )  # 0: it has ended already; we have not reaped it, the pid is still its own
        return cls(Identity(child.pid, ticks), os.pidfd_open(child.pid), child)

    @classmethod
    def spawn_apart(
        cls, command: Sequence[str], env: Mapping[str, str], log: Path, keeps: socket.socket | None = None
    ) -> tuple["Process", Callable[[], None]]:
        """Start `command` as nobody's child, in its own session; it waits for a call of the second of the two.

        An Envoy that can hot-restart asks the kernel to be ended with its parent (PR_SET_PDEATHSIG), and it must
        outlive us. Without the call, also when this process is killed before it, the command never runs.
        The socket `keeps` stays open in it for as long as it lives.
        """
        with log.open("ab") as output, _passed_on(keeps) as descriptors:
            shell = subprocess.Popen(
                ("sh", "-c", _APART, "sh", *command),
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
                pass_fds=descriptors,
            )
        gate, answer = cast("IO[bytes]", shell.stdin), cast("IO[bytes]", shell.stdout)
        with answer:
            pid = int(answer.readline())
        shell.wait()  # from here on it has another parent

        def go() -> None:
            with contextlib.suppress(BrokenPipeError), gate:
                gate.write(b"\n")

        return cls(Identity(pid, start_ticks_of(pid) or 0), os.pidfd_open(pid), None), go

    @classmethod
    def find(cls, identity: Identity) -> "Process | None":
        """The process that an earlier supervisor recorded, if it still runs."""
        try:
            pidfd = os.pidfd_open(identity.pid)
        except ProcessLookupError:
            return None
        # Compared after the pidfd is held: from here on both mean the same process.
        if start_ticks_of(identity.pid) != identity.start_ticks:
            os.close(pidfd)
            return None
        return cls(identity, pidfd, None)

    @property
    def pid(self) -> int:
        """For people and records; signals go through the pidfd."""
        return self.identity.pid

    @property
    def age_s(self) -> float:
        """Seconds since the system started it; 0 where it ended before that could be read."""
        ticks = self.identity.start_ticks
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / _TICKS_A_SECOND if ticks else 0.0

    @property
    def running(self) -> bool:
        """False once its end was seen."""
        return not self._ended.is_set()

    async def wait(self) -> int | None:
        """Wait for its end; its exit status, negative for a signal, None when unknown."""
        await self._ended.wait()
        return self.status

    def send(self, signum: signal.Signals) -> None:
        """Signal it, unless it has ended."""
        if self.running:
            try:
                signal.pidfd_send_signal(self._pidfd, signum)
            except ProcessLookupError:
                return  # it ended just now; the loop will tell

    def let_end(self) -> None:
        """Close the lifeline and SIGTERM: it may take its time."""
        self._close_lifeline()
        self.send(signal.SIGTERM)

    async def end(self, grace_s: float) -> None:
        """Let it end, SIGKILL after `grace_s`; returns when it has ended."""
        self.let_end()
        try:
            await asyncio.wait_for(self._ended.wait(), grace_s)
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self._ended.wait()

    def _end_group(self) -> None:
        """What an engine leaves behind, killed or out of memory, would keep the GPU.

        While the group has a process, or this one has not been reaped, nobody else can have its number.
        """
        if start_ticks_of(self.pid) is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _close_lifeline(self) -> None:
        if self._child and self._child.stdin:
            self._child.stdin.close()

    def _on_end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        if self.leads:
            self._end_group()
        if not self._child:
            with contextlib.suppress(ChildProcessError):  # the first process of a container inherits orphans
                os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        os.close(self._pidfd)
        self._close_lifeline()
        if self._child:
            self.status = self._child.wait()  # it has ended: this reaps and does not block
        self._ended.set()


@contextlib.contextmanager
def _passed_on(end: socket.socket | None) -> Iterator[tuple[int, ...]]:
    """The socket under a number that a child can have it by."""
    if end is None:
        yield ()
        return
    descriptor = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _BEYOND_THE_SCRIPT)
    try:
        yield (descriptor,)
    finally:
        os.close(descriptor)


def status_text(status: int | None) -> str:
    """An exit status for the log: `exit 1`, `SIGKILL`, or that it was not our child: nobody can know."""
    if status is None:
        return "ended unseen"
    if status < 0:
        return signal.Signals(-status).name
    return f"exit {status}"
