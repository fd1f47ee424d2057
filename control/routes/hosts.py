"""`/hosts`: the hosts that run a gateway on this database. A tenant's deletion waits for each of them."""

from starlette.responses import Response

from control.call import Called, nothing, shown
from control.fields import Shown, Time
from control.lists import MOST_ON_A_PAGE, After, Limit, of_names
from control.masking import text_of
from control.routing import Routes
from control.store.hosts import list_hosts, remove_host
from control.store.paging import Wish
from control.store.values import Host as Row

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


def _host(row: Row) -> Host:
    return Host(id=row.id, name=row.name, first_seen_at=text_of(row.first_seen_at), seen_at=text_of(row.seen_at))
