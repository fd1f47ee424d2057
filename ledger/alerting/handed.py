"""Takes over what control leaves for the receiver of webhooks (headgate/webhook_files.py) into the queue of alerts.

A file goes once the queue has it. The queue remembers its id, so that one that is left again is not told again.
"""

import time
from collections.abc import Callable
from pathlib import Path

from headgate.contract import WEBHOOKS
from headgate.webhook_files import left, taken
from ledger.alerting.alert_queue import MOST_WAITING, AlertQueue, Entry

REMEMBERED_S = 35 * 86_400.0


def take_over(queue: AlertQueue, *, has_receiver: bool, folder: Path = WEBHOOKS) -> int:
    """As many as the queue has room for: the others stay. How many were new.

    Without a receiver, or while the queue would lose them with the process, all of them stay. Raises sqlite3.Error or
    OSError.
    """
    if not has_receiver or not queue.is_kept:
        return 0
    new = 0
    room = MOST_WAITING - queue.waiting_count()
    for event_id, body in left(folder):
        if room <= 0:
            break
        added, _ = queue.add([Entry(event_id, time.time() + REMEMBERED_S, body)])
        new, room = new + len(added), room - len(added)
        taken(event_id, folder)
    return new


def erase(is_meant: Callable[[bytes], bool], folder: Path = WEBHOOKS) -> int:
    """Remove what waits here, by bodies; how many. Raises OSError."""
    meant = [event_id for event_id, body in left(folder) if is_meant(body)]
    for event_id in meant:
        taken(event_id, folder)
    return len(meant)


def waiting(is_meant: Callable[[bytes], bool], folder: Path = WEBHOOKS) -> int:
    """How many wait here. Raises OSError."""
    return sum(is_meant(body) for _, body in left(folder))
