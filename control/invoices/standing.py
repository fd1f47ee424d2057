"""Says to the other hosts how far this one's usage is stored: what an invoice that is issued there waits for."""

import datetime as dt

import structlog

from control.holdings import host_id
from control.invoices.months import LATEST, month_before
from control.invoices.usage import Ask, asking, stored_until
from control.store.hosts import list_hosts, note_usage
from control.store.store import Store
from headgate.contract import USAGE_SOCKET
from headgate.usage_client import UsageError

log = structlog.get_logger()


def usage_place(declared: str | None, host: str) -> str:
    """Where usage is: in the store that gateway.yaml names, or in a host's own."""
    return host if declared is None else f"at {declared}"[:256]


def note_standing(store: Store, declared: str | None) -> None:
    """Of this host, now. Raises StoreError."""
    here = host_id()
    try:
        note(store, asking(USAGE_SOCKET), here, usage_place(declared, here), dt.datetime.now(dt.UTC))
    except UsageError as error:
        log.info("other hosts can't be told yet how far usage is stored here", reason=str(error))


def note(store: Store, ask: Ask, host: str, place: str, now: dt.datetime) -> None:
    """Until the last month is complete; then the store is left alone until the next one is over.

    Raises UsageError, StoreError.
    """
    month = month_before(now - LATEST)
    with store.read() as reader:
        mine = [one for one in list_hosts(reader) if one.id == host]
    if not mine:
        return
    known = mine[0].usage_until if mine[0].usage_place == place else None
    if known is not None and month.known_at <= known <= now:
        return
    until = stored_until(ask, month)
    with store.write_aside() as writer:
        note_usage(writer, host, place, until, now)
