"""Whether what the usage store has of a period may be billed, or ends of credits booked of it: asked in one place.

Blocks: to be called in a thread.
"""

import datetime as dt
from dataclasses import dataclass

from control.invoices.gateways import check_gateways
from control.invoices.months import Period
from control.invoices.readiness import check_stored
from control.invoices.usage import Ask, AskMarks, stored_until
from control.store.hosts import list_hosts
from control.store.store import Store
from control.store.usage_gateways import UsageGateway, list_usage_gateways
from headgate.usage_questions import Marks


@dataclass(frozen=True, slots=True)
class UsageHere:
    """How this host, `host` among hosts, asks the usage store, and where its own usage is."""

    ask: Ask
    ask_marks: AskMarks
    host: str
    place: str


def check_usage(store: Store, here: UsageHere, period: Period, now: dt.datetime) -> None:
    """All of it is there, of every host, and of nobody else. Of a day the gateways of its month count.

    Raises UsageIncomplete, UsageWentBack, UnknownGateways, UsageError, StoreError.
    """
    until = stored_until(here.ask, period)
    with store.read() as reader:
        hosts = list_hosts(reader)
    check_stored(period, until, here.host, here.place, hosts, now)
    with store.read() as reader:
        known = list_usage_gateways(reader)  # before the marks: these only grow
    said = here.ask_marks(Marks(stored=True))
    known = {said.gateway: UsageGateway(id=said.gateway, host_id=here.host)} | known  # not noted yet
    check_gateways(period, said.stored, known, {host.id for host in hosts})
