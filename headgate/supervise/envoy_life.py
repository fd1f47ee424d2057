"""One Envoy process's own files, and how one is started: alone, or to take over another's sockets.

Each life has a spool file, an admin socket and hot restart sockets of its own; `run/envoy-admin.sock` is a link to
the admin socket of the Envoy that serves. What parts.json records of a life is enough to find all of it again.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from headgate import contract
from headgate.supervise import hot_restart, state
from headgate.supervise.edge_files import EdgeFiles, new_spool
from headgate.supervise.parts_file import PartRecord, digest_of
from headgate.supervise.process import Process

# What a dying Envoy says of the requests that it had, providers' keys included: kept where the keys are.
DUMPS = contract.SECRETS / "envoy.stderr"

# Envoy would end its parent after this long: ending it is our business.
NEVER_S = 10 * 365 * 86_400
_ATTACHED_WITHIN_S = 30.0
_BASES = 2**31 // 10  # Envoy multiplies a base id by ten and keeps it in 32 bits


@dataclass(frozen=True, slots=True)
class EnvoyLife:
    """`hot` is the socket on which it hands over its listening sockets, `digest` what it was started with."""

    digest: str
    addresses: tuple[str, ...]
    spool: str
    admin: Path
    hot: Path

    @classmethod
    def new(cls, digest: str, addresses: tuple[str, ...], *, takes_over: bool) -> "EnvoyLife":
        """Names for a new process. Its epoch says whether it asks a parent for sockets."""
        spool, base = new_spool(), secrets.randbelow(_BASES)
        prefix = contract.RUN / f"envoy-{contract.epoch_of(spool)}"
        hot = Path(f"{prefix}_parent_{base * 10 + int(takes_over)}")
        return cls(digest, addresses, spool, Path(f"{prefix}.sock"), hot)

    @classmethod
    def recorded(cls, record: PartRecord) -> "EnvoyLife | None":
        """The life of an Envoy that an earlier supervisor started."""
        if not (record.spool and record.admin and record.hot):
            return None
        return cls(record.digest, record.addresses, record.spool, Path(record.admin), Path(record.hot))

    def record(self, process: Process) -> PartRecord:
        """What a supervisor that follows us has to know about it."""
        pid, start_ticks = process.identity.pid, process.identity.start_ticks
        admin, hot = str(self.admin), str(self.hot)
        return PartRecord(
            pid, start_ticks, self.digest, spool=self.spool, addresses=self.addresses, admin=admin, hot=hot
        )

    @property
    def base(self) -> int:
        """Its --base-id."""
        return int(self.hot.name.rpartition("_")[2]) // 10

    @property
    def asks(self) -> Path:
        """The socket that it takes for its parent's; it holds that one too (`hot_restart.bind`)."""
        return self.hot.with_name(f"{self.hot.name[:-1]}{self._epoch - 1}")

    @property
    def _epoch(self) -> int:
        return int(self.hot.name[-1])

    def arguments(self) -> tuple[str, ...]:
        """What its command line says beside what all Envoys of this gateway have in common."""
        return (
            *("--base-id", str(self.base)),
            *("--restart-epoch", str(self._epoch)),
            *("--socket-path", str(self.admin.with_suffix(""))),
            *("--socket-mode", "600"),
            *("--parent-shutdown-time-s", str(NEVER_S)),
            "--skip-hot-restart-parent-stats",
        )

    def point(self) -> None:
        """Make the usual name of the admin socket mean this one, without a moment in which it means none."""
        link = contract.ENVOY_ADMIN_SOCKET.with_name(f".{self.admin.name}")
        link.unlink(missing_ok=True)
        link.symlink_to(self.admin.name)
        link.replace(contract.ENVOY_ADMIN_SOCKET)

    def clear(self) -> None:
        """Remove what an ended process leaves behind, but for the spool."""
        for path in contract.RUN.glob(f"{self.admin.stem}*"):
            path.unlink(missing_ok=True)
        self.forget_memory()

    def forget_memory(self) -> None:
        """Remove the name of the memory it has attached: no other process is to."""
        hot_restart.shared_memory(self.base).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Successor:
    """An Envoy that waits for `go`, and then asks `parent` for sockets: our copy of that end."""

    life: EnvoyLife
    process: Process
    parent: socket.socket
    go: Callable[[], None]


class EnvoyLauncher:
    """Starts the edge. `life` is the life of the Envoy that serves, None before the first."""

    def __init__(self, edge: EdgeFiles, command: tuple[str, ...], env: Mapping[str, str]) -> None:
        self.edge = edge
        self.life: EnvoyLife | None = None
        self.command = command
        self._env = env
        self._forgetting: set[asyncio.Task[None]] = set()

    @property
    def digest(self) -> str:
        """Tells whether an Envoy that runs is what would be started now."""
        return digest_of(self.command, self.edge.listener_text())

    def start(self, log: Path) -> Process:
        """Start an Envoy that binds its addresses itself. Raises OSError."""
        if self.life:
            self.life.clear()
        life = EnvoyLife.new(self.digest, self.edge.addresses, takes_over=False)
        state.link_secrets()  # a login session's runtime folder may have gone away with the session
        self.edge.write()
        process, go = self._spawn(life, log)
        self.life = life
        life.point()
        go()
        return process

    def start_successor(self, log: Path) -> Successor:
        """Start an Envoy that will ask for sockets. Raises OSError."""
        life = EnvoyLife.new(self.digest, self.edge.addresses, takes_over=True)
        state.link_secrets()
        self.edge.write()
        hot_restart.create_shared_memory(life.base)
        with contextlib.ExitStack() as undo:
            undo.callback(life.clear)
            parent = undo.enter_context(hot_restart.bind(life.asks))
            process, go = self._spawn(life, log, parent)
            undo.pop_all()
        return Successor(life, process, parent, go)

    def _spawn(
        self, life: EnvoyLife, log: Path, parent: socket.socket | None = None
    ) -> tuple[Process, Callable[[], None]]:
        self.edge.write_bootstrap(life.spool, life.admin)
        command = (*self.command, "--log-path", str(log), *life.arguments())
        process, go = Process.spawn_apart(command, self._env, DUMPS, parent)
        forgetting = asyncio.create_task(_forget_when_attached(life, process))
        self._forgetting.add(forgetting)
        forgetting.add_done_callback(self._forgetting.discard)
        return process, go


async def _forget_when_attached(life: EnvoyLife, process: Process) -> None:
    """No file stays in /dev/shm: Envoy has the memory attached before it opens its admin socket."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ATTACHED_WITHIN_S):
            while process.running and not life.admin.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.01)
    life.forget_memory()


def clear_all_but(lives: Collection[EnvoyLife]) -> None:
    """Remove the sockets of Envoys that a killed supervisor has left, and that have ended since."""
    kept = {life.admin.stem for life in lives}
    for path in contract.RUN.glob("envoy-*T*"):
        if path.name.partition("_")[0].removesuffix(".sock") not in kept:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - a link of ours, not what it points to
