"""The first admin key: control makes it when it is asked for, and whoever asks shows it, once.

It is made only when there is somebody to show it, comes over control's socket, and is in no file and no log. If this
process dies between both, the key is lost, and `headgate keys admin` makes another one.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from headgate.supervise.control_socket import Unreadable, make_first_key

AGAIN_S = 1.0  # control starts, or its database is away


async def until_shown(socket: Path, tell: Callable[[str], None]) -> None:
    """Until it was shown, or turns out to be there already."""
    while True:
        try:
            made = await make_first_key(socket)
        except (OSError, Unreadable):
            await asyncio.sleep(AGAIN_S)
            continue
        if made:
            tell(f"{'admin key':<11}{made.key}   (for /admin/v1; not shown again)\n")
        return
