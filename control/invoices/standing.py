"""Says to the other hosts how far this one's usage is stored: what is issued or booked there waits for it."""

import datetime as dt

import structlog

from control.holdings import host_id
from control.invoices.gateways import is_stored, standing_of
from control.invoices.months import LATEST, day_before, month_before
from control.invoices.usage import Ask, AskMarks, asking, asking_marks, stored_until
from control.store.credits import accounts_that_end
from control.store.hosts import list_hosts, note_usage
from control.store.store import Store
from control.store.usage_gateways import UsageGateway, list_usage_gateways, put_usage_gateway
from headgate.contract import USAGE_SOCKET
from headgate.usage_client import UsageError
from headgate.usage_questions import Marks

log = structlog.get_logger()


def usage_place(declared: str | None, host: str) -> str:
    """Where usage is: in the store that gateway.yaml names, or in a host's own."""
    return host if declared is None else f"at {declared}"[:256]


def note_standing(store: Store, declared: str | None, *, several: bool) -> None:
    """Of this host, now; `several`: there are others, which wait for it. Raises StoreError."""
    here, now = host_id(), dt.datetime.now(dt.UTC)
    place = usage_place(declared, here)
    try:
        note_mark(store, asking_marks(USAGE_SOCKET), here, place, now)
        if several:
            note(store, asking(USAGE_SOCKET), here, place, now)
    except UsageError as error:
        log.info("how far usage is stored here can't be noted yet", reason=str(error))


def note_mark(store: Store, ask: AskMarks, host: str, place: str, now: dt.datetime) -> None:
    """How far this host's gateway is in the usage store: what is noted has to be there for good.

    A mark that is there no more is kept, until somebody accepts that; and the writer's own is none either, where the
    store has not got it: it may be of before the store was put back. Raises UsageError, StoreError.
    """
    said = ask(Marks())
    if not said.gateway:
        return
    with store.read() as reader:
        known = list_usage_gateways(reader).get(said.gateway)
        hosts = {one.id for one in list_hosts(reader)}
    own, known_here = said.own, known is not None and known.host_id == host
    run, batch = (known.run, known.batch) if known else (None, None)
    if known_here and (own is None or (run, batch) == (own.run, own.batch)):
        return
    if own is not None or run is not None:
        stored = ask(Marks(stored=True)).stored
        if standing_of(known, stored, hosts) == "lacking":
            log.error("the usage store has less than it had: no invoice is issued of it", gateway=said.gateway)
            return
        if own is not None and is_stored(said.gateway, own.run, own.batch, stored):
            run, batch = own.run, own.batch
        elif known_here:
            return
    with store.write_aside() as writer:
        gateway = UsageGateway(id=said.gateway, host_id=host, place=place, run=run, batch=batch)
        put_usage_gateway(writer, gateway, now)


def note(store: Store, ask: Ask, host: str, place: str, now: dt.datetime) -> None:
    """Until the last month is complete; then the store is left alone until the next one is over. Where credits end,
    the same day by day.

    Raises UsageError, StoreError.
    """
    with store.read() as reader:
        ends = bool(accounts_that_end(reader))
        mine = [one for one in list_hosts(reader) if one.id == host]
    if not mine:
        return
    period = day_before(now - LATEST) if ends else month_before(now - LATEST)
    known = mine[0].usage_until if mine[0].usage_place == place else None
    if known is not None and period.known_at <= known <= now:
        return
    until = stored_until(ask, period)
    with store.write_aside() as writer:
        note_usage(writer, host, place, until, now)
