"""`/hosts`: the hosts that run a gateway on this database. A tenant's deletion waits for each of them.

`/usage-gateways`: whose usage the usage store has, and whether it has all that it had.
"""

from collections.abc import Collection, Sequence
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema
from starlette.responses import Response

from control.call import Call, Called, Done, nothing, shown
from control.fields import Body, Shown, Time, text, text_schema
from control.invoices.gateways import Standing, standing_of
from control.lists import MOST_ON_A_PAGE, After, Limit, of_names
from control.masking import text_of
from control.problems import Problem, not_found
from control.routing import Routes
from control.store.hosts import list_hosts, remove_host
from control.store.paging import Wish
from control.store.unit import Unit
from control.store.usage_gateways import UsageGateway as Known
from control.store.usage_gateways import accept_usage_gateway, list_usage_gateways
from control.store.values import Host as Row
from headgate.usage_client import UsageError
from headgate.usage_questions import Mark, Marks

routes = Routes("hosts")


class Host(Shown):
    """A host: `name` is what its system calls it."""

    id: str
    name: str
    first_seen_at: Time
    seen_at: Time


class Hosts(Shown):
    """Some hosts, and the cursor of the next ones."""

    data: list[Host]
    next: str | None


@routes.serve("GET", "/hosts", "platform.hosts.read", Hosts, fails=(400,))
def read_hosts(call: Called, limit: Limit = MOST_ON_A_PAGE, after: After = None) -> Response:
    """By id."""
    with call.read() as reader:
        hosts = {row.id: _host(row) for row in list_hosts(reader)}
    page = of_names("hosts", hosts, Wish(limit, after))
    return shown(Hosts(data=list(page.items), next=page.next)).response()


@routes.serve("DELETE", "/hosts/{host}", "platform.hosts.write", None, status=204)
def remove_one_host(call: Called, host: str) -> Response:
    """One whose disks are gone for good: deletions wait for it no more. It comes back if it says that it is there."""
    with call.change() as unit:
        remove_host(unit, host)
    return nothing().response()


class UsageGateway(Shown):
    """A gateway that has stored usage. `lacking`: the store has less of it than it had; `unknown`: nobody has said
    that it is this database's. `host_id` is null where no host has said that it is its own.
    """

    id: str
    host_id: str | None
    state: Standing
    months: list[str]


class UsageGateways(Shown):
    """All that are known, and all that the usage store knows."""

    data: list[UsageGateway]


class AcceptedGateway(Body):
    """`reason` is for the audit log."""

    reason: Annotated[str, PlainValidator(text(256)), WithJsonSchema(text_schema(256))]


@routes.serve("GET", "/usage-gateways", "platform.hosts.read", UsageGateways)
def read_usage_gateways(call: Called) -> Response:
    """By id."""
    stored = _stored(call)
    with call.read() as reader:
        known, hosts = list_usage_gateways(reader), {row.id for row in list_hosts(reader)}
    ids = sorted(known.keys() | {mark.gateway for mark in stored})
    return shown(UsageGateways(data=[_gateway(one, known.get(one), stored, hosts) for one in ids])).response()


@routes.serve("POST", "/usage-gateways/{gateway}/accept", "platform.hosts.write", UsageGateway)
def accept_gateway(call: Called, gateway: str, body: AcceptedGateway) -> Response:
    """Says that what the usage store has of a gateway is all that is billed of it, and is this database's to bill."""
    stored = _stored(call)

    def make(unit: Unit) -> Done:
        known, hosts = list_usage_gateways(unit).get(gateway), {row.id for row in list_hosts(unit)}
        if known is None and gateway not in {mark.gateway for mark in stored}:
            raise not_found("gateway")
        accepted = Known(id=gateway, host_id=known.host_id if known else None)
        if standing_of(known, stored, hosts) != "known":
            accept_usage_gateway(unit, accepted, known, body.reason)
        return shown(_gateway(gateway, accepted, stored, hosts))

    return call.once(make, tenant=None)


def _stored(call: Call) -> list[Mark]:
    try:
        return call.tools.ask_marks(Marks(stored=True)).stored
    except UsageError as error:
        raise Problem(503, "usage_away", str(error), headers={"retry-after": "5"}) from None


def _gateway(gateway: str, known: Known | None, stored: Sequence[Mark], hosts: Collection[str]) -> UsageGateway:
    months = sorted({mark.month for mark in stored if mark.gateway == gateway})
    return UsageGateway(
        id=gateway,
        host_id=known.host_id if known else None,
        state=standing_of(known, stored, hosts),
        months=[f"{month // 100}-{month % 100:02}" for month in months],
    )


def _host(row: Row) -> Host:
    return Host(id=row.id, name=row.name, first_seen_at=text_of(row.first_seen_at), seen_at=text_of(row.seen_at))
