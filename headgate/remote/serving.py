"""A filter worker on another host than its gateway: it serves while what it was handed over can be gone by.

It begins with nothing but its certificate. Everything else comes from the gateway, over the same port as Envoy's
calls, into a folder in memory that goes with the process. Before that, and after LAPSE_S without the gateway's word,
it answers health checks with NOT_SERVING and takes no call.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog
import uvloop

from headgate import contract, tracing
from headgate.grpc_server import Method, Server
from headgate.lifeline import until_end
from headgate.open_files import raise_open_files
from headgate.remote.entrance import listen
from headgate.remote.handed import HandedOver
from headgate.remote.messages import PROTOCOL
from headgate.remote.network import Network
from headgate.snapshot import Snapshot, read_snapshot
from headgate.supervise import state
from headgate.tables import Holder
from headgate.worker import LIMITS, Tables, TablesError, WorkerOptions, begin, health, turn_when_asked

LOOK_EVERY_S = 0.1
BEGIN_EVERY_S = 1.0
_ON_DISK = Path("handed-over")  # where the machine has no storage in memory

log = structlog.get_logger()


def run(options: WorkerOptions, network: Network) -> None:
    """Serves until SIGTERM or SIGINT, or until its gateway needs another one. The working directory is its state's.

    Raises TablesError when it cannot begin.
    """
    raise_open_files()  # as `up` does for workers of its own
    with _alone(), _folder():
        uvloop.run(_Worker(options, network).serve())


class _Worker:
    def __init__(self, options: WorkerOptions, network: Network) -> None:
        self._options, self._network = options, network
        self._asked = asyncio.Event()
        self._handed = HandedOver(self._asked.set)
        self._always = [health(lambda: self._handed.is_fresh and self._holder is not None)]
        self._methods: list[Method] = []
        self._holder: Holder | None = None
        self._begins_at = 0.0  # monotonic: not before
        self._serves = self._is_damaged = False

    async def serve(self) -> None:
        options = self._options
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._asked.set)
        server = Server(self._always, LIMITS)
        watch = await listen(server, options.address, self._network, {PROTOCOL: self._handed.link})
        log.info("worker waits for its gateway", part=options.part, pid=os.getpid())
        ending = asyncio.create_task(until_end(lifeline=options.lifeline))
        beside = [asyncio.create_task(watch)]
        try:
            while not ending.done() and not self._handed.outdated:
                self._look(server, beside)
                await asyncio.wait([ending], timeout=LOOK_EVERY_S)
        finally:
            for task in (ending, *beside):
                task.cancel()
        await server.close(options.drain_s)
        tracing.close()
        log.info("worker stopped", part=options.part)

    def _look(self, server: Server, beside: "list[asyncio.Task[None]]") -> None:
        handed = self._handed
        if self._holder is None and handed.is_told and time.monotonic() >= self._begins_at:
            self._begins_at = time.monotonic() + BEGIN_EVERY_S
            self._begin(beside)
        if self._holder:
            has_all = self._holder.following.has_all()
            handed.say(self._holder.current.snapshot.generation, has_all=has_all)
            self._mend(self._holder.following.problem is not None)
        else:
            handed.say(0, has_all=False)
        serves = self._holder is not None and handed.is_fresh
        if serves != self._serves:
            self._serves = serves
            server.offer([*self._always, *self._methods] if serves else self._always)
            log.info("worker serves" if serves else "worker takes no calls: it has no recent word, or is behind it")

    def _mend(self, is_damaged: bool) -> None:
        """A copy of the directory that can't be followed is asked for anew, once: the gateway's may be no better."""
        if is_damaged and not self._is_damaged:
            self._handed.begin_again()
        self._is_damaged = is_damaged

    def _begin(self, beside: "list[asyncio.Task[None]]") -> None:
        os.environ.update(self._handed.environment())
        tables = Tables(_read)
        self._asked.clear()
        try:
            snapshot = tables.read()
        except TablesError as error:
            log.error("tables not taken over", problem=str(error))  # noqa: TRY400 - it is no fault of ours
            return
        self._holder, self._methods = begin(self._options, snapshot)
        beside.append(asyncio.create_task(turn_when_asked(self._holder, tables, self._asked)))
        beside.append(asyncio.create_task(self._holder.following.follow()))
        log.info("worker started", part=self._options.part, generation=snapshot.generation, pid=os.getpid())


def _read() -> Snapshot:
    try:
        return read_snapshot(contract.SNAPSHOT)
    except (OSError, msgspec.DecodeError) as error:
        raise TablesError(f"{contract.SNAPSHOT}: {error}") from error


@contextmanager
def _alone() -> Iterator[None]:
    descriptor = os.open(contract.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = "somebody else works in this state folder: each worker needs one of its own, --state"
        raise TablesError(f"{Path.cwd()}: {text}") from None
    else:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _folder() -> Iterator[None]:
    """Works in an empty folder, in memory where the machine allows, which is gone afterwards."""
    home = Path.cwd()
    folder = state.memory_folder("worker")
    if folder is None:
        log.warning("no memory-backed folder: secrets go to the disk", path=str(home / _ON_DISK))
        folder = home / _ON_DISK
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(home)
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
