"""`headgate up`: enter the state directory, plan, run. Exit code 0: an orderly end; 1: a refusal."""

import os
import sys

from headgate.supervise import state
from headgate.supervise.plan import UpOptions, make_plan
from headgate.supervise.refusal import Refusal
from headgate.supervise.supervisor import Supervisor

__all__ = ["UpOptions", "up"]


async def up(options: UpOptions) -> int:
    """Start a gateway and supervise it until a signal; changes the working directory to `options.state`."""
    try:
        config = options.config.absolute() if options.config else None
        lock = state.enter(options.state.absolute())
        try:
            plan = await make_plan(options, config)
            await Supervisor(plan, options.drain_s).run()
        finally:
            os.close(lock)
    except Refusal as refusal:
        sys.stderr.writelines(f"{line}\n" for line in refusal.lines)
        return 1
    return 0
