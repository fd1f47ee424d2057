"""Parts that live and do not answer: killed, so that they are restarted.

Killing a filter worker is what helps the calls that it holds: their connection breaks, and Envoy asks another worker.
So it must happen well before the time limits of its calls (headgate/edge/filters.py). One that only has much to do
answers in between. The ledger and the embedded counters are given more time, and only silence counts against them: a
start, a long file to load or a full database is no hang. Both go on from what they have on the disk.
"""

import asyncio
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from headgate.supervise import parts, probes
from headgate.supervise.part import Part
from headgate.ticks import until_next

log = structlog.get_logger()

MISSES = 2  # in a row at least: this process may have been stopped itself


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a part may miss its probe, which waits for a second, after its last answer and before its first."""

    running_s: float
    starting_s: float
    every_s: float  # the next probe comes so long after one that was answered; after silence at once
    silence_only: bool = False


WORKERS = Patience(1.5, 30.0, every_s=0.5)  # killed within 2.5 s
BY_NAME = {
    parts.LEDGER: Patience(10.0, 60.0, every_s=2.0, silence_only=True),
    parts.BRIDGE: Patience(10.0, 60.0, every_s=2.0, silence_only=True),
    parts.ENGINES: Patience(10.0, 60.0, every_s=2.0, silence_only=True),
    parts.EVENTS: Patience(10.0, 60.0, every_s=2.0, silence_only=True),
    parts.CONTROL: Patience(10.0, 60.0, every_s=2.0, silence_only=True),
    parts.USAGE: Patience(10.0, 60.0, every_s=2.0, silence_only=True),
    parts.VALKEY: Patience(30.0, 60.0, every_s=2.0, silence_only=True),  # it may have to wait for the disk
}


async def watch(running: Sequence[Part]) -> None:
    """Until it is cancelled; all of them have answered before."""
    watched = [(part, patience) for part in running if (patience := _patience(part.name))]
    await asyncio.gather(*(watch_part(part, patience) for part, patience in watched))


def _patience(name: str) -> Patience | None:
    return WORKERS if name.startswith(parts.WORKERS) else BY_NAME.get(name)


async def watch_part(part: Part, patience: Patience, *, has_answered: bool = True) -> None:
    """Until it is cancelled. Without `has_answered` the process that runs now is given the time of a start."""
    pid = part.process.pid if part.process and has_answered else None
    well, allowed_s, misses = time.monotonic(), patience.running_s, 0
    detail: str | None = None
    while True:
        await asyncio.sleep(0 if detail == probes.SILENCE else until_next(patience.every_s))
        process, detail = part.process, None
        if process is None:
            continue
        if process.pid != pid:
            pid, well, allowed_s, misses = process.pid, time.monotonic(), patience.starting_s, 0
        began = time.monotonic()
        detail = await part.spec.probe()
        if part.process is not process:
            continue
        if detail is None:
            well, allowed_s, misses = began, patience.running_s, 0
        elif patience.silence_only and detail != probes.SILENCE:
            well, misses = began, 0
        else:
            misses += 1
            if misses >= MISSES and time.monotonic() - well >= allowed_s:
                log.warning("part hangs, it is killed", part=part.name, pid=pid, detail=detail)
                process.send(signal.SIGKILL)
