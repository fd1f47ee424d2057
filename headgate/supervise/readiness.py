"""Waiting for parts to come up, and saying which one did not."""

import asyncio

from headgate.supervise import files
from headgate.supervise.part import Part
from headgate.supervise.refusal import Refusal


async def until_ready(group: list[Part], within_s: float) -> None:
    """Wait until every part can work; raises Refusal that names one that can't, with the end of its log."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        details = await asyncio.gather(*(part.spec.probe() for part in group))
        waiting = [(part, detail) for part, detail in zip(group, details, strict=True) if detail]
        if not waiting:
            return
        if loop.time() >= deadline:
            part, detail = waiting[0]
            raise Refusal(
                f"{part.name} is not ready after {within_s:g} s ({detail}, {part.restarts} restarts); "
                f"the end of {part.spec.log_path.absolute()}:",
                *files.last_lines(part.spec.log_path, 5),
            )
        group = [part for part, _detail in waiting]
        await asyncio.sleep(0.02)
