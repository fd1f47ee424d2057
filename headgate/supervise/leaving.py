"""Filter workers that are no longer the ones that serve: each goes on for the streams it has, and takes no new call.

An answer that is translated lives in its worker as well as in Envoy, for minutes. Each worker is recorded until it
has ended, so that a supervisor that follows a killed one neither waits for it nor takes it for a part. The bridge
leaves like a worker: what it has are responses over WebSocket.
"""

import asyncio
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from headgate import contract
from headgate.supervise import parts, parts_file
from headgate.supervise.adopt import Living
from headgate.supervise.part import END_GRACE_S
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.process import Process

log = structlog.get_logger()

PATIENCE_S = 600.0  # unless `headgate restart` was told otherwise
HANGS_AFTER_S = 2.5


class Leaving:
    """`found` are those that an earlier supervisor left. `changed` is called when one has ended."""

    def __init__(
        self, found: Iterable[Living], changed: Callable[[], None], *, hangs_after_s: float = HANGS_AFTER_S
    ) -> None:
        self._workers = {_name(one.process): one for one in found}
        self._changed = changed
        self._hangs_after_s = hangs_after_s
        self._ending: set[asyncio.Task[None]] = set()

    def records(self) -> dict[str, PartRecord]:
        """All that still run."""
        return {name: one.record for name, one in self._workers.items() if one.process.running}

    def leave(self, worker: Living, patience_s: float) -> None:
        """Let it finish its streams, for up to `patience_s`."""
        name, process = _name(worker.process), worker.process
        self._workers[name] = worker
        process.let_end()
        task = asyncio.create_task(self._until_ended(name, process, patience_s))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def let_go(self) -> None:
        """Have those of an earlier supervisor take no more calls; they have lost their lifeline with it.

        One that hangs is killed: Envoy would go on calling it over the connections that it has.
        """
        found = list(self._workers.values())
        for worker in found:
            log.info("leftover worker finishes", part=worker.name, pid=worker.process.pid)
            self.leave(worker, PATIENCE_S)
        served = [worker for worker in found if not worker.name.startswith(parts_file.RETIRED_WORKER)]
        await asyncio.gather(*(_until_deaf(worker, self._hangs_after_s) for worker in served))

    async def finished(self) -> None:
        """End them, once no Envoy can need them any more."""
        await asyncio.gather(*(one.process.end(END_GRACE_S) for one in self._workers.values()))
        await asyncio.gather(*self._ending)

    async def _until_ended(self, name: str, process: Process, patience_s: float) -> None:
        try:
            await asyncio.wait_for(process.wait(), patience_s)
        except TimeoutError:
            log.warning("translated streams cut", pid=process.pid, drain_s=patience_s)
            process.send(signal.SIGKILL)
            await process.wait()
        del self._workers[name]
        self._changed()


async def _until_deaf(worker: Living, hangs_after_s: float) -> None:
    """Wait until it does not listen, or kill it."""
    name, process = worker.name, worker.process
    is_bridge = name == parts.BRIDGE
    socket = contract.BRIDGE_SOCKET if is_bridge else contract.worker_socket(int(name.removeprefix(parts.WORKERS)))
    try:
        async with asyncio.timeout(hangs_after_s):
            while process.running and await _is_listened_to(socket):  # noqa: ASYNC110 - another process lets go
                await asyncio.sleep(0.01)
    except TimeoutError:
        log.warning("leftover worker hangs, it is killed", part=worker.name, pid=process.pid)
        process.send(signal.SIGKILL)
        await process.wait()


async def _is_listened_to(socket: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.close()
    return True


def _name(process: Process) -> str:
    return f"{parts_file.RETIRED_WORKER}{process.pid}"
