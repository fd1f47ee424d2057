"""The rolling restart: one part after the other gets a new process, and no request notices.

A worker's successor takes its socket's name, then the old one finishes its streams; Envoy's successor takes over the
listening sockets, then the old one finishes its streams. One that does not come up ends, and what ran goes on.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import structlog

from headgate import contract
from headgate.supervise import files, hot_restart, parts, probes
from headgate.supervise.adopt import Living
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.envoy_life import Successor
from headgate.supervise.envoys import Envoys
from headgate.supervise.leaving import Leaving
from headgate.supervise.part import END_GRACE_S, Part, Probe
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.process import Process
from headgate.supervise.refusal import Refusal

log = structlog.get_logger()

READY_WITHIN_S = 30.0
HEALTHY_WITHIN_S = 15.0

KEPT = {
    parts.VALKEY: "keeps running: it holds the counters",
    parts.SIMULATOR: "keeps running, as any engine would",
    parts.REPLICAS: "keeps running: `headgate engines restart` replaces it",
}


class RestartError(Exception):
    """A part did not come up anew; what ran before goes on. The text is for the operator."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of progress: a part and what became of it (`taken over`, `starting`, `restarted`, `kept`)."""

    part: str
    state: str
    detail: str | None = None
    pid: int | None = None


async def restart(
    running: Sequence[Part],
    envoys: Envoys,
    leaving: Leaving,
    drain_s: float,
    take_file: Callable[[], Awaitable[int]],
) -> AsyncIterator[Step]:
    """Restart every part, one at a time. Raises RestartError; parts that had their turn stay as they are then.

    Streams of what is replaced may go on for `drain_s`; the restart does not wait for them.
    Before, `take_file` takes over what only new processes can of the configuration; it may raise Refusal.
    """
    try:
        generation = await take_file()
    except Refusal as refusal:
        raise RestartError("\n".join([*refusal.lines, "nothing was restarted"])) from refusal
    except OSError as error:
        raise RestartError(f"the configuration can't be taken over: {error}\nnothing was restarted") from error
    yield Step("configuration", "taken over", f"generation {generation}")
    for part in running:
        if reason := KEPT.get(parts.REPLICAS if part.name.startswith(parts.REPLICAS) else part.name):
            yield Step(part.name, "kept", reason, part.process.pid if part.process else None)
            continue
        yield Step(part.name, "starting")
        began = time.monotonic()
        try:
            await _restart_part(part, envoys, leaving, drain_s)
        except OSError as error:  # a full disk, a binary that went away
            raise RestartError(f"{part.name}: the new process did not start: {error}") from error
        took = f"in {time.monotonic() - began:.1f} s"
        yield Step(part.name, "restarted", took, part.process.pid if part.process else None)


async def _restart_part(part: Part, envoys: Envoys, leaving: Leaving, drain_s: float) -> None:
    if part.name == parts.ENVOY:
        await _restart_envoy(part, envoys, drain_s)
    elif part.name.startswith(parts.WORKERS):
        successor = await _restart_worker(part, leaving, drain_s)
        await _until(_healthy_for_envoy(part.spec.sockets[0]), successor, part, HEALTHY_WITHIN_S)
    elif part.name == parts.BRIDGE:
        await _restart_worker(part, leaving, drain_s)
    else:
        await _restart_plain(part)


async def _restart_worker(part: Part, leaving: Leaving, drain_s: float) -> Process:
    socket = part.spec.sockets[0]
    before, former = _number_of(socket), socket.with_name(f".{socket.name}.former")
    former.unlink(missing_ok=True)
    if before is not None:
        former.hardlink_to(socket)
    try:
        successor = part.spec.spawn()
    except OSError:
        former.unlink(missing_ok=True)
        raise

    async def serves() -> str | None:
        return await part.spec.probe() if _number_of(socket) not in (None, before) else "does not listen yet"

    try:
        await _until(serves, successor, part, READY_WITHIN_S)
    except BaseException:
        await successor.end(END_GRACE_S)
        if before is not None:
            former.replace(socket)  # the one before still listens there
        raise
    former.unlink(missing_ok=True)
    old = part.process
    if old:  # before it is handed over: from its record on, no supervisor takes it for a stray
        record = PartRecord(old.identity.pid, old.identity.start_ticks, part.spec.digest)
        leaving.leave(Living(part.name, record, old), drain_s)
    part.hand_over(successor)
    log.info("part restarted", part=part.name, pid=successor.pid, before=old.pid if old else None)
    return successor


