"""A part that runs only while the configuration has something for it to do; a reload begins and ends it."""

import asyncio
from collections.abc import Callable

import structlog

from headgate.supervise.part import Part, PartSpec
from headgate.supervise.watchdog import watch

log = structlog.get_logger()


class NeededPart:
    """`running` is the supervisor's list of parts: it is in there while it runs. The rest is as of any part."""

    def __init__(self, spec: PartSpec, running: list[Part], changed: Callable[[], None], restarts: int = 0) -> None:
        self._spec = spec
        self._running = running
        self._changed = changed
        self._restarts = restarts
        self._is_needed = False
        self._part: Part | None = None
        self._watching: asyncio.Task[None] | None = None
        self._turning: asyncio.Task[None] | None = None

    def want(self, *, needed: bool) -> None:
        """Have it run, or end it, in the background; whatever was said last holds."""
        self._is_needed = needed
        if self._turning is None or self._turning.done():
            self._turning = asyncio.create_task(self._turn())

    async def close(self) -> None:
        """Change nothing more; whoever ends all parts ends it, too."""
        tasks = [task for task in (self._turning, self._watching) if task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _turn(self) -> None:
        while self._is_needed != (self._part is not None):
            if self._part is None:
                self._begin()
            else:
                await self._end(self._part)

    def _begin(self) -> None:
        self._part = Part(self._spec, self._changed, restarts=self._restarts)
        self._running.append(self._part)
        self._part.begin()
        self._watching = asyncio.create_task(watch([self._part]))

    async def _end(self, part: Part) -> None:
        if self._watching:
            self._watching.cancel()
        await part.stop()
        self._running.remove(part)
        self._part, self._restarts = None, 0
        self._changed()
        log.info("part is not needed any more", part=part.name)
