"""Filter workers that live and do not answer: killed, so that they are restarted.

Killing is what helps the calls that such a worker holds: their connection breaks, and Envoy asks another worker. So
it must happen well before the time limits of its calls (headgate/edge/filters.py). One that only has much to do
answers in between.
"""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from headgate.supervise import parts
from headgate.supervise.part import Part

log = structlog.get_logger()

EVERY_S = 0.25
MISSES = 2  # in a row; a probe waits for a second, so one that hangs is killed within 2.5 s
MISSES_AT_START = 24  # before its first answer: 30 s


@dataclass(slots=True)
class _Heard:
    pid: int | None
    allowed: int
    misses: int = 0


async def watch(running: Sequence[Part]) -> None:
    """Until it is cancelled; all of them have answered before."""
    await asyncio.gather(*(_watch(part) for part in running if part.name.startswith(parts.WORKERS)))


async def _watch(part: Part) -> None:
    heard = _Heard(part.process.pid if part.process else None, MISSES)
    while True:
        await asyncio.sleep(EVERY_S)
        process = part.process
        if process is None:
            continue
        if process.pid != heard.pid:
            heard = _Heard(process.pid, MISSES_AT_START)
        detail = await part.spec.probe()
        if part.process is not process:
            continue
        if detail is None:
            heard = _Heard(process.pid, MISSES)
            continue
        heard.misses += 1
        if heard.misses >= heard.allowed:
            log.warning("part hangs, it is killed", part=part.name, pid=process.pid, detail=detail)
            process.send(signal.SIGKILL)
