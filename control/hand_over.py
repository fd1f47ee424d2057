"""Hands events that wait in the database to the ledger of this host, which tells the receiver of webhooks.

An event is in the database from the unit of what it tells of, in a file from here on, and gone from the database only
when the file is on the disk: killed anywhere, it comes again under the same id. Whichever host is first takes it.
"""

from pathlib import Path

import structlog

from control.store.events import forget_events, waiting_events
from control.store.failures import StoreError
from control.store.store import Store
from headgate.contract import WEBHOOKS
from headgate.webhook_files import leave

_AT_ONCE = 100

log = structlog.get_logger()


def hand_over(store: Store, *, has_receiver: bool, folder: Path = WEBHOOKS) -> None:
    """All that wait. Raises nothing: what could not be handed over waits for the next time.

    Where this host's gateway.yaml has no receiver they wait for a host whose has one.
    """
    if not has_receiver:
        return
    try:
        while _some(store, folder) == _AT_ONCE:
            pass
    except (StoreError, OSError) as error:
        log.warning("events wait to be handed to the ledger", reason=type(error).__name__)


def _some(store: Store, folder: Path) -> int:
    with store.read() as reader:
        if not waiting_events(reader, 1):
            return 0
    with store.write_aside() as writer:  # alone: no other host takes the same ones
        events = waiting_events(writer, _AT_ONCE)
        for event_id, body in events:
            leave(event_id, body.encode(), folder)
        forget_events(writer, [event_id for event_id, _ in events])
    return len(events)