def _healthy_for_envoy(socket: Path) -> Probe:
    async def probe() -> str | None:
        try:
            healthy = await EnvoyAdmin(contract.ENVOY_ADMIN_SOCKET).is_healthy(contract.FILTERS_CLUSTER, str(socket))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return f"Envoy does not say how it is: {type(error).__name__}"
        return None if healthy else "not healthy for Envoy"

    return probe


async def _restart_plain(part: Part) -> None:
    """A part that only one process can be at a time, and that no request waits for: it ends and is started again."""
    before = part.process

    async def anew() -> str | None:
        return await part.spec.probe() if part.process not in (None, before) else "not started yet"

    part.renewing = True
    try:
        if before:
            await before.end(END_GRACE_S)
        await _until(anew, None, part, READY_WITHIN_S)
    finally:
        part.renewing = False


async def _restart_envoy(part: Part, envoys: Envoys, drain_s: float) -> None:
    launcher = envoys.launcher
    await _require_known_protocol(launcher.command[0])
    if launcher.life is None or part.process is None:
        raise RestartError("envoy: is down just now and being restarted anyway")
    coming = launcher.start_successor(part.spec.log_path)
    envoys.come(coming.life, coming.process)
    try:
        passed = await _handed_over(coming, launcher.life.hot, part)
    except BaseException as error:
        await coming.process.end(END_GRACE_S)
        envoys.go_away(coming.process)
        coming.life.clear()
        if isinstance(error, OSError | TimeoutError):
            raise RestartError(f"envoy: the running one does not hand over its sockets: {error!r}") from error
        raise
    log.info("envoy takes over", pid=coming.process.pid, before=part.process.pid, sockets=passed)
    await envoys.take_over(part, coming.life, coming.process, drain_s)


async def _handed_over(coming: Successor, old: Path, part: Part) -> list[str]:
    """Wait until the one that comes has the sockets of the one at `old`, and is live; what it got."""
    with coming.parent, contextlib.closing(hot_restart.Between(coming.parent, old)) as between:
        coming.go()
        live = _until(probes.envoy_live(EnvoyAdmin(coming.life.admin)), coming.process, part, READY_WITHIN_S)
        await _both(asyncio.create_task(between.serve()), asyncio.create_task(live))
        return between.passed


async def _both(*tasks: "asyncio.Task[None]") -> None:
    """Wait for all of them, or for the first that fails."""
    try:
        await asyncio.wait(tasks, timeout=READY_WITHIN_S, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done():
                task.result()
        if not all(task.done() for task in tasks):
            raise TimeoutError
    finally:
        for task in tasks:
            task.cancel()


async def _require_known_protocol(program: str) -> None:
    asked = await asyncio.create_subprocess_exec(
        *(program, "--hot-restart-version"), stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    _, output = await asked.communicate()  # it answers on stderr
    known = ".".join(map(str, hot_restart.VERSION))
    if output.decode().strip() != known:
        raise RestartError(f"envoy: {program} does not speak hot restart {known}: stop the gateway and start it anew")


async def _until(probe: Probe, process: Process | None, part: Part, within_s: float) -> None:
    """Wait until `probe` is content. Raises RestartError with the end of the part's log when `process` ends first."""
    deadline = asyncio.get_running_loop().time() + within_s
    while detail := await probe():
        if process and not process.running:
            raise RestartError(_with_log(part, f"{part.name}: the new process ended"))
        if asyncio.get_running_loop().time() > deadline:
            raise RestartError(_with_log(part, f"{part.name}: not ready after {within_s:g} s ({detail})"))
        await asyncio.sleep(0.02)


def _with_log(part: Part, text: str) -> str:
    path = part.spec.log_path.absolute()
    return "\n".join([f"{text}; the end of {path}:", *files.last_lines(path, 5)])


def _number_of(socket: Path) -> int | None:
    """Tells two sockets of one name apart: while both live, so do their inodes."""
    with contextlib.suppress(FileNotFoundError):
        return socket.stat().st_ino
    return None
