"""`headgate up`: enter the state directory, plan, run. Exit code 0: an orderly end; 1: a refusal."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from headgate.open_files import raise_open_files
from headgate.supervise import machine, state
from headgate.supervise.plan import Plan, UpOptions, make_plan
from headgate.supervise.refusal import Refusal
from headgate.supervise.supervisor import Supervisor

__all__ = ["UpOptions", "up"]


async def up(options: UpOptions) -> int:
    """Start a gateway and supervise it until a signal; changes the working directory to `options.state`."""
    try:
        config = options.config.absolute() if options.config else None
        lock = state.enter(options.state.absolute())
        open_files = raise_open_files()
        try:
            plan = await _plan_until_signal(options, config)
            if plan:
                machine.tell_what_is_short(plan.gateway.listen, open_files)
                await Supervisor(plan, options.drain_s).run()
        finally:
            os.close(lock)
    except Refusal as refusal:
        sys.stderr.writelines(f"{line}\n" for line in refusal.lines)
        return 1
    return 0


async def _plan_until_signal(options: UpOptions, config: Path | None) -> Plan | None:
    """The plan; None when a signal came before anything was started. The supervisor takes the signals over."""
    planning = asyncio.create_task(make_plan(options, config))
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, planning.cancel)
    try:
        return await planning
    except asyncio.CancelledError:
        return None
